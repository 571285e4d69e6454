"""One WebSocket of a client: HELLO, who it is, its heartbeats, and what it may not do."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import Any

from aiohttp import WSMsgType, web

from twins.discord.gateway.compression import stream_for
from twins.discord.gateway.hub import Hub
from twins.discord.gateway.intents import KNOWN, PRIVILEGED, Intent
from twins.discord.gateway.protocol import (
    API_VERSIONS,
    EVENTS_PER_MINUTE,
    HEARTBEAT_INTERVAL_S,
    Close,
    Op,
    SocketClosed,
    read_payload,
)
from twins.discord.gateway.ready import guild_create, member_view, ready
from twins.discord.gateway.session import Session
from twins.discord.rest.limits import Limits
from twins.discord.world import Json

SOCKET_FAULTS = ("close_socket", "silent_socket")
_REPEATED_AFTER_RESUME = 3
_CLOSING_S = 2.0
_SILENT_LOOK_S = 0.05
_CODES = frozenset(Close)
_ENDS_SESSION = (Close.NOT_AUTHENTICATED, Close.ALREADY_AUTHENTICATED, Close.INVALID_SEQUENCE, Close.SESSION_TIMED_OUT)


class Socket:
    """A connection; a session's `Wire` while it lives."""

    def __init__(self, hub: Hub, address: str, limits: Limits) -> None:
        self._hub = hub
        self._world = hub.world
        self._address = address
        self._limits = limits
        self._websocket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False, autoping=False, autoclose=False)
        self._outgoing: asyncio.Queue[str | int] = asyncio.Queue()
        self._session: Session | None = None
        self._received_at: deque[float] = deque(maxlen=EVENTS_PER_MINUTE)
        self._interval_s = HEARTBEAT_INTERVAL_S / self._world.clock.scale
        """In the client's seconds, which are real ones: a clock that is put forward lets nobody's heart miss a beat."""
        self._beaten_at = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._goodbye: int | None = None
        """The code that the client closed with."""
        self._shut_with: int | None = None
        self._silent = False

    def send(self, text: str) -> None:
        self._outgoing.put_nowait(text)

    def close(self, code: int) -> None:
        self._outgoing.put_nowait(code)

    def silence(self) -> None:
        """Say nothing any more, and hear nothing."""
        self._silent = True

    def tell_to_leave(self, *, resumable: bool) -> None:
        """Ask the client to connect again: with its session, or with a new one because this one is over."""
        if resumable:
            self._say(Op.RECONNECT)
        else:
            self._say(Op.INVALID_SESSION, False)

    async def serve(self, request: web.BaseRequest) -> web.WebSocketResponse:
        """Serve the connection until either side ends it."""
        self._transport = request.transport
        await self._websocket.prepare(request)
        stream = stream_for(request.query.get("compress"))
        async with asyncio.TaskGroup() as tasks:
            sides = [tasks.create_task(self._send_all(stream)), tasks.create_task(self._watch_heartbeats())]
            try:
                await self._talk(request.query.get("v", "10"))
            finally:
                for side in sides:
                    side.cancel()
                self._part()
        return self._websocket

    async def _talk(self, version: str) -> None:
        try:
            if version not in API_VERSIONS:
                raise SocketClosed(Close.INVALID_VERSION)
            interval_ms = max(1, int(self._interval_s * 1000))
            self._say(Op.HELLO, {"heartbeat_interval": interval_ms, "_trace": ["twin"]})
            await self._receive_all()
        except SocketClosed as closed:
            await self._shut(closed.code)

    async def _receive_all(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return None
            if self._silent:
                if message.type is WSMsgType.CLOSE:
                    return await self._stay_silent()
            elif message.type is WSMsgType.CLOSE:
                self._goodbye = message.data
                await self._websocket.close()
                return None
            elif message.type is WSMsgType.PING:
                await self._websocket.pong(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._count_received()
                await self._handle(*read_payload(message.data))

    async def _stay_silent(self) -> None:
        """Leave a client's goodbye unanswered, until it breaks the connection."""
        while self._transport is not None and not self._transport.is_closing():  # noqa: ASYNC110 (aiohttp has no event for it)
            await asyncio.sleep(_SILENT_LOOK_S)

    def _count_received(self) -> None:
        now = self._world.now
        if self._limits.is_on and len(self._received_at) == EVENTS_PER_MINUTE and now - self._received_at[0] < 60:
            raise SocketClosed(Close.RATE_LIMITED)
        self._received_at.append(now)

    async def _handle(self, op: int, data: Any) -> None:
        self._world.log.note("gateway_received", op=op)
        match op:
            case Op.HEARTBEAT:
                self._beaten_at = time.monotonic()
                if self._session is not None:
                    self._session.acknowledge(data)
                self._say(Op.HEARTBEAT_ACK)
            case Op.IDENTIFY:
                self._identify(_record(data))
            case Op.RESUME:
                self._resume(_record(data))
            case Op.REQUEST_MEMBERS:
                self._send_members(_record(data))
            case Op.PRESENCE | Op.VOICE_STATE | Op.REQUEST_SOUNDS | Op.REQUEST_CHANNEL_INFO:
                self._known_session()
            case _:
                raise SocketClosed(Close.UNKNOWN_OPCODE)

    def _identify(self, data: Json) -> None:
        if self._session is not None:
            raise SocketClosed(Close.ALREADY_AUTHENTICATED)
        self._check_token(data.get("token"))
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~KNOWN:
            raise SocketClosed(Close.INVALID_INTENTS)
        if intents & PRIVILEGED & ~self._world.privileged_intents:
            raise SocketClosed(Close.DISALLOWED_INTENTS)
        shard = data.get("shard") or [0, 1]
        if not (isinstance(shard, list) and len(shard) == 2 and 0 <= shard[0] < shard[1]):
            raise SocketClosed(Close.INVALID_SHARD)
        if self._limits.is_on and not self._hub.may_identify():
            self._world.log.note("identify_limited")
            self._say(Op.INVALID_SESSION, False)
            return
        self._session = session = self._hub.open_session(intents, self)
        session.dispatch("READY", ready(self._world, session.id, self._address, shard))
        self._world.log.note("identified", session=session.id, intents=intents)
        if intents & Intent.GUILDS and self._world.bot_id in self._world.members:
            session.dispatch("GUILD_CREATE", guild_create(self._world, intents))
        self._take_socket_fault()

    def _resume(self, data: Json) -> None:
        if self._session is not None:
            raise SocketClosed(Close.ALREADY_AUTHENTICATED)
        self._check_token(data.get("token"))
        session = self._hub.find_session(str(data.get("session_id")))
        if session is not None and self._take("no_resume"):
            self._hub.end_session(session)
            session = None
        if session is None:
            self._world.log.note("resume_refused")
            self._say(Op.INVALID_SESSION, False)
            return
        sequence = data.get("seq")
        if not isinstance(sequence, int) or sequence > session.sequence:
            raise SocketClosed(Close.INVALID_SEQUENCE)
        if session.wire is not None:
            session.wire.close(Close.UNKNOWN_ERROR)
        self._session = session
        session.resume(self, sequence, _REPEATED_AFTER_RESUME if self._take("duplicate") else 0)
        self._world.log.note("resumed", session=session.id, after=sequence)
        self._take_socket_fault()

    def _take_socket_fault(self) -> None:
        fault = self._hub.faults.take("gateway", SOCKET_FAULTS)
        if fault is not None and fault.kind == "close_socket":
            self.close(fault.code)
        elif fault is not None:
            self.silence()

    def _take(self, kind: str) -> bool:
        """Take a fault of a resume, prepared for `resume` or for the whole `gateway`."""
        return any(self._hub.faults.take(method, (kind,)) is not None for method in ("resume", "gateway"))

    def _check_token(self, token: object) -> None:
        refused = self._hub.faults.take("gateway", ("unauthorized",)) is not None
        if refused or not isinstance(token, str) or token.removeprefix("Bot ") != self._world.token:
            raise SocketClosed(Close.AUTHENTICATION_FAILED)

    def _known_session(self) -> Session:
        if self._session is None:
            raise SocketClosed(Close.NOT_AUTHENTICATED)
        return self._session

    def _send_members(self, data: Json) -> None:
        """Answer opcode 8: everybody for those with the intent, else who was named or whose name begins so."""
        session = self._known_session()
        wanted = data.get("user_ids")
        wanted_ids = [wanted] if isinstance(wanted, str) else list(wanted or ())
        query, limit = data.get("query"), int(data.get("limit") or 0)
        if query == "" and not session.intents & Intent.GUILD_MEMBERS:
            return
        found = wanted_ids
        if query is not None:
            found = [one for one in self._world.members if self._world.users[one]["username"].startswith(query)]
            found = found[:limit] if limit else found
        chunk: Json = {
            "guild_id": self._world.guild_id,
            "members": [member_view(self._world, one) for one in found if one in self._world.members],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [one for one in wanted_ids if one not in self._world.members],
        }
        if data.get("presences"):
            chunk["presences"] = []
        if data.get("nonce") is not None:
            chunk["nonce"] = data["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)

    def _say(self, op: Op, data: object = None) -> None:
        self.send(json.dumps({"op": op, "d": data, "s": None, "t": None}, separators=(",", ":")))

    async def _send_all(self, stream: Any) -> None:
        while True:
            item = await self._outgoing.get()
            if isinstance(item, int):
                await self._shut(item)
                return
            if self._silent:
                continue
            try:
                if stream is None:
                    await self._websocket.send_str(item)
                else:
                    await self._websocket.send_bytes(stream.pack(item))
            except (ConnectionError, RuntimeError):
                return  # the client is gone; receiving has noticed or will

    async def _watch_heartbeats(self) -> None:
        while not self._silent:
            await asyncio.sleep(self._interval_s)
            if time.monotonic() - self._beaten_at > 2 * self._interval_s and not self._silent:
                self.close(Close.SESSION_TIMED_OUT)
                return

    async def _shut(self, code: int) -> None:
        self._shut_with = code
        words = Close(code).words if code in _CODES else ""
        self._world.log.note("gateway_closed", code=code)
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._websocket.close(code=code, message=words.encode())
        except TimeoutError:
            pass  # a client that does not close its side is not waited for

    def _part(self) -> None:
        """Keep the session for a resume, unless the client said goodbye or Discord would not take it up again."""
        self._world.log.note("gateway_parted", code=self._goodbye or self._shut_with)
        session = self._session
        if session is None or session.wire is not self:
            return
        code = self._shut_with
        refused = code is not None and (code in _ENDS_SESSION or (code in _CODES and Close(code).is_final))
        if self._goodbye in (1000, 1001) or refused:
            self._hub.end_session(session)
        else:
            session.lose(self._world.now)


def _record(data: Any) -> Json:
    if not isinstance(data, dict):
        raise SocketClosed(Close.DECODE_ERROR)
    return data
