"""What an agent has noted for itself: the files of its memory folder, shown to people, and removed for them.

The folder is the agent's to fill: no link in it is followed, and no name or text is shown as it stands.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from protocol.ids import GroupId
from protocol.plain_text import decode, escape
from runtime.history.tree import TreeRefused, opened_folder, remove, walk
from runtime.home import Home
from runtime.refusal import OperationRefused

MEMORY = "memory"
MAX_LISTED = 200
MAX_SHOWN_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFile:
    path: str
    """Below the memory folder, as the agent calls it: to be escaped before it is shown."""
    size_bytes: int
    changed_at: float
    """Seconds since the epoch."""


class MemoryFiles:
    """One for the whole host. Everything here waits for the disk: call it in a thread."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def list(self, group_id: GroupId) -> tuple[MemoryFile, ...]:
        """Return the files, by name, at most MAX_LISTED."""
        folder = self._folder(group_id)
        if not folder.is_dir():
            return ()
        files = []
        try:
            with opened_folder(folder) as root:
                for found in walk(root, ""):
                    if stat.S_ISREG(found.state.st_mode):
                        path = found.path.lstrip("/")
                        size, changed_at = found.state.st_size, found.state.st_mtime
                        files.append(MemoryFile(path=path, size_bytes=size, changed_at=changed_at))
        except (TreeRefused, OSError) as error:
            raise self._unreadable(group_id, error) from error
        return tuple(sorted(files, key=lambda file: file.path)[:MAX_LISTED])

    def read(self, group_id: GroupId, path: str) -> str:
        """Return a file's text, line by line fit to be shown, cut at MAX_SHOWN_BYTES."""
        if not self._folder(group_id).is_dir():
            raise self._unknown(group_id, path)
        try:
            with opened_folder(self._folder(group_id)) as root:
                for found in walk(root, ""):
                    if found.path.lstrip("/") == path and stat.S_ISREG(found.state.st_mode):
                        with os.fdopen(found.open(), "rb") as file:
                            data = file.read(MAX_SHOWN_BYTES + 1)
                        return _shown(data)
        except (TreeRefused, OSError) as error:
            raise self._unreadable(group_id, error) from error
        raise self._unknown(group_id, path)

    def forget(self, group_id: GroupId, path: str) -> None:
        """Remove a file; OperationRefused for one that is not there."""
        if path not in {file.path for file in self.list(group_id)}:
            raise self._unknown(group_id, path)
        try:
            with opened_folder(self._folder(group_id)) as root:
                remove(root, path)
        except (TreeRefused, OSError) as error:
            raise self._unreadable(group_id, error) from error

    def _folder(self, group_id: GroupId) -> Path:
        return self._home.group(group_id) / MEMORY

    def _unknown(self, group_id: GroupId, path: str) -> OperationRefused:
        message = f"The memory of {group_id} has no file `{escape(path[:80])}`"
        return OperationRefused("unknown_file", message, "/memory")

    def _unreadable(self, group_id: GroupId, error: Exception) -> OperationRefused:
        return OperationRefused("unreadable", f"The memory of {group_id} cannot be read: {escape(str(error))}")


def _shown(data: bytes) -> str:
    text = decode(data[:MAX_SHOWN_BYTES].decode("utf-8", "ignore").encode())
    if text is None:
        return "(no text)"
    lines = "\n".join(escape(line.replace("\t", "    ")) for line in text.splitlines())
    return f"{lines}\n(cut here)" if len(data) > MAX_SHOWN_BYTES else lines
