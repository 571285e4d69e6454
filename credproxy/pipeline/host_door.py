"""The loopback door: a TCP port of this machine for tools on the host, off unless the settings name one.

Any program of the machine may connect, so that here it is a token that says who asks (`tokens/token.py`): every request
outside a tunnel shows it, and a tunnel is its opener's. From there on it is a door like a container's (`door.py`), with
a lease of the proxy's own making that ends with the token.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

from credproxy.audit.jobs import AuditFailed
from credproxy.pipeline import answers
from credproxy.pipeline.door import MAX_CONNECTIONS, Doors
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.pipeline.refusal import Refused, refuse
from credproxy.tokens.token import HostToken, find_token_text, lease_of
from credproxy.tokens.token_file import TokenFile
from credproxy.wire.answer import Answer
from credproxy.wire.plain import Request
from credproxy.wire.stream import Stream
from protocol.ids import DoorId

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
BACKLOG = 64
MAX_SHOWN_CHARS = 120
LONGEST_TIMER_S = 3600.0
"""A clock that is set forward ends a token no later than this after its time."""

_TOKEN_WANTED = Answer(
    status=407,
    code="token_wanted",
    message="This door is for tools of the host that show a valid token: it is missing, expired or revoked.",
    grant_with="nightyard token add GROUP",
)
_ANOTHER_TOKEN = Answer(
    status=407,
    code="token_changed",
    message="Another token than this connection's was shown; use another connection.",
    closes=True,
)
_FULL = Answer(
    status=503,
    code="too_many_connections",
    message=f"This token has {MAX_CONNECTIONS} connections open; close some.",
    may_retry=True,
    closes=True,
)


class HostDoor:
    """Listens where the settings say, while `run` runs."""

    def __init__(
        self,
        proxy: CredentialProxy,
        doors: Doors,
        tokens: TokenFile,
        wanted_port: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`wanted_port` says which port the settings name now; 0: none."""
        self._proxy = proxy
        self._doors = doors
        self.tokens = tokens
        self._wanted_port = wanted_port
        self.clock = clock
        self._strangers = DoorState(DoorId("host_door"))
        """Whose requests are until they have shown a token."""
        self._unknown: dict[asyncio.Task[None], Stream] = {}
        """Connections that have shown no token yet, the oldest first."""
        self._server: asyncio.Server | None = None
        self._group: asyncio.TaskGroup | None = None
        self._settling = asyncio.Lock()
        self._entering = asyncio.Lock()
        self._changed = asyncio.Event()
        self._asked_port = 0
        self.problem = ""
        """Why it does not listen although it should."""

    @property
    def port(self) -> int:
        """The port that it listens on; 0: it does not."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def run(self) -> None:
        """Listen as the settings say until cancelled; then close, and end what goes on."""
        self._proxy.when_reloaded.append(self._changed.set)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                while True:
                    await self.settle()
                    await self._changed.wait()
                    self._changed.clear()
        finally:
            self._group = None
            self._proxy.when_reloaded.remove(self._changed.set)
            self._close()

    async def settle(self) -> None:
        """Bring the listener to what the settings say now."""
        async with self._settling:
            wanted = self._wanted_port()
            if self._group is None or (wanted == self._asked_port and not self.problem):
                return
            if wanted != self._asked_port:
                self._close()
            self._asked_port, self.problem = wanted, ""
            if wanted:
                await self._listen(wanted)

    def end(self, token: HostToken) -> None:
        """End what goes on under a token that has been revoked or has expired."""
        state = self._proxy.doors.pop(DoorId(token.token_id), None)
        if state is not None:
            self._proxy.end(state)
            state.cut()

    async def _listen(self, port: int) -> None:
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Stream(self._accept), ADDRESS, port, backlog=BACKLOG
            )
        except OSError as error:
            why = os.strerror(error.errno or 0)
            self.problem = f"host_door_port: nothing can listen on {ADDRESS} port {port}: {why}"
            self._proxy.problems = (*self._proxy.problems, self.problem)
            log.warning("%s", self.problem, extra={"action": "host_door_failed", "port": port})
            return
        log.info("the loopback door is open", extra={"action": "host_door_open", "port": port})

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._strangers.cut()
            for token in self.tokens.tokens(0.0):
                self.end(token)
            log.info("the loopback door is closed", extra={"action": "host_door_closed"})

    def _accept(self, stream: Stream) -> None:
        if self._group is None:
            stream.abort()
            return
        guest = _Guest(self)
        task = self._group.create_task(self._serve(stream, guest), name="host door")
        self._make_room()
        guest.join(self._strangers, task)
        self._unknown[task] = stream

        def leave() -> None:
            task.cancel()

        stream.on_gone = leave

    def _make_room(self) -> None:
        """End the oldest of those that say nothing: a tool shows its token at once, and any program may connect here,
        as often as it likes."""
        while len(self._unknown) >= MAX_CONNECTIONS:
            oldest, stream = next(iter(self._unknown.items()))
            self.forget(oldest)
            oldest.cancel()
            stream.abort()  # one that has not begun yet will not close it

    def forget(self, task: asyncio.Task[None]) -> None:
        """A connection has shown its token, or is over."""
        self._unknown.pop(task, None)
        self._strangers.connections.discard(task)

    async def _serve(self, stream: Stream, guest: _Guest) -> None:
        try:
            await self._doors.serve(stream, self._strangers, guest.admit)
        finally:
            guest.leave()

    async def admit(self, request: Request) -> tuple[HostToken, DoorState]:
        """Return whose token a request shows, and what that may do; raises Refused."""
        text = find_token_text(request.headers, is_route=request.target.startswith("/"))
        token = self.tokens.find(text, self.clock()) if text else None
        state = await self._enter(token) if token is not None else None
        if token is None or state is None:
            shown = f"{request.method[:20]} {request.target.partition('?')[0][:MAX_SHOWN_CHARS]}"
            await refuse(self._proxy, self._strangers, _TOKEN_WANTED, shown)
        return token, state

    async def _enter(self, token: HostToken) -> DoorState | None:
        """Return what a token's bearer may do, made when it is first shown; None if it was revoked meanwhile."""
        door_id = DoorId(token.token_id)
        async with self._entering:
            state = self._proxy.doors.get(door_id)
            if state is None:
                state = DoorState(door_id)
                try:
                    await self._proxy.grant(state, lease_of(token, self._proxy.purses.of(token.group_id)))
                except AuditFailed as failure:
                    raise Refused(answers.AUDIT_FAILED) from failure
                if not self.tokens.has(token):
                    self._proxy.end(state)
                    return None
                self._proxy.doors[door_id] = state
                self._watch(token)
        return state

    def _watch(self, token: HostToken) -> None:
        """End what goes on under a token when its time is over: a tunnel or a download may last longer."""
        left_s = token.expires_at - self.clock()
        if left_s <= 0:
            self.end(token)
        elif DoorId(token.token_id) in self._proxy.doors:
            asyncio.get_running_loop().call_later(min(left_s, LONGEST_TIMER_S), self._watch, token)


class _Guest:
    """One connection, and whose it is by now."""

    def __init__(self, door: HostDoor) -> None:
        self._door = door
        self._state: DoorState | None = None
        self._token: HostToken | None = None
        self._task: asyncio.Task[None] | None = None

    def join(self, state: DoorState, task: asyncio.Task[None]) -> None:
        """Let the connection be cut with those of a token, or of the strangers."""
        self.leave()
        self._state, self._task = state, task
        state.connections.add(task)

    def leave(self) -> None:
        if self._state is not None and self._task is not None:
            self._state.connections.discard(self._task)
            self._door.forget(self._task)

    async def admit(self, request: Request) -> DoorState:
        """Return whose a request is; a connection belongs to the first token that it shows. Raises Refused."""
        token, state = await self._door.admit(request)
        if self._token is None and self._task is not None:
            if len(state.connections) >= MAX_CONNECTIONS:
                raise Refused(_FULL)
            self._token = token
            self.join(state, self._task)
        elif token != self._token:
            raise Refused(_ANOTHER_TOKEN)
        return state
