"""Doors: one Unix socket per container, its connections, and the tunnels in them. Which door it is, is who asks.

Each request becomes one `Ask` (`entry.py`) and goes through `exchange.py`. A connection that breaks a rule of HTTP is
answered once and closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from credproxy.pipeline import answers
from credproxy.pipeline.admission import wait_for_start
from credproxy.pipeline.call import Call
from credproxy.pipeline.entry import Misdirected, OpenTunnel, Tunnel
from credproxy.pipeline.exchange import ResponseCut, exchange
from credproxy.pipeline.familiar import Familiar
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.pipeline.refusal import Refused, refuse
from credproxy.policy.decide import decide_tunnel
from credproxy.policy.denials import host_not_granted
from credproxy.policy.verdict import Deny
from credproxy.wire.answer import Answer
from credproxy.wire.heads import BadHead
from credproxy.wire.inbound import Inbound
from credproxy.wire.plain import Request
from credproxy.wire.stream import Stream, StreamBroken
from credproxy.wire.target import Authority, Scheme, TargetRefused
from protocol.ids import DoorId
from protocol.task import Lease

log = logging.getLogger(__name__)

Admit = Callable[[Request], Awaitable[DoorState]]
"""Says whose a request is that did not come through a socket of its sender's own; raises Refused."""
MAX_SOCKET_PATH_BYTES = 100
"""sun_path holds 108 on Linux, 104 elsewhere."""
MAX_CONNECTIONS = 64
"""Per door. A browser opens 6 per host, pip and npm up to 16 in all."""
BACKLOG = 64
MAX_SHOWN_CHARS = 120

_FULL = Answer(
    status=503,
    code="too_many_connections",
    message=f"This container has {MAX_CONNECTIONS} connections open; close some.",
    may_retry=True,
    closes=True,
)


class DoorRefused(Exception):
    """A door that cannot be opened where it was asked for."""

    def __init__(self, code: str, sentence: str, mend: str = "") -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence
        self.mend = mend

    def __str__(self) -> str:
        return self.sentence


