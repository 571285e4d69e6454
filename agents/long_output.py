"""A tool's output of any length: its two ends for the model, the whole of it in a file that the tools can read."""

# ruff: noqa: PTH103, PTH108
# Without pathlib: tools/opened_file.py says why.

from __future__ import annotations

import os
from contextlib import suppress

from agents.places import Places

MAX_KEPT_BYTES = 64 << 20
"""Of one output: what comes after is only counted."""
MAX_KEPT_FILES = 20
"""Of earlier outputs: the oldest go."""


class LongOutput:
    """Takes in bytes; memory stays flat."""

    def __init__(self, places: Places, name: str, shown_bytes: int) -> None:
        self._folder = f"{places.root}/home/agent/outputs"
        self._path = f"{self._folder}/{name}.txt"
        self._half = shown_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._file: int | None = None
        self._kept_bytes = 0
        self.all_bytes = 0

    def add(self, piece: bytes) -> None:
        room = self._half - len(self._head)
        fits = len(piece) - max(0, room) + len(self._tail) <= self._half
        if not fits and self.all_bytes == len(self._head) + len(self._tail):
            self._begin_file()
        self.all_bytes += len(piece)
        self._keep(piece)
        self._head += piece[: max(0, room)]
        self._tail += piece[max(0, room) :]
        del self._tail[: -self._half]

    def text(self) -> str:
        """Return what the model reads: all of it, or both ends and where the whole is."""
        left_out = self.all_bytes - len(self._head) - len(self._tail)
        if not left_out:
            return bytes(self._head + self._tail).decode("utf-8", "replace")
        head, tail = self._head.decode("utf-8", "replace"), self._tail.decode("utf-8", "replace")
        return f"{head}\n[… {left_out} bytes left out; {self._where()} …]\n{tail}"

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _where(self) -> str:
        if self._kept_bytes == 0:
            return f"the output had {self.all_bytes}"
        if self._kept_bytes < self.all_bytes:
            return f"the first {self._kept_bytes} of {self.all_bytes} are in {self._path}"
        return f"all {self.all_bytes} are in {self._path}"

    def _begin_file(self) -> None:
        """Open the file and write what came so far; without one (no room, a planted link) the ends are all there is."""
        with suppress(OSError):
            os.makedirs(self._folder, exist_ok=True)
            drop_oldest(self._folder, MAX_KEPT_FILES - 1)
            with suppress(FileNotFoundError):
                os.unlink(self._path)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._keep(bytes(self._head + self._tail))

    def _keep(self, piece: bytes) -> None:
        if self._file is None or self._kept_bytes >= MAX_KEPT_BYTES:
            return
        try:
            self._kept_bytes += os.write(self._file, piece[: MAX_KEPT_BYTES - self._kept_bytes])
        except OSError:  # the disk's limit: what is there stays
            self.close()


def drop_oldest(folder: str, most: int = MAX_KEPT_FILES) -> None:
    """Remove the oldest outputs that are kept in a folder, so that at most so many stay. Raises OSError."""
    with os.scandir(folder) as found:
        files = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in found)
    for _, path in files[: max(0, len(files) - most)]:
        os.unlink(path)
