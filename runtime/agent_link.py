"""The host's end of one container's host.sock: one connection, checked frames, typed events.

No engine and no store here: `container_session.py` owns the container, the session's owner stores what arrives. What
an agent may send is decided in `agent_link_rules.py`. The agent's end is `agents/host_link.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from protocol.frames import (
    MAX_HOST_FRAME_BYTES,
    PROTOCOL_VERSION,
    FrameDecoder,
    FrameError,
    check_version,
    encode_frame,
    is_at_least,
)
from protocol.ids import DoorId, FileId
from protocol.link import (
    AGENT_FRAMES,
    Ack,
    Assignment,
    FileChunk,
    FileOffer,
    FileRefused,
    FileStored,
    Heartbeat,
    Hello,
    Welcome,
)
from runtime.agent_events import AgentBack, AgentMisbehaved, AgentSilent, AgentUnassigned, StrangerRefused
from runtime.agent_files import FileReceiver
from runtime.agent_link_rules import (
    AcknowledgeAgain,
    BreakOff,
    Deliver,
    Ignore,
    LinkLimits,
    LinkMemory,
    LinkRules,
    Note,
    TakeFilePart,
)
from runtime.event_queue import EventQueue

__all__ = ["AgentLink", "LinkLimits", "LinkMemory", "LinkPlace"]

log = logging.getLogger(__name__)

READ_BYTES = 64 << 10
GREETING_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 20.0
ACCEPT_PAUSE_S = 0.2
MAX_GREETING = 4
"""Connections that may be waiting to say Hello at once."""
WAITING_AFTER_ADOPTION = "waiting"
STEER_VERSION = "1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlace:
    """Where a link listens and puts files."""

    socket_path: Path
    uid: int | None
    """The container's user, who is given the socket; None: the host's own."""
    files_folder: Path


class AgentLink:
    """One door's host.sock. `listen`, then `run` for as long as the container lives; cancelling `run` closes it."""

    def __init__(
        self, door_id: DoorId, place: LinkPlace, limits: LinkLimits, adopted: LinkMemory | None = None
    ) -> None:
        """`adopted`: what an earlier host knew of the agent behind this door; None for a new container."""
        self.events = EventQueue()
        self.ready = asyncio.Event()
        """Set once the agent has been welcomed."""
        self.lost = asyncio.Event()
        """Set while the agent is not connected, after it once was."""
        self.last_heartbeat: Heartbeat | None = None
        self._place = place
        self._limits = limits
        self._memory = adopted or LinkMemory(door_id=door_id, nonce_hash="")
        self._is_adopted = adopted is not None
        self._rules = LinkRules(limits, stored_seq=self._memory.stored_seq, is_assigned=self._is_adopted)
        self._files = FileReceiver(place.files_folder, limits, self._memory.stored_files)
        self._listener: socket.socket | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._greeting = 0
        self._strangers = 0
        self._heard_at = time.monotonic()
        self._reading = True
        self._is_broken = False
        self.speaks_steer = False
        """Whether the agent knows Answered and Steer: one that an older host has started may not."""

    @property
    def memory(self) -> LinkMemory:
        """What a restarted host needs to take this link up again."""
        return self._memory

    @property
    def is_connected(self) -> bool:
        return self._writer is not None

    @property
    def has_finished(self) -> bool:
        return self._rules.has_finished

    def listen(self) -> None:
        """Make the socket, in the place of one that an earlier host left. Raises OSError."""
        path = str(self._place.socket_path)
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - the path is a str for bind anyway
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            listener.bind(path)
            # Nobody is in the container yet, so nobody connects between these lines.
            os.chmod(path, 0o600)  # noqa: PTH101
            if self._place.uid is not None:
                os.chown(path, self._place.uid, -1, follow_symlinks=False)
            listener.listen(8)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._heard_at = time.monotonic()

    async def run(self) -> None:
        """Accept and read until cancelled. What happens is told in `events`."""
        listener = self._listener
        if listener is None:
            raise RuntimeError("listen first")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_silence())
                await self._accept(listener, group)
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening and hang up, when `run` does not run. Files that did not arrive whole are removed."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._hang_up()
        self._files.discard_unfinished()

    async def hand_over(self, assignment: Assignment) -> bool:
        """Send the task; False if the agent is not there any more."""
        self._rules.is_assigned = True
        return await self.send(assignment)

    async def ack(self, seq: int) -> None:
        """Tell the agent that everything up to `seq` is stored; a lost agent hears it from its next Welcome."""
        self._rules.stored_seq = max(self._rules.stored_seq, seq)
        self._memory = replace(self._memory, stored_seq=self._rules.stored_seq)
        await self.send(Ack(seq=seq))

    async def file_stored(self, file_id: FileId) -> None:
        """Tell the agent that a file is stored; a lost agent hears it when it offers the file again."""
        self._files.note_stored(file_id)
        self._memory = replace(self._memory, stored_files=self._files.stored)
        await self.send(FileStored(file_id=file_id))

    async def file_refused(self, file_id: FileId, reason: str) -> None:
        """Tell the agent that a file that has arrived goes nowhere, and why; a lost agent offers it again."""
        call_id = self._files.refuse(file_id)
        if call_id:
            await self.send(FileRefused(call_id=call_id, reason=reason))

    async def send(self, frame: object) -> bool:
        """Send a frame; False if the agent is not there to take it."""
        writer = self._writer
        if writer is None:
            return False
        try:
            writer.write(encode_frame(frame, MAX_HOST_FRAME_BYTES))
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await writer.drain()
        except (OSError, TimeoutError):
            return False
        return True

    async def take_last_word(self, data: bytes) -> None:
        """Tell in `events` what a dead agent left in its last.frames, if it is this door's agent's word."""
        decoder = FrameDecoder()
        bodies = decoder.feed(data)
        try:
            hello = AGENT_FRAMES.decode(next(bodies, b""))
            if not isinstance(hello, Hello) or not self._is_known(hello):
                log.warning("a last word without the nonce was left behind", extra={"action": "last_word_refused"})
                return
            for body in bodies:
                if not await self._take(body):
                    return
        except FrameError as error:
            log.warning("a last word cannot be read: %s", error, extra={"action": "last_word_unreadable"})

    async def _accept(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Out of descriptors: the agent tries again, and so do we.
                log.warning("host.sock cannot accept: %s", error, extra={"action": "accept_failed"})
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            if self._writer is not None or self._is_broken or self._greeting >= MAX_GREETING:
                connection.close()
                self._refuse_stranger()
            else:
                group.create_task(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        """Read one connection from its Hello to its end."""
        self._greeting += 1
        is_greeting = True
        writer = None
        try:
            reader, writer = await asyncio.open_unix_connection(sock=connection)
            async with aclosing(self._read_bodies(reader)) as bodies:
                async with asyncio.timeout(GREETING_TIMEOUT_S):
                    hello = await anext(bodies, None)
                self._greeting -= 1
                is_greeting = False
                if hello is None:
                    return
                welcome = self._admit(hello)
                if welcome is None:
                    self._refuse_stranger()
                    return
                await self._begin(writer, welcome)
                async for body in bodies:
                    if not await self._take(body):
                        return
        except FrameError as error:
            self._break_off(error.code, error.detail)
        except (OSError, TimeoutError):
            return
        finally:
            if is_greeting:
                self._greeting -= 1
            if writer is None:
                connection.close()
            elif writer is self._writer:
                self._hang_up()
            else:
                writer.close()

    async def _read_bodies(self, reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
        decoder = FrameDecoder()
        while chunk := await reader.read(READ_BYTES):
            self._reading = False
            for body in decoder.feed(chunk):
                yield body
            self._heard_at = time.monotonic()
            self._reading = True
        decoder.end()

    def _admit(self, body: bytes) -> Welcome | None:
        """Return the welcome of the one who may come in, or None for a stranger."""
        is_first = not self._memory.nonce_hash
        try:
            hello = AGENT_FRAMES.decode(body)
            if not isinstance(hello, Hello):
                raise FrameError("no_hello", f"the first frame is {type(hello).__name__}")
            check_version(hello.protocol)
        except FrameError:
            if is_first:
                raise
            return None
        if self._writer is not None or not (is_first or self._is_known(hello)):
            return None
        self.speaks_steer = is_at_least(hello.protocol, STEER_VERSION)
        nonce = hello.nonce
        if is_first:
            nonce = secrets.token_hex(16)
            self._memory = replace(self._memory, nonce_hash=_hash(nonce))
        return Welcome(
            protocol=PROTOCOL_VERSION,
            nonce=nonce,
            heartbeat_s=self._limits.heartbeat_s,
            host_absence_s=self._limits.host_absence_s,
            stored_seq=self._rules.stored_seq,
        )

    def _is_known(self, hello: Hello) -> bool:
        return hmac.compare_digest(_hash(hello.nonce), self._memory.nonce_hash)

    async def _begin(self, writer: asyncio.StreamWriter, welcome: Welcome) -> None:
        self._writer = writer
        self._heard_at = time.monotonic()
        self.lost.clear()
        await self.send(welcome)
        self.ready.set()
        if self._rules.is_assigned:
            self.events.put_now(AgentBack())

    def _hang_up(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            self.lost.set()

    async def _take(self, body: bytes) -> bool:
        """Do what the rules say about one frame; False when the link is broken off."""
        pause_s = self._rules.pause_s(time.monotonic())
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        frame = AGENT_FRAMES.decode(body)
        match self._rules.judge(frame, len(body)):
            case Deliver(delivered):
                await self.events.put(delivered, len(body))
            case AcknowledgeAgain(seq):
                await self.send(Ack(seq=seq))
            case Note(heartbeat):
                self._note(heartbeat)
            case TakeFilePart(part):
                return await self._take_file_part(part, len(body))
            case BreakOff(code, detail):
                self._break_off(code, detail)
                return False
            case Ignore():
                pass
        return True

    def _note(self, heartbeat: Heartbeat) -> None:
        is_first = self.last_heartbeat is None
        self.last_heartbeat = heartbeat
        if self._is_adopted and is_first and heartbeat.doing == WAITING_AFTER_ADOPTION:
            self.events.put_now(AgentUnassigned())

    async def _take_file_part(self, part: FileOffer | FileChunk, size: int) -> bool:
        if isinstance(part, FileChunk) and self._files.expects(part):
            try:
                outcome = await self._files.take_chunk(part)
            except OSError as error:
                outcome = BreakOff("disk_full", f"the host cannot store the file: {error.strerror}")
            if isinstance(outcome, BreakOff):
                self._break_off(outcome.code, outcome.detail)
                return False
            if outcome is not None:
                await self.events.put(outcome, size)
            return True
        # An offer, or a chunk of a file that is stored already or was refused.
        too_much = self._rules.count(size)
        if too_much is not None:
            self._break_off(too_much.code, too_much.detail)
            return False
        if isinstance(part, FileOffer):
            for answer in self._files.answer_offer(part):
                await self.send(answer)
        return True

    def _break_off(self, code: str, detail: str) -> None:
        """After a broken frame nothing that follows can be trusted."""
        self._is_broken = True
        self._hang_up()
        self.events.put_now(AgentMisbehaved(code=code, detail=detail))

    def _refuse_stranger(self) -> None:
        self._strangers += 1
        if self._is_broken:
            return
        if self._strangers == 1:
            self.events.put_now(StrangerRefused())
        if self._strangers > self._limits.strangers:
            self._break_off("knocking", f"more than {self._limits.strangers} connections beside the agent's own")

    async def _watch_silence(self) -> None:
        while True:
            silent_s = time.monotonic() - self._heard_at
            # While the owner is busy we do not read: then it is us who are silent.
            if silent_s >= self._limits.silence_s and (self._reading or self._writer is None):
                self.events.put_now(AgentSilent(for_s=silent_s))
                return
            await asyncio.sleep(max(self._limits.silence_s - silent_s, self._limits.silence_s / 10))


def _hash(nonce: str) -> str:
    return hashlib.sha256(nonce.encode("utf-8")).hexdigest()
