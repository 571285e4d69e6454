"""Socket Mode: tickets, the sockets that share the traffic, envelopes that come again until they are acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from twins.faults import Faults
from twins.slack.background import Background
from twins.slack.world import APP_ID, World

Json = dict[str, Any]

MAX_SOCKETS = 10
CONNECTION_S = 18_060
"""How long a socket is kept; the platform says so in `hello`."""
WARNING_S = 10
ACK_S = 3.0
REDELIVERY_S = (0.0, 60.0, 300.0)
TICKET_S = 60.0
PING_S = 15.0
"""Real seconds between the server's own pings."""


@dataclass(eq=False, slots=True, kw_only=True)
class Socket:
    channel: web.WebSocketResponse
    number: int
    is_silent: bool = False
    """It stays open and says nothing any more, to pings neither."""
    is_leaving: bool = False
    """It was told to go: nothing new is given to it."""


@dataclass(eq=False, slots=True, kw_only=True)
class Delivery:
    kind: str
    """`events_api`, `interactive` or `slash_commands`."""
    name: str
    """What faults know it by: the event's type, else the kind."""
    payload: Json
    takes_answer: bool = False
    settled: Callable[[Json | None], None] | None = None
    """Is told what the acknowledgement brought; None when nobody acknowledged in time."""