class Doors:
    """Listens at every open door. `run` must be running."""

    def __init__(self, proxy: CredentialProxy, folder: Path) -> None:
        """`folder`: doors are made nowhere else than below it."""
        self._proxy = proxy
        self._folder = folder
        self._group: asyncio.TaskGroup | None = None
        self._listening: dict[DoorId, tuple[asyncio.Server, Path]] = {}

    async def run(self) -> None:
        """Serve connections until cancelled; then close every door."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            for door_id in tuple(self._listening):
                self.close(door_id)

    async def open(
        self, door_id: DoorId, path: Path, uid: int | None, lease: Lease | None = None, *, is_held: bool = False
    ) -> None:
        """Listen at `path`, again if it was already; raises DoorRefused. `lease` is granted before anybody can ask: an
        agent at work stands at a door that is opened again; without one, the lease that is there stays. `is_held`:
        whatever is asked at the door waits, for a lease that is not held."""
        self._check_path(path)
        listening = self._listening.get(door_id)
        if listening is not None and listening[1] == path and path.is_socket():
            _give_to(path, uid)
            await self._let_in(self._proxy.doors[door_id], lease, is_held=is_held)
            return
        if listening is not None:
            self._stop_listening(door_id)
        door = self._proxy.doors.setdefault(door_id, DoorState(door_id))
        await self._let_in(door, lease, is_held=is_held)
        try:
            self._listening[door_id] = (await self._listen(door, path, uid), path)
        except OSError as error:
            self.close(door_id)
            raise DoorRefused("door_failed", f"no socket can be made at {path}: {error.strerror}") from error

    async def _let_in(self, door: DoorState, lease: Lease | None, *, is_held: bool) -> None:
        if lease is not None:
            await self._proxy.grant(door, lease, is_held=is_held)
        elif is_held:
            door.hold.put(True)

    def close(self, door_id: DoorId) -> None:
        """Take a door away with all that goes through it. Closing what is closed does nothing."""
        door = self._proxy.doors.get(door_id)
        if door is not None:
            self._proxy.end(door)
            door.cut()
            del self._proxy.doors[door_id]
        if door_id in self._listening:
            self._stop_listening(door_id)

    def _stop_listening(self, door_id: DoorId) -> None:
        server, path = self._listening.pop(door_id)
        server.close()
        if path.is_socket():
            path.unlink()

    async def _listen(self, door: DoorState, path: Path, uid: int | None) -> asyncio.Server:
        if path.is_socket():
            path.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o177)
            try:
                sock.bind(str(path))
            finally:
                os.umask(before)
            _give_to(path, uid)
            return await asyncio.get_running_loop().create_unix_server(
                lambda: Stream(lambda stream: self._accept(stream, door)), sock=sock, backlog=BACKLOG
            )
        except BaseException:
            sock.close()
            raise

    def _check_path(self, path: Path) -> None:
        refuse_long_path(path)
        folder = self._folder.resolve()
        if not path.is_absolute() or folder not in path.parent.resolve().parents or path.name in ("", ".", ".."):
            raise DoorRefused("path_refused", f"a door must be in a folder below {folder}, not at {path}")
        if (path.exists() or path.is_symlink()) and not stat.S_ISSOCK(path.lstat().st_mode):
            raise DoorRefused("path_taken", f"{path} is there already and is no socket")

    def _accept(self, stream: Stream, door: DoorState) -> None:
        if self._group is None:
            stream.abort()
            return
        task = self._group.create_task(self.serve(stream, door), name=f"door {door.door_id}")
        stream.on_gone = lambda: _cancel(task)
        door.connections.add(task)

    async def serve(self, stream: Stream, door: DoorState, admit: Admit | None = None) -> None:
        """One connection, to its end, whatever that is. With `admit`, it belongs to `door` only until that is asked:
        with each request, but those inside a tunnel, which are its opener's."""
        try:
            inbound = Inbound(stream, self._proxy.deadlines)
            if len(door.connections) > MAX_CONNECTIONS:
                await inbound.answer(_FULL)
                return
            await self._converse(inbound, door, admit)
        except (StreamBroken, TimeoutError, OSError) as error:
            log.debug("a container's connection ended: %s", error)
        except Exception:  # a supervisor: one connection's bug must not end the others
            log.exception("bug in a connection; it is closed", extra={"action": "proxy_bug", "door_id": door.door_id})
            stream.abort()
        finally:
            task = asyncio.current_task()
            if task is not None:
                door.connections.discard(task)
            stream.on_gone = None
            stream.close()

    async def _converse(self, inbound: Inbound, door: DoorState, admit: Admit | None) -> None:
        tunnel: Tunnel | None = None
        familiar = Familiar()
        while True:
            request = await self._read(inbound, door)
            if request is None:
                return
            opened: Tunnel | None = None
            try:
                if admit is not None and tunnel is None:
                    door = await admit(request)
                opened = await self._answer(inbound, door, request, tunnel, familiar)
            except Refused as refusal:
                await inbound.answer(refusal.answer)
                if refusal.answer.closes:
                    return
                await inbound.discard_body()
            except ResponseCut:
                inbound.stream.abort()
                return
            if opened is not None:
                tunnel = opened
                inbound = Inbound(inbound.stream, self._proxy.deadlines)
            elif not inbound.begin_next():
                return

    async def _read(self, inbound: Inbound, door: DoorState) -> Request | None:
        try:
            return await inbound.read_request()
        except BadHead as bad:
            await self._refuse_and_answer(inbound, door, answers.bad_request(bad.reason))
        except TimeoutError:
            late = answers.bad_request("the request's head was not sent in time", status=408, code="head_too_slow")
            await self._refuse_and_answer(inbound, door, late)
        return None

    async def _refuse_and_answer(self, inbound: Inbound, door: DoorState, answer: Answer) -> None:
        try:
            await refuse(self._proxy, door, answer, "")
        except Refused as refusal:
            await inbound.answer(refusal.answer)

    async def _answer(
        self, inbound: Inbound, door: DoorState, request: Request, tunnel: Tunnel | None, familiar: Familiar
    ) -> Tunnel | None:
        """Answer one request; return the tunnel that it has opened, if it asked for one. Raises Refused,
        ResponseCut."""
        try:
            entry = familiar.read(request, tunnel, self._proxy.policy)
            if door.hold.is_on:
                is_route = not isinstance(entry, OpenTunnel) and entry.route is not None
                await wait_for_start(self._proxy, door, _shown(request), is_route=is_route)
                entry = familiar.read(request, tunnel, self._proxy.policy)  # a lease may bring another policy
        except TargetRefused as refusal:
            await refuse(self._proxy, door, answers.bad_request(refusal.reason), _shown(request))
        except Misdirected:
            reason = "the Host header names another host than the tunnel's"
            await refuse(
                self._proxy, door, answers.bad_request(reason, status=421, code="misdirected"), _shown(request)
            )
        if isinstance(entry, OpenTunnel):
            return await self._open_tunnel(inbound, door, entry.authority)
        call = Call(self._proxy, door, entry, familiar, is_websocket=request.wants_websocket)
        await exchange(call, inbound, request)
        return None

    async def _open_tunnel(self, inbound: Inbound, door: DoorState, authority: Authority) -> Tunnel:
        """Decide, and only then make a certificate and shake hands. Where plain http is granted, what comes first says
        which of the two is spoken: both are judged request by request."""
        shown = f"CONNECT https://{authority.host}:{authority.port}"
        deadline_s = self._proxy.deadlines.handshake_s
        if self._proxy.is_frozen:
            await refuse(self._proxy, door, answers.FROZEN, shown)
        speakable = decide_tunnel(authority, door.lease, self._proxy.policy, time.time())
        if isinstance(speakable, Deny):
            await refuse(self._proxy, door, answers.denied(speakable), shown)
        if "http" in speakable:
            inbound.accept_tunnel()
            if not await inbound.stream.begins_tls(deadline_s):
                return Tunnel(authority=authority, scheme="http")
        context = self._proxy.authority.context_for(authority.host)
        if "http" not in speakable:
            inbound.accept_tunnel()
        try:
            await inbound.stream.start_tls(context, deadline_s)
        except (OSError, StreamBroken) as error:
            await self._note_failed_handshake(door, authority, error)
            raise StreamBroken(f"the handshake failed: {error}") from error
        return Tunnel(authority=authority, scheme="https")

    async def _note_failed_handshake(self, door: DoorState, authority: Authority, error: Exception) -> None:
        """Nothing can be answered any more; the record and the host are told."""
        scheme: Scheme = "https"
        answer = answers.bad_request("the handshake failed", code="tls_refused")
        if isinstance(error, ssl.SSLError) and error.reason == "HTTP_REQUEST" and door.lease is not None:
            scheme = "http"
            deny = host_not_granted(scheme, authority.host, authority.port, None, door.lease.group_id)
            answer = answers.denied(deny)
        try:
            await refuse(self._proxy, door, answer, f"CONNECT {scheme}://{authority.host}:{authority.port}")
        except Refused:
            return


def _shown(request: Request) -> str:
    """A request that did not come to be a call, for the record."""
    return f"{request.method[:20]} {request.target.partition('?')[0][:MAX_SHOWN_CHARS]}"


def refuse_long_path(path: Path) -> None:
    """Raise DoorRefused where the kernel would cut a socket's path off."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise DoorRefused(
            "path_too_long",
            f"the socket path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes",
            "set NIGHTYARD_HOME to a shorter path",
        )


def _cancel(task: asyncio.Task[None]) -> None:
    """The container has gone: what it asked for ends, so that no model goes on writing for nobody."""
    task.cancel()


def _give_to(path: Path, uid: int | None) -> None:
    """Let the container's user connect, and nobody else."""
    if uid is not None and os.geteuid() == 0:
        os.chown(path, uid, -1, follow_symlinks=False)
