"""Files that the owner sends along from the command line: copied into the group's inbox, under names of the host's."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from protocol.ids import GroupId, mint
from runtime.inbound_text import stored_file_name
from runtime.refusal import OperationRefused

MAX_FILES = 20


class SentFiles:
    """One for the whole host."""

    def __init__(
        self, inbox: Callable[[GroupId], Path], known: Callable[[GroupId], bool], max_bytes: Callable[[], int]
    ):
        self._inbox = inbox
        self._is_known = known
        self._max_bytes = max_bytes

    async def take_in(self, group: GroupId, paths: Sequence[str]) -> str:
        """Copy files to where the group's agent finds them; return the words that name them, empty for none. Raises
        OperationRefused, and then no file stays."""
        if not paths:
            return ""
        if not self._is_known(group):
            raise OperationRefused("unknown_group", f"there is no group {group[:40]!r}", "./nightyard group list")
        if len(paths) > MAX_FILES:
            raise OperationRefused("too_many_files", f"at most {MAX_FILES} files go with a message, not {len(paths)}")
        inbox, made = self._inbox(group), list[Path]()
        try:
            for path in paths:
                made.append(await asyncio.to_thread(_copy, Path(path), inbox, self._max_bytes()))
        except OperationRefused:
            for path_made in made:
                path_made.unlink(missing_ok=True)
            raise
        named = "\n".join(f"- /inbox/{path.name}" for path in made)
        return f"\n\nFiles that come with this:\n{named}"


def _copy(source: Path, inbox: Path, max_bytes: int) -> Path:
    if not source.is_absolute() or not source.is_file():
        raise OperationRefused("no_file", f"there is no file {str(source)[:200]!r}")
    if source.stat().st_size > max_bytes:
        text = f"{source.name} is larger than {max_bytes >> 20} MiB"
        raise OperationRefused("file_too_large", text, "raise attachments_mb in nightyard.yaml")
    inbox.mkdir(mode=0o755, parents=True, exist_ok=True)
    number = int.from_bytes(os.urandom(6), "big")
    target = inbox / stored_file_name(number, 0, source.name)
    part = inbox / f".{mint('file')}.part"
    try:
        shutil.copyfile(source, part)
        part.chmod(0o644)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OperationRefused("no_file", f"{source.name} could not be copied: {error.strerror}") from error
    return target