class Sockets:
    def __init__(self, world: World, faults: Faults, background: Background) -> None:
        self._world = world
        self._faults = faults
        self._background = background
        self._tickets: dict[str, float] = {}
        self._sockets: list[Socket] = []
        self._unacknowledged: dict[str, asyncio.Future[Json | None]] = {}
        self._turn = asyncio.Lock()
        """Whose envelope goes next: what waits for a socket is not overtaken by what is newer."""
        self._arrival: asyncio.Future[Json | None] | None = None
        self.ping_s = PING_S
        self._held: list[Delivery] = []
        self._late: list[Delivery] = []
        self._turns = itertools.count()
        self._numbers = itertools.count(1)

    async def close(self) -> None:
        """End every socket."""
        for socket in list(self._sockets):
            await socket.channel.close(code=WSCloseCode.GOING_AWAY)

    def open_ticket(self) -> str:
        """Return the address of a new socket; it is good once, and for a minute."""
        ticket = uuid.uuid4().hex
        self._tickets[ticket] = self._world.clock.now() + TICKET_S
        return f"{self._world.address.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP_ID}"

    def deliver(self, delivery: Delivery) -> Delivery:
        """Send this to one of the app's sockets, now or when a fault lets it."""
        fault = self._faults.take(delivery.name, ("hold", "reorder", "duplicate"))
        match fault.kind if fault else "":
            case "hold":
                self._held.append(delivery)
                return delivery
            case "reorder":
                self._late.append(delivery)
                return delivery
            case "duplicate":
                self._start(delivery)
                self._start(Delivery(kind=delivery.kind, name=delivery.name, payload=delivery.payload))
            case _:
                self._start(delivery)
        late, self._late = self._late, []
        for behind in late:
            self._start(behind)
        return delivery

    def release(self) -> None:
        """Send what faults kept back."""
        kept, self._held, self._late = [*self._held, *self._late], [], []
        for delivery in kept:
            self._start(delivery)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket from its ticket to its end."""
        until = self._tickets.pop(request.query.get("ticket", ""), 0.0)  # burned, whatever comes of it
        refused = self._faults.take("socket", ("refuse_socket",))
        if refused is not None or until < self._world.clock.now():
            self._world.log.note("socket_refused", burned=refused is not None)
            return web.Response(status=408, text="ticket expired or used")
        channel = web.WebSocketResponse(autoping=False, timeout=1.0, max_msg_size=16 << 20)
        await channel.prepare(request)
        socket = Socket(channel=channel, number=next(self._numbers))
        if len(self._sockets) >= MAX_SOCKETS:
            await self._disconnect(socket, "too_many_websockets")
            return channel
        self._sockets.append(socket)
        self._world.log.note("socket_opened", socket=socket.number, open=len(self._sockets))
        try:
            await channel.send_json(self._hello(request.host))
            if self._arrival is not None and not self._arrival.done():
                self._arrival.set_result({})
            async with asyncio.TaskGroup() as tasks:
                aging, pinging = tasks.create_task(self._age(socket)), tasks.create_task(self._ping(socket))
                self.strike()
                await self._read(socket)
                aging.cancel()
                pinging.cancel()
        except* ConnectionError:
            pass  # the client is gone, which is what the loop waited for
        finally:
            self._sockets.remove(socket)
            self._world.log.note("socket_closed", socket=socket.number, code=channel.close_code)
        return channel

    def strike(self) -> None:
        """Let the faults of sockets hit those that are open."""
        for socket in [socket for socket in self._sockets if not socket.is_silent]:
            if self._faults.take("socket", ("silent_socket",)):
                socket.is_silent = True
            elif fault := self._faults.take("socket", ("close_socket",)):
                socket.is_leaving = True
                self._background.spawn(socket.channel.close(code=fault.code))

    async def disconnect_all(self, reason: str) -> None:
        """Tell every socket to go, for that reason."""
        for socket in list(self._sockets):
            await self._disconnect(socket, reason)

    def _hello(self, host: str) -> Json:
        debug = {"host": host, "build_number": 1, "approximate_connection_time": CONNECTION_S}
        count = sum(1 for socket in self._sockets if not socket.is_leaving)
        return {"type": "hello", "num_connections": count, "debug_info": debug, "connection_info": {"app_id": APP_ID}}

    async def _disconnect(self, socket: Socket, reason: str) -> None:
        """Tell one to go: a warning is only that, a refresh leaves it a little while, every other reason ends it."""
        socket.is_leaving = reason != "warning"
        self._world.log.note("socket_disconnect", socket=socket.number, reason=reason)
        if not socket.is_silent and not socket.channel.closed:
            app = {"connection_info": {"app_id": APP_ID}, "num_connections": len(self._sockets)}
            told = {"type": "disconnect", "reason": reason, "debug_info": {"host": "twin"}, **app}
            await socket.channel.send_json(told)
        if reason == "refresh_requested":
            self._background.spawn(self._close_later(socket))
        elif reason != "warning":
            await socket.channel.close()

    async def _close_later(self, socket: Socket) -> None:
        await self._world.clock.sleep(WARNING_S)
        await socket.channel.close()

    async def _age(self, socket: Socket) -> None:
        """A socket is warned, then told to go, then ended: a client that heeds the first has no gap."""
        with suppress(ConnectionError):
            await self._world.clock.sleep(CONNECTION_S - WARNING_S)
            await self._disconnect(socket, "warning")
            await self._world.clock.sleep(WARNING_S)
            await self._disconnect(socket, "refresh_requested")

    async def _ping(self, socket: Socket) -> None:
        with suppress(ConnectionError):
            while not socket.channel.closed:
                await asyncio.sleep(self.ping_s)
                if not socket.is_silent:
                    await socket.channel.ping(b"Ping from the twin")

    async def _read(self, socket: Socket) -> None:
        async for message in socket.channel:
            if message.type is WSMsgType.PING:
                if not socket.is_silent:
                    await socket.channel.pong(message.data)
            elif message.type is WSMsgType.TEXT and not socket.is_silent:
                self._acknowledge(message.data)

    def _acknowledge(self, text: str) -> None:
        try:
            answer = json.loads(text)
            envelope_id = str(answer["envelope_id"])
        except (ValueError, KeyError, TypeError):
            self._world.log.note("ack_unreadable", text=text[:200])
            return
        waiting = self._unacknowledged.pop(envelope_id, None)
        self._world.log.note("ack", envelope_id=envelope_id, known=waiting is not None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer.get("payload") or {})

    def _start(self, delivery: Delivery) -> None:
        self._background.spawn(self._deliver(delivery))

    async def _deliver(self, delivery: Delivery) -> None:
        """Send until acknowledged: events four times in all, a press or a command once."""
        reason = ""
        retries = REDELIVERY_S if delivery.kind == "events_api" else ()
        for attempt, wait_s in enumerate((0.0, *retries)):
            if wait_s:
                await self._world.clock.sleep(wait_s)
            answer, reason = await self._attempt(delivery, attempt, reason)
            if answer is None:
                self._world.log.note("ack_missed", name=delivery.name, attempt=attempt, reason=reason)
                continue
            if self._faults.take(delivery.name, ("redeliver",)) is None:
                _settle(delivery, answer)
                return
            reason = "timeout"
        self._world.log.note("undelivered", kind=delivery.kind, name=delivery.name, reason=reason)
        _settle(delivery, None)

    async def _attempt(self, delivery: Delivery, attempt: int, reason: str) -> tuple[Json | None, str]:
        socket = await self._socket_in_turn()
        if socket is None:
            return None, "no_connection"
        envelope_id = str(uuid.uuid4())
        envelope: Json = {"envelope_id": envelope_id, "type": delivery.kind, "payload": delivery.payload}
        envelope["accepts_response_payload"] = delivery.takes_answer
        if delivery.kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        waiting: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._unacknowledged[envelope_id] = waiting
        self._world.log.note(
            "envelope", envelope_id=envelope_id, name=delivery.name, attempt=attempt, socket=socket.number
        )
        try:
            if not socket.is_silent:
                await socket.channel.send_json(envelope)
            answer = await self._answer_within(waiting, self._patience_s())
        except ConnectionError:
            return None, "connection_lost"
        finally:
            self._unacknowledged.pop(envelope_id, None)
        return answer, "timeout"

    async def _answer_within(self, waiting: asyncio.Future[Json | None], limit_s: float) -> Json | None:
        async with asyncio.TaskGroup() as tasks:
            deadline = tasks.create_task(self._world.clock.sleep(limit_s))
            await asyncio.wait((waiting, deadline), return_when=asyncio.FIRST_COMPLETED)
            deadline.cancel()
        return waiting.result() if waiting.done() else None

    async def _socket_in_turn(self) -> Socket | None:
        """Return the socket for the next envelope; where none is open, wait as long as for an acknowledgement."""
        clock = self._world.clock
        until = clock.now() + self._patience_s()
        async with self._turn:
            socket, left_s = self._next_socket(), until - clock.now()
            if socket is None and left_s > 0:
                self._arrival = asyncio.get_running_loop().create_future()
                self._world.log.note("waits_for_socket")
                await self._answer_within(self._arrival, left_s)
                socket = self._next_socket()
        return socket

    def _patience_s(self) -> float:
        """Return how long an acknowledgement is waited for: three twin's seconds, but real ones on a fast clock."""
        return ACK_S * max(1.0, self._world.clock.scale)

    def _next_socket(self) -> Socket | None:
        ready = [socket for socket in self._sockets if not socket.is_leaving and not socket.channel.closed]
        return ready[next(self._turns) % len(ready)] if ready else None


def _settle(delivery: Delivery, answer: Json | None) -> None:
    if delivery.settled is not None:
        delivery.settled(answer)
