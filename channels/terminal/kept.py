"""What was said to a chat while no terminal looked: one file a chat, on disk before the delivery counts as done."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from channels.terminal.encode import Kept, decode_kept, encode_kept
from protocol.control import Shown
from protocol.ids import ChatKey
from protocol.record import replace


class KeptMessages:
    """Blocking: each method is for a thread, and its caller sees to it that one chat's calls do not overlap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, chat: ChatKey, shown: Shown, name: str = "") -> None:
        """Keep one message; on disk when this returns."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path(chat), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A line end in front: what a crash cut short before it stays a line of its own.
            os.write(file, b"\n" + encode_kept(Kept(shown=shown, name=name)) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def all(self, chat: ChatKey) -> tuple[Kept, ...]:
        try:
            lines = self._path(chat).read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        return tuple(kept for line in lines if line and (kept := decode_kept(line)) is not None)

    def take_buttons(self, chat: ChatKey, name: str) -> None:
        """Keep a message without its buttons, if it is kept still."""
        kept = self.all(chat)
        if any(each.name == name for each in kept):
            self.keep_only(chat, tuple(_bare(each) if each.name == name else each for each in kept))

    def keep_only(self, chat: ChatKey, rest: tuple[Kept, ...]) -> None:
        """Forget all but `rest`."""
        path = self._path(chat)
        if not rest:
            path.unlink(missing_ok=True)
            return
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(encode_kept(kept) + b"\n" for kept in rest))
        fresh.chmod(0o600)
        fresh.rename(path)

    def _path(self, chat: ChatKey) -> Path:
        return self._folder / f"{hashlib.sha256(chat.encode()).hexdigest()[:32]}.lines"


def _bare(kept: Kept) -> Kept:
    return replace(kept, shown=replace(kept.shown, buttons=()))
