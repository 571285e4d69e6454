"""A streamed request's body as far as it has come, so that it can be sent again: with the next key, or over another
connection where the kept one was dead.

It is in a file of the home that has no name: in memory, a few containers' pictures would fill a small server. What does
not fit any more is forgotten, and that body is sent once. The file ends with its request, or with the process.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from credproxy.pipeline.proxy import DoorState

log = logging.getLogger(__name__)

MAX_SPOOLED_BYTES = 64 << 20
"""Of one container, all its requests together: a dozen model calls with pictures."""
PIECE_BYTES = 64 << 10


class Spool:
    """One body's copy; `close` it."""

    def __init__(self, folder: Path, door: DoorState) -> None:
        self._folder = folder
        self._door = door
        self._file: BinaryIO | None = None
        self._bytes = 0
        self.is_whole = True
        """Everything that was added is there."""

    def add(self, piece: bytes) -> None:
        """Keep a piece, or nothing of the body any more where there is no room."""
        if not self.is_whole:
            return
        if self._door.spooled_bytes + len(piece) > MAX_SPOOLED_BYTES:
            self._forget()
            return
        self._door.spooled_bytes += len(piece)
        self._bytes += len(piece)
        try:
            if self._file is None:
                self._file = _open_unnamed(self._folder)
            self._file.write(piece)
        except OSError as error:
            log.warning("a request is not kept for a second try: %s", error, extra={"action": "spool_failed"})
            self._forget()

    def pieces(self) -> Iterator[bytes]:
        """Yield what was added. Raises OSError. Nothing may be added meanwhile."""
        if self._file is None:
            return
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece

    def close(self) -> None:
        file, self._file = self._file, None
        self._door.spooled_bytes -= self._bytes
        self._bytes = 0
        if file is not None:
            file.close()

    def _forget(self) -> None:
        self.is_whole = False
        try:
            self.close()
        except OSError:  # what was still to be written: nobody wants it
            return


def _open_unnamed(folder: Path) -> BinaryIO:
    path = folder / f"spool-{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    path.unlink()
    return os.fdopen(descriptor, "w+b")
