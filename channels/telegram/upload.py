"""The host's files on their way out: how large they are, and opened, to be streamed from the disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

from channels.channel import DeliveryFailed
from channels.telegram.calls import OneFile


def size_of(path: str) -> int:
    """Return the file's bytes; raise DeliveryFailed."""
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise _unreadable(Path(path).name, error) from error


def opened(file: OneFile) -> IO[bytes]:
    """Return the file to be read and closed; raise DeliveryFailed."""
    try:
        return Path(file.path).open("rb") if file.path else io.BytesIO(file.content)
    except OSError as error:
        raise _unreadable(file.name, error) from error


def _unreadable(name: str, error: OSError) -> DeliveryFailed:
    return DeliveryFailed(f"the file {name} cannot be read: {error.strerror}", permanent=True)
