"""Files that an agent sends: capped chunks into files whose names the host makes; no path of the agent is ever used."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocol.ids import FileId, mint
from protocol.link import FileAccepted, FileChunk, FileOffer, FileRefused, FileStored
from runtime.agent_events import FileArrived
from runtime.agent_link_rules import BreakOff, LinkLimits

MAX_NAME_CHARS = 255
MAX_CAPTION_CHARS = 4000


@dataclass(slots=True)
class _Incoming:
    offer: FileOffer
    file_id: FileId
    path: Path
    descriptor: int = -1
    received: int = 0
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    has_arrived: bool = False


class FileReceiver:
    """All files of one attempt."""

    def __init__(self, folder: Path, limits: LinkLimits, stored: Mapping[str, FileId]) -> None:
        self._folder = folder
        self._limits = limits
        self._stored = dict(stored)
        self._incoming: dict[FileId, _Incoming] = {}

    @property
    def stored(self) -> Mapping[str, FileId]:
        """call_id → file, of the files that the owner has stored."""
        return dict(self._stored)

    def answer_offer(self, offer: FileOffer) -> tuple[FileAccepted | FileRefused | FileStored, ...]:
        """Return what to say to an offer. The same call offered again is the same file, from its first byte."""
        stored = self._stored.get(offer.call_id)
        if stored is not None:
            return FileAccepted(call_id=offer.call_id, file_id=stored), FileStored(file_id=stored)
        known = next((file for file in self._incoming.values() if file.offer.call_id == offer.call_id), None)
        if known is not None and known.has_arrived:
            return (FileAccepted(call_id=offer.call_id, file_id=known.file_id),)
        if known is not None:
            self._discard(known)
        reason = self._refusal(offer)
        if reason:
            return (FileRefused(call_id=offer.call_id, reason=reason),)
        file_id = FileId(mint("file"))
        file = _Incoming(offer=offer, file_id=file_id, path=self._folder / file_id)
        try:
            self._open(file)
        except OSError as error:
            reason = f"the host cannot store files now ({error.strerror})"
            return (FileRefused(call_id=offer.call_id, reason=reason),)
        self._incoming[file_id] = file
        return (FileAccepted(call_id=offer.call_id, file_id=file_id),)

    def expects(self, chunk: FileChunk) -> bool:
        """Whether a chunk belongs to a file that is under way."""
        file = self._incoming.get(chunk.file_id)
        return file is not None and not file.has_arrived

    async def take_chunk(self, chunk: FileChunk) -> FileArrived | BreakOff | None:
        """Write an expected chunk; return the file when it was the last. Raises OSError when the disk refuses."""
        file = self._incoming[chunk.file_id]
        file.received += len(chunk.data)
        if file.received > file.offer.size:
            return BreakOff("file_too_long", f"more than the {file.offer.size} bytes that were offered")
        # Not in a thread: 256 KiB into the page cache take 0.1 ms, and the descriptor stays ours when cancelled.
        _write(file.descriptor, chunk.data)
        file.sha256.update(chunk.data)
        if not chunk.last:
            return None
        await asyncio.to_thread(_sync, os.dup(file.descriptor))
        self._close(file)
        file.has_arrived = True
        return FileArrived(
            file_id=file.file_id,
            call_id=file.offer.call_id,
            path=file.path,
            name=file.offer.name[:MAX_NAME_CHARS],
            size=file.received,
            sha256=file.sha256.hexdigest(),
            caption=file.offer.caption[:MAX_CAPTION_CHARS],
            is_for_agent=file.offer.is_for_agent,
            to=file.offer.to[:MAX_NAME_CHARS],
            place=file.offer.place,
            of=file.offer.of,
        )

    def note_stored(self, file_id: FileId) -> None:
        """The owner has stored an arrived file."""
        file = self._incoming.pop(file_id, None)
        if file is not None:
            self._stored[file.offer.call_id] = file_id

    def refuse(self, file_id: FileId) -> str:
        """Remove an arrived file that the owner does not take; return its call, empty for one that is not known."""
        file = self._incoming.get(file_id)
        if file is None:
            return ""
        self._discard(file)
        return file.offer.call_id

    def discard_unfinished(self) -> None:
        """Remove what did not arrive whole; what arrived is the owner's."""
        for file in [file for file in self._incoming.values() if not file.has_arrived]:
            self._discard(file)

    def _refusal(self, offer: FileOffer) -> str:
        limits = self._limits
        promised = sum(file.offer.size for file in self._incoming.values())
        if offer.size < 0:
            return "a file has no negative size"
        if offer.size > limits.file_bytes:
            return f"the file has {offer.size} bytes, the limit is {limits.file_bytes >> 20} MiB"
        if len(self._stored) + len(self._incoming) >= limits.files:
            return f"a task may send {limits.files} files"
        if promised + offer.size > limits.all_files_bytes:
            return f"a task may send {limits.all_files_bytes >> 20} MiB of files in all"
        return ""

    def _open(self, file: _Incoming) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file.descriptor = os.open(file.path, flags, 0o600)

    def _discard(self, file: _Incoming) -> None:
        self._close(file)
        file.path.unlink(missing_ok=True)
        del self._incoming[file.file_id]

    @staticmethod
    def _close(file: _Incoming) -> None:
        if file.descriptor >= 0:
            os.close(file.descriptor)
            file.descriptor = -1


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(own_descriptor: int) -> None:
    try:
        os.fsync(own_descriptor)
    finally:
        os.close(own_descriptor)
