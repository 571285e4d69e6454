"""The loopback door that services post to, through whatever makes exactly `/hooks/…` public.

h11 over asyncio streams. The key of a hook is fetched for each request and kept nowhere; what a stranger is told says
no more than a status. A request is answered when it is stored.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import h11

from channels.webhook.decode import envelope
from channels.webhook.hook import PATH, Hook
from channels.webhook.schemes import Unsigned, check_signature

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 << 20
"""Of one request; GitHub's are cut at 25 MB by GitHub, and are a hundred times smaller."""
MAX_HEAD_BYTES = 32 << 10
MAX_CONNECTIONS = 32
REQUEST_TIMEOUT_S = 30.0
"""From the first byte of a request to its last."""
STORE_TIMEOUT_S = 8.0
"""For the key and the store; GitHub waits 10 s for an answer, Svix 15 s, and both post it again."""
READ_BYTES = 64 << 10

Accept = Callable[[str, bytes], Awaitable[None]]
"""Event id, raw form: returns when it is stored."""
FetchSecret = Callable[[str], Awaitable[str]]


class _Refused(Exception):
    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class _Gone(Exception):
    """The client closed its connection."""


class WebhookDoor:
    """Listens on a port of loopback until cancelled."""

    def __init__(self, address: str, hooks: Callable[[], Mapping[str, Hook]], fetch_secret: FetchSecret) -> None:
        """`address`: `http://127.0.0.1:PORT`; the port 0 is any, and `port` says which."""
        parts = urlsplit(address)
        self._host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 0
        self._hooks = hooks
        self._fetch_secret = fetch_secret
        self._connections = 0
        self.listening = asyncio.Event()

    async def run(self, accept: Accept) -> None:
        """Serve until cancelled. Raises OSError where the port cannot be had."""
        async with asyncio.TaskGroup() as connections:

            def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                serving = connections.create_task(self._serve(_Connection(reader, writer), accept))
                serving.add_done_callback(lambda _: writer.close())

            server = await asyncio.start_server(begin, self._host, self.port)
            self.port = server.sockets[0].getsockname()[1]
            log.info("webhooks at http://%s:%d/hooks/", self._host, self.port, extra={"action": "webhooks_listen"})
            try:
                self.listening.set()
                await asyncio.get_running_loop().create_future()
            finally:
                self.listening.clear()
                server.close()

    async def _serve(self, connection: _Connection, accept: Accept) -> None:
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                await connection.answer(503, "too many connections")
                return
            while True:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    if not await connection.next_request():
                        return
                    await self._answer(connection, accept)
                if not connection.start_again():
                    return
        except (_Gone, TimeoutError, ConnectionError, h11.LocalProtocolError):
            log.debug("a client of the webhooks went away", extra={"action": "webhook_client_gone"})
        except h11.RemoteProtocolError:
            with suppress(_Gone, ConnectionError, h11.LocalProtocolError):
                await connection.answer(400, "this is not HTTP")
        finally:
            self._connections -= 1

    async def _answer(self, connection: _Connection, accept: Accept) -> None:
        try:
            await self._take(connection, accept)
        except _Refused as refused:
            await connection.answer(refused.status, refused.said)
        else:
            await connection.answer(202, "accepted")

    async def _take(self, connection: _Connection, accept: Accept) -> None:
        hook = self._hook_of(connection)
        body = await connection.body()
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                secret = await self._secret(hook)
                checked = check_signature(hook.scheme, secret, connection.headers, body, time.time())
                if isinstance(checked, Unsigned):
                    extra = {"action": "webhook_unsigned", "hook": hook.name}
                    log.warning("a request to the hook %s was refused: %s", hook.name, checked.reason, extra=extra)
                    raise _Refused(401, checked.reason)
                raw = envelope(hook.name, checked.event, connection.headers.get("content-type", ""), body)
                await accept(f"{hook.name}:{checked.event_id}", raw)
        except TimeoutError:
            raise _Refused(503, "it could not be stored in time: post it again") from None

    def _hook_of(self, connection: _Connection) -> Hook:
        found = PATH.fullmatch(connection.path)
        hook = self._hooks().get(found[1]) if found else None
        if hook is None:
            raise _Refused(404, "there is no such hook")
        if connection.method != "POST":
            raise _Refused(405, "post it")
        return hook

    async def _secret(self, hook: Hook) -> str:
        try:
            return await self._fetch_secret(hook.secret)
        except TimeoutError:
            raise
        except Exception as error:  # the vault is another process: whatever it says, the service posts it again
            extra = {"action": "webhook_secret_missing", "hook": hook.name}
            log.error("the key of the hook %s could not be had: %s", hook.name, error, extra=extra)
            raise _Refused(503, "this hook cannot be checked now") from error


class _Connection:
    """One client's requests and answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.method = self.path = ""
        self.headers: Mapping[str, str] = {}

    async def next_request(self) -> bool:
        """Read the head of the next request; False if there is none any more."""
        event = await self._next_event()
        if not isinstance(event, h11.Request):
            return False
        self.method = event.method.decode("ascii")
        self.path = event.target.decode("ascii", "replace").partition("?")[0]
        self.headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        return True

    async def body(self) -> bytes:
        pieces, size = list[bytes](), 0
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise _Gone
            size += len(event.data)
            if size > MAX_BODY_BYTES:
                raise _Refused(413, f"the body is larger than {MAX_BODY_BYTES >> 20} MiB")
            pieces.append(bytes(event.data))
        return b"".join(pieces)

    async def answer(self, status: int, said: str) -> None:
        body = json.dumps({"status" if status < 300 else "error": said}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        if self._http.their_state is h11.SEND_BODY:
            headers.append(("connection", "close"))  # what it says was not read
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    def start_again(self) -> bool:
        """Make ready for the next request of this connection; False where there is none."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(READ_BYTES))
        return event

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()
