"""The host's and the CLI's end of the proxy's admin socket: one method per verb, over a connection that is kept.

Standard library and `protocol` only, as in the files beside it: other rooms import them. The other end is
`admin_server/`. After a reconnect (the proxy was restarted) all doors and leases are set again first.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credproxy.admin_client.answers import ProxyHealth, RouteState, SecretKind, StoredSecret, UsageSum
from protocol.codec import ShapeError, from_json, to_json
from protocol.frames import PROTOCOL_VERSION, FrameDecoder, FrameError, encode_frame
from protocol.ids import AttemptId, DoorId, TaskId
from protocol.proxy_admin import (
    ADMIN_SERVER_FRAMES,
    AdminProblem,
    AdminReply,
    AdminRequest,
    ProxyCall,
    ProxyEvent,
)
from protocol.task import Lease, Usage

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.05
LAST_DELAY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 64 << 10
ONCE = frozenset(
    ("secret_add", "secret_rotate", "secret_reserve", "secret_promote", "secret_test", "token_add", "vault_rekey")
)
"""Verbs that do another thing when they are asked again: where the answer is lost, a person must look."""


class ProxyError(Exception):
    """What may go wrong when the proxy is asked something."""


class ProxyUnavailable(ProxyError):
    """The credential proxy does not answer on its admin socket."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"the credential proxy does not answer on {self.path}: {self.detail}"


class ProxyRefused(ProxyError):
    """The credential proxy answered, and said no."""

    def __init__(self, code: str, message: str, mend: str) -> None:
        super().__init__(code, message, mend)
        self.code = code
        self.message = message
        self.mend = mend
        """The one command or edit that helps, or nothing."""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    path: Path
    uid: int | None


