"""The key that a home's placeholders are made from: a file of its own, made once."""

from __future__ import annotations

import os
from pathlib import Path

from credproxy.injection.placeholders import MIN_KEY_BYTES

KEY_FILE = "placeholder.key"


def load_placeholder_key(folder: Path) -> bytes:
    """Return the home's key, made with the first call; raise OSError.

    It opens nothing: who knows it can tell what placeholders look like. A file that is cut short is made anew, and the
    next containers hold other placeholders.
    """
    path = folder / KEY_FILE
    if path.exists() and len(key := path.read_bytes()) >= MIN_KEY_BYTES:
        return key
    key = os.urandom(MIN_KEY_BYTES)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return key
