"""The loopback door that services post to, through whatever makes exactly `/hooks/…` public.

h11 over asyncio streams. The key of a hook is kept for seconds only. What a stranger is told says no more than a
status, and what strangers may take of the host is bounded. A request is answered when it is stored.
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
MAX_PIECES, LEAST_PIECE_BYTES = 2_000, 512
"""A body may come in so many pieces, and one more for so many bytes: a million of one byte would hold up the host."""
MAX_CONNECTIONS = 32
"""One more is let in for the oldest whose request is not known to be signed: strangers shut nobody out."""
MAX_UNCHECKED_BYTES = 16 << 20
"""Of all bodies together that are not known to be signed; beyond it the oldest of them goes."""
REQUEST_TIMEOUT_S = 30.0
"""From the first byte of a request to its last."""
CLOSE_TIMEOUT_S = 5.0
"""For a client to read its answer."""
WARN_EVERY_S = 10.0
"""How often the log says the same of one hook: anybody can post to it."""
KEY_KEPT_S = 10.0
"""Each time that the vault gives a key it notes so on the disk."""
STORE_TIMEOUT_S = 8.0
"""For the key and the store; GitHub waits 10 s for an answer, Svix 15 s, and both post it again."""
READ_BYTES = 64 << 10
SIGNED_BY = ("x-nightyard-", "svix-", "x-hub-", "x-github-")
"""How the headers begin that the schemes read."""
FULL = b"HTTP/1.1 503 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
"""The answer while as many signed requests as may be are being stored."""

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
        self._serving = 0
        self._unchecked: dict[_Connection, asyncio.Task[None]] = {}
        """By connection, those that came first before the others: who serves it, until its request is known to be
        signed, and again from its answer on."""
        self._warned: dict[tuple[str, str], tuple[float, int]] = {}
        """By what is told, and of which hook: when the log last said so, and how often it was left out since."""
        self._keys: dict[str, tuple[float, str]] = {}
        """By a key's name: when it was fetched, and the key."""
        self.listening = asyncio.Event()

    async def run(self, accept: Accept) -> None:
        """Serve until cancelled. Raises OSError where the port cannot be had."""
        async with asyncio.TaskGroup() as connections:

            def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if self._serving >= MAX_CONNECTIONS and not self._shut_out_oldest():
                    writer.write(FULL)
                    writer.close()
                    return
                connection = _Connection(reader, writer)
                self._serving += 1
                self._unchecked[connection] = connections.create_task(self._serve(connection, accept))
                self._unchecked[connection].add_done_callback(lambda _: self._over(connection))

            server = await asyncio.start_server(begin, self._host, self.port)
            self.port = server.sockets[0].getsockname()[1]
            log.info("webhooks at http://%s:%d/hooks/", self._host, self.port, extra={"action": "webhooks_listen"})
            try:
                self.listening.set()
                await asyncio.get_running_loop().create_future()
            finally:
                self.listening.clear()
                server.close()

    def _shut_out_oldest(self) -> bool:
        """End the oldest connection whose request is not known to be signed; False if there is none."""
        for connection, serving in self._unchecked.items():
            log.debug("a client of the webhooks makes room", extra={"action": "webhook_client_shut_out"})
            del self._unchecked[connection]
            serving.cancel()
            return True
        return False

    def _over(self, connection: _Connection) -> None:
        self._serving -= 1
        self._unchecked.pop(connection, None)
        connection.abort()

    async def _serve(self, connection: _Connection, accept: Accept) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        try:
            while True:
                self._unchecked[connection] = serving
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    if not await connection.next_request():
                        break
                    await self._answer(connection, accept)
                if not connection.start_again():
                    break
            await connection.close()
        except (_Gone, TimeoutError, ConnectionError, h11.LocalProtocolError):
            log.debug("a client of the webhooks went away", extra={"action": "webhook_client_gone"})
        except h11.RemoteProtocolError:
            with suppress(_Gone, TimeoutError, ConnectionError, h11.LocalProtocolError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await connection.answer(400, "this is not HTTP")
                await connection.close()

    async def _answer(self, connection: _Connection, accept: Accept) -> None:
        try:
            await self._take(connection, accept)
        except _Refused as refused:
            await connection.answer(refused.status, refused.said)
        else:
            await connection.answer(202, "accepted")

    async def _take(self, connection: _Connection, accept: Accept) -> None:
        hook = self._hook_of(connection)
        body = await connection.body(self._make_room)
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                secret = await self._secret(hook)
                checked = check_signature(hook.scheme, secret, connection.headers, body, time.time())
                if isinstance(checked, Unsigned):
                    what = f"a request to the hook {hook.name} was refused: {checked.reason}"
                    self._tell("webhook_unsigned", hook, what)
                    raise _Refused(401, checked.reason)
                self._unchecked.pop(connection, None)
                raw = envelope(hook.name, checked.event, connection.headers.get("content-type", ""), body)
                await accept(f"{hook.name}:{checked.event_id}", raw)
        except TimeoutError:
            raise _Refused(503, "it could not be stored in time: post it again") from None

    def _make_room(self) -> None:
        while sum(each.held_bytes for each in self._unchecked) > MAX_UNCHECKED_BYTES:
            self._shut_out_oldest()

    def _tell(self, action: str, hook: Hook, what: str) -> None:
        """Tell the log, but not of each request that a stranger makes."""
        now = time.monotonic()
        told_at, left_out = self._warned.get((action, hook.name), (-WARN_EVERY_S, 0))
        if now - told_at < WARN_EVERY_S:
            self._warned[action, hook.name] = (told_at, left_out + 1)
            return
        self._warned[action, hook.name] = (now, 0)
        more = f" ({left_out} more like it since that was last said)" if left_out else ""
        log.warning("%s%s", what, more, extra={"action": action, "hook": hook.name})

    def _hook_of(self, connection: _Connection) -> Hook:
        found = PATH.fullmatch(connection.path)
        hook = self._hooks().get(found[1]) if found else None
        if hook is None:
            raise _Refused(404, "there is no such hook")
        if connection.method != "POST":
            raise _Refused(405, "post it")
        if connection.is_ambiguous:
            raise _Refused(400, "a header of the signature is there twice")
        return hook

    async def _secret(self, hook: Hook) -> str:
        now = time.monotonic()
        fetched_at, key = self._keys.get(hook.secret, (-KEY_KEPT_S, ""))
        if now - fetched_at < KEY_KEPT_S:
            return key
        self._keys.pop(hook.secret, None)
        try:
            key = await self._fetch_secret(hook.secret)
        except TimeoutError:
            raise
        except Exception as error:  # the vault is another process: whatever it says, the service posts it again
            self._tell("webhook_secret_missing", hook, f"the key of the hook {hook.name} could not be had: {error}")
            raise _Refused(503, "this hook cannot be checked now") from error
        self._keys[hook.secret] = (now, key)
        return key


class _Connection:
    """One client's requests and answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.method = self.path = ""
        self.headers: Mapping[str, str] = {}
        self.is_ambiguous = False
        """What says who it is from is there more than once: what stands before us may have read another one."""
        self.held_bytes = 0
        """Of the body that is being read."""

    async def next_request(self) -> bool:
        """Read the head of the next request; False if there is none any more."""
        event = await self._next_event()
        if not isinstance(event, h11.Request):
            return False
        self.method = event.method.decode("ascii")
        self.path = event.target.decode("ascii", "replace").partition("?")[0]
        self.headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        names = [name.decode("ascii") for name, _ in event.headers]
        self.is_ambiguous = any(name.startswith(SIGNED_BY) and names.count(name) > 1 for name in set(names))
        return True

    async def body(self, grew: Callable[[], None]) -> bytes:
        """Read the request's body; `grew` is told each time that `held_bytes` is more."""
        if int(self.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            raise _too_large()
        held, pieces = bytearray(), 0
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise _Gone
            held += event.data
            pieces += 1
            if pieces > MAX_PIECES + len(held) // LEAST_PIECE_BYTES:
                raise _Refused(400, "the body comes in too small pieces")
            if len(held) > MAX_BODY_BYTES:
                raise _too_large()
            self.held_bytes = len(held)
            grew()
        return bytes(held)

    async def answer(self, status: int, said: str) -> None:
        body = json.dumps({"status" if status < 300 else "error": said}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        if status >= 400:  # a stranger's next request is not read with this one; of this one not all may have been
            headers.append(("connection", "close"))
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    def start_again(self) -> bool:
        """Make ready for the next request of this connection; False where there is none."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self.held_bytes = 0
        return True

    async def close(self) -> None:
        """Let the client read what it was told, and close. Raise TimeoutError where it does not."""
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            if self._http.their_state in (h11.SEND_BODY, h11.ERROR):  # closed at once, its answer would be lost
                self._writer.write_eof()
                while await self._reader.read(READ_BYTES):
                    pass
            self._writer.close()
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once, whatever the client has not read."""
        self._writer.transport.abort()

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


def _too_large() -> _Refused:
    return _Refused(413, f"the body is larger than {MAX_BODY_BYTES >> 20} MiB")