class ProxyAdmin:
    """One kept connection to the proxy. `run` must be running for anything to be answered.

    Every verb waits for the connection and the answer up to `answer_timeout_s` together, so that a restart of the
    proxy is not noticed; then ProxyUnavailable. What the proxy refuses is ProxyRefused.
    """

    def __init__(self, path: Path, *, answer_timeout_s: float = 10.0) -> None:
        self._path = path
        self._answer_timeout_s = answer_timeout_s
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[AdminReply | AdminProblem]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        """Set while there is something to go on with: a connection, or the certainty that none will come."""
        self._is_over = False
        self._doors: dict[DoorId, _Door] = {}
        self._leases: dict[DoorId, Lease] = {}
        self._held: set[DoorId] = set()
        """Doors without a lease that is released."""
        self._unclosed: set[DoorId] = set()
        self._is_freezing = False

    @property
    def is_connected(self) -> bool:
        """Whether the proxy can be asked without waiting: connected, doors and leases set again."""
        return self._ready.is_set() and not self._is_over

    async def run(self, on_event: Callable[[ProxyEvent], None] | None = None) -> None:
        """Keep the connection until cancelled. `on_event` is called with each event and must return at once; None:
        no events are asked for. Afterwards verbs fail at once: nobody waits for a connection that nobody makes."""
        try:
            await self._keep_connected(on_event)
        finally:
            self._is_over = True
            self._ready.set()

    async def _keep_connected(self, on_event: Callable[[ProxyEvent], None] | None) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    reader, writer = await asyncio.open_unix_connection(self._path)
            except (OSError, TimeoutError):
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, LAST_DELAY_S)
                continue
            delay_s = FIRST_DELAY_S
            await self._stay_connected(reader, writer, on_event)

    async def open_door(
        self,
        door_id: DoorId,
        path: Path,
        uid: int | None = None,
        lease: Lease | None = None,
        *,
        is_held: bool = False,
    ) -> None:
        """Have the proxy listen at `path` for a container; `uid` owns the socket if the proxy is root. Idempotent.

        `lease` is for a container that has its task already: it holds before the first request can come. `is_held`:
        what the container asks for waits until it has a lease that is not held. If the proxy is away
        (ProxyUnavailable), the door is opened as soon as it is back.
        """
        self._doors[door_id] = _Door(path=path, uid=uid)
        self._unclosed.discard(door_id)
        if lease is not None or is_held:
            self._note_lease(door_id, lease, is_held=is_held)
        try:
            await self.ask("open_door", self._opening(door_id))
        except ProxyRefused:
            self._doors.pop(door_id, None)
            self._note_lease(door_id, None)
            raise

    async def close_door(self, door_id: DoorId) -> None:
        """Take the door away, its connections and its lease too. Idempotent. If the proxy is away, it is done later."""
        self._doors.pop(door_id, None)
        self._note_lease(door_id, None)
        self._unclosed.add(door_id)
        await self.ask("close_door", {"door_id": door_id})
        self._unclosed.discard(door_id)

    async def grant(self, door_id: DoorId, lease: Lease, *, is_held: bool = False) -> None:
        """Let the door's container do what the lease says, in place of any lease before. Idempotent. `is_held`: not
        before `release`; what it asks for meanwhile waits."""
        held = {"is_held": True} if is_held else {}
        await self.ask("grant", {"door_id": door_id, "lease": to_json(lease), **held})
        self._note_lease(door_id, lease, is_held=is_held)

    async def release(self, door_id: DoorId, attempt_id: AttemptId) -> None:
        """Have a held lease hold from now on. Idempotent. Refused `lease_unknown` if the door has none of the
        attempt's."""
        self._held.discard(door_id)
        await self.ask("release", {"door_id": door_id, "attempt_id": attempt_id})

    async def end(self, door_id: DoorId) -> Usage:
        """Take the door's lease away, calls under way included; return what its task has used so far. Idempotent."""
        self._note_lease(door_id, None)
        answer = await self.ask("end", {"door_id": door_id})
        return from_json(Usage, _member(answer, "usage"))

    async def calls(self, task_id: TaskId, attempt_id: AttemptId | None = None) -> tuple[ProxyCall, ...]:
        """Return the non-idempotent calls outside model routes that the task (or one attempt) has begun."""
        answer = await self.ask("calls", {"task_id": task_id, "attempt_id": attempt_id})
        return tuple(from_json(ProxyCall, call) for call in _items(answer, "calls"))

    async def usage(self, *, task_id: TaskId | None = None, day: str | None = None) -> tuple[UsageSum, ...]:
        """Return model use per group and model: of one task, of one UTC day (`2026-11-21`), or of all time."""
        answer = await self.ask("usage", {"task_id": task_id, "day": day})
        return tuple(from_json(UsageSum, item) for item in _items(answer, "sums"))

    async def freeze(self, on: bool) -> None:
        """Stop all egress, calls under way included, or let it go on. Kept over a restart of the proxy.

        If the proxy is away, a freeze is done as soon as it is back, before any door is opened again; lifting is not.
        """
        if on:
            self._is_freezing = True
        await self.ask("freeze", {"on": on})
        if not on:
            self._is_freezing = False

    async def reload(self) -> tuple[str, ...]:
        """Have routes and grants read again; return what is wrong with them, each with file and line."""
        return tuple(str(problem) for problem in _items(await self.ask("reload", {}), "problems"))

    async def secret_add(self, name: str, value: str, kind: SecretKind, *, replace: bool = False) -> tuple[str, ...]:
        """Put a secret into the vault; return who uses it. Refused `secret_exists` unless `replace`."""
        arguments = {"name": name, "value": value, "kind": kind, "replace": replace}
        return tuple(str(user) for user in _items(await self.ask("secret_add", arguments), "used_by"))

    async def secret_list(self) -> tuple[StoredSecret, ...]:
        answer = await self.ask("secret_list", {})
        return tuple(from_json(StoredSecret, item) for item in _items(answer, "secrets"))

    async def secret_remove(self, name: str) -> None:
        """Remove a secret; requests that need it fail from then on. Refused `secret_unknown` if it is not there."""
        await self.ask("secret_remove", {"name": name})

    async def secret_fetch(self, name: str, purpose: str) -> str:
        """Return the value of a `channel` secret; each fetch is audited with its purpose. Keys are never told."""
        return str(_member(await self.ask("secret_fetch", {"name": name, "purpose": purpose}), "value"))

    async def routes(self) -> tuple[RouteState, ...]:
        answer = await self.ask("routes", {})
        return tuple(from_json(RouteState, item) for item in _items(answer, "routes"))

    async def health(self) -> ProxyHealth:
        return from_json(ProxyHealth, await self.ask("health", {}))

    async def ask(self, verb: str, arguments: Mapping[str, object]) -> object:
        """Ask until answered. All verbs but `ONCE` may be sent twice without harm."""
        may_repeat = verb not in ONCE
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                while True:
                    await self._ready.wait()
                    if self._is_over:
                        raise ProxyUnavailable(self._path, "the connection to it has been given up")
                    try:
                        return await self._send(verb, arguments)
                    except ProxyUnavailable:
                        if not may_repeat:
                            raise
        except TimeoutError:
            detail = f"no answer to {verb} within {self._answer_timeout_s:g} s"
            raise ProxyUnavailable(self._path, detail) from None

    async def _send(self, verb: str, arguments: Mapping[str, object]) -> object:
        writer = self._writer
        if writer is None:
            raise ProxyUnavailable(self._path, "the connection was lost")
        request = AdminRequest(protocol=PROTOCOL_VERSION, id=next(self._ids), verb=verb, arguments=dict(arguments))
        answer: asyncio.Future[AdminReply | AdminProblem] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = answer
        try:
            writer.write(encode_frame(request))
            await writer.drain()
            reply = await answer
        except OSError as error:
            # Said here and not left to the reader: a drain that fails does not yield, so whoever asks again at once
            # would keep the loop from ever seeing the end of this connection.
            if self._writer is writer:
                self._lose_connection(str(error))
            raise ProxyUnavailable(self._path, str(error)) from error
        finally:
            self._answers.pop(request.id, None)
        if isinstance(reply, AdminProblem):
            raise ProxyRefused(reply.code, reply.message, reply.mend)
        return reply.value

    async def _stay_connected(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[ProxyEvent], None] | None,
    ) -> None:
        self._writer = writer
        try:
            async with asyncio.TaskGroup() as group:
                setting_again = group.create_task(self._set_again(watch=on_event is not None))
                detail = await self._read(reader, on_event)
                self._lose_connection(detail)
                setting_again.cancel()
        finally:
            self._lose_connection("the client was stopped")
            writer.close()

    async def _set_again(self, *, watch: bool) -> None:
        """Bring a fresh connection to where the last one was, then let the others ask."""
        try:
            if watch:
                await self._send("watch", {})
            if self._is_freezing:
                await self._send_or_log("freeze", {"on": True})
            for door_id in tuple(self._unclosed):
                await self._send_or_log("close_door", {"door_id": door_id})
            for door_id in tuple(self._doors):
                await self._send_or_log("open_door", self._opening(door_id))
        except ProxyUnavailable:
            return
        self._unclosed.clear()
        self._ready.set()

    def _opening(self, door_id: DoorId) -> dict[str, object]:
        door, lease = self._doors[door_id], self._leases.get(door_id)
        granted = {} if lease is None else {"lease": to_json(lease)}
        held = {"is_held": True} if door_id in self._held else {}
        return {"door_id": door_id, "path": str(door.path), "uid": door.uid, **granted, **held}

    def _note_lease(self, door_id: DoorId, lease: Lease | None, *, is_held: bool = False) -> None:
        """Remember what is to hold at a door after a reconnect."""
        self._held.discard(door_id)
        if lease is None:
            self._leases.pop(door_id, None)
        else:
            self._leases[door_id] = lease
        if is_held:
            self._held.add(door_id)

    async def _send_or_log(self, verb: str, arguments: Mapping[str, object]) -> None:
        try:
            await self._send(verb, arguments)
        except ProxyRefused as refusal:
            extra = {"action": "proxy_refused", "verb": verb, "code": refusal.code, "door_id": arguments.get("door_id")}
            log.warning("the credential proxy would not take what held before: %s", refusal.message, extra=extra)

    async def _read(self, reader: asyncio.StreamReader, on_event: Callable[[ProxyEvent], None] | None) -> str:
        """Hand out what arrives until the connection ends; return why it did."""
        decoder = FrameDecoder()
        try:
            while chunk := await reader.read(READ_BYTES):
                for body in decoder.feed(chunk):
                    self._take(ADMIN_SERVER_FRAMES.decode(body), on_event)
            decoder.end()
        except (OSError, FrameError) as error:
            return f"the connection broke ({error})"
        return "the proxy closed the connection"

    def _take(self, frame: object, on_event: Callable[[ProxyEvent], None] | None) -> None:
        if isinstance(frame, ProxyEvent):
            if on_event is not None:
                on_event(frame)
            return
        if isinstance(frame, (AdminReply, AdminProblem)):
            answer = self._answers.get(frame.id)
            if answer is not None and not answer.done():
                answer.set_result(frame)

    def _lose_connection(self, detail: str) -> None:
        self._ready.clear()
        self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ProxyUnavailable(self._path, detail))


@asynccontextmanager
async def connect(path: Path, *, answer_timeout_s: float = 3.0) -> AsyncIterator[ProxyAdmin]:
    """A ProxyAdmin for a few questions: what the CLI uses. The connection ends with the block."""
    admin = ProxyAdmin(path, answer_timeout_s=answer_timeout_s)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(admin.run())
            try:
                yield admin
            finally:
                running.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the caller's own exception, as if no group had been in between


def _member(value: object, key: str) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise ShapeError(key, "is missing from the proxy's answer")
    return value[key]


def _items(value: object, key: str) -> list[Any]:
    items = _member(value, key)
    if not isinstance(items, list):
        raise ShapeError(key, "is not a list in the proxy's answer")
    return items
