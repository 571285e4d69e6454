"""The OpenAI-compatible endpoint: HTTP on 127.0.0.1, a token for each program, a group as a model.

Each request is one task of its own, with the given messages as its prompt; nothing is remembered between two. A client
that goes takes its task along. Browsers have no business here: a page's requests are refused by their Host and Origin.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import h11

from protocol.codec import Json
from protocol.ids import SubmissionId, is_group_id
from protocol.task import TaskResult
from protocol.tasks import ResultEnvelope
from runtime.programs.desk import ProgramDesk
from runtime.programs.openai_shape import (
    BadRequest,
    ChatRequest,
    answer_text,
    chunk,
    completion,
    error_body,
    failure_of,
    model_list,
    model_not_found,
    model_of,
    read_chat,
    refusal_of,
    rest_of,
    usage_chunk,
)
from runtime.programs.records import Program
from runtime.refusal import OperationRefused
from runtime.store.errors import StoreError
from runtime.task_listeners import TaskListeners

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
MAX_BODY_BYTES = 4 << 20
MAX_HEAD_BYTES = 64 << 10
MAX_CONNECTIONS = 32
HEAD_TIMEOUT_S = 60.0
"""How long a kept connection may be silent between two requests."""
BODY_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 30.0
KEEP_ALIVE_S = 15.0
"""A stream in which nothing is said gets a comment so often, so that nothing in between takes it for dead."""
READ_BYTES = 64 << 10
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "not_granted": (404, "model_not_found", "invalid_request_error"),
    "unknown_group": (404, "model_not_found", "invalid_request_error"),
    "queue_full": (429, "rate_limit_exceeded", "rate_limit_error"),
    "stopping": (503, "stopping", "api_error"),
    "revoked": (401, "invalid_api_key", "authentication_error"),
    "key_reused": (409, "idempotency_key_reused", "invalid_request_error"),
}


class _Gone(Exception):
    """The client closed its connection."""


class OpenAiDoor:
    """Listens on a port of 127.0.0.1 until cancelled."""

    def __init__(self, port: int, desk: ProgramDesk, listeners: TaskListeners) -> None:
        """`port` 0: any; `port` then says which, once it listens."""
        self.port = port
        self._desk = desk
        self._listeners = listeners
        self._connections = 0
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled. Raises OSError if the port is taken."""
        async with asyncio.TaskGroup() as connections:

            def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if not self.listening.is_set():
                    writer.close()
                    return
                serving = connections.create_task(self._serve(_Connection(reader, writer)))
                serving.add_done_callback(lambda _: writer.close())

            server = await asyncio.start_server(begin, LOOPBACK, self.port)
            self.port = server.sockets[0].getsockname()[1]
            log.info("programs may ask at http://%s:%d/v1", LOOPBACK, self.port, extra={"action": "api_listens"})
            try:
                self.listening.set()
                await asyncio.get_running_loop().create_future()
            finally:
                self.listening.clear()
                server.close()

    async def _serve(self, connection: _Connection) -> None:
        """Answer one client's requests, one after the other."""
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                problem = BadRequest("Too many connections.", status=503, code="too_many", kind="api_error")
                await connection.answer(problem.status, error_body(problem))
                return
            while await connection.next_request(HEAD_TIMEOUT_S):
                await self._answer(connection)
                if not connection.start_again():
                    return
        except (_Gone, TimeoutError):
            log.debug("a client of the endpoint went away", extra={"action": "api_client_gone"})
        except h11.RemoteProtocolError as error:
            with suppress(_Gone, TimeoutError, h11.LocalProtocolError):
                await connection.answer(400, error_body(BadRequest(f"This is not HTTP: {error}.")))
        finally:
            self._connections -= 1

    async def _answer(self, connection: _Connection) -> None:
        try:
            self._check_place(connection)
            await self._route(connection, await self._program(connection))
        except BadRequest as wrong:
            problem = wrong
        except OperationRefused as refused:
            problem = _problem(refused)
        except StoreError as error:
            problem = BadRequest(str(error), status=503, code="store", kind="api_error")
        except (_Gone, TimeoutError, h11.RemoteProtocolError):
            raise
        except Exception:
            log.exception("a request to the endpoint failed", extra={"action": "api_failed"})
            problem = BadRequest("The host made a mistake of its own.", status=500, code="host_bug", kind="api_error")
        else:
            return
        await connection.answer(problem.status, error_body(problem))

    def _check_place(self, connection: _Connection) -> None:
        """Refuse what a web page had a browser send: a name that was made to mean 127.0.0.1, or another origin."""
        host = connection.header("host")
        name, _, port = host.partition(":")
        if name.lower() not in HOSTS or (port and port != str(self.port)):
            raise BadRequest(f"This is not the host {host[:60]!r}.", status=421, code="wrong_host")
        if connection.header("origin"):
            raise BadRequest("Requests of web pages are not answered.", status=403, code="wrong_origin")

    async def _program(self, connection: _Connection) -> Program:
        kind, _, token = connection.header("authorization").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            with suppress(OperationRefused):
                return await self._desk.programs.known(token=token.strip())
        message = "The token is missing or wrong: `nightyard program add NAME GROUP` makes one."
        raise BadRequest(message, status=401, code="invalid_api_key", kind="authentication_error")

    async def _route(self, connection: _Connection, program: Program) -> None:
        method, path = connection.method, connection.path
        created = int(datetime.fromisoformat(program.added_at).timestamp())
        if path == "/v1/chat/completions" and method == "POST":
            await self._complete(connection, program)
        elif path == "/v1/models" and method == "GET":
            await connection.answer(200, model_list(program.groups, created))
        elif path.startswith("/v1/models/") and method == "GET":
            name = path.removeprefix("/v1/models/")
            group = next((group for group in program.groups if group == name and is_group_id(name)), None)
            if group is None:
                raise model_not_found(name)
            await connection.answer(200, model_of(group, created))
        elif path in ("/v1/chat/completions", "/v1/models"):
            raise BadRequest(f"{method} is not for {path}.", status=405, code="wrong_method")
        else:
            raise BadRequest(f"There is no {path[:100]!r} here.", status=404, code="unknown_url")

    async def _complete(self, connection: _Connection, program: Program) -> None:
        asked = read_chat(await connection.body(), connection.header("idempotency-key"))
        submitted = await self._desk.submit(program, asked.submit)
        try:
            await connection.while_there(self._deliver(connection, program, asked, submitted.submission))
        except (_Gone, TimeoutError):
            # A request repeated under its key is somebody else's too.
            if submitted.is_new:
                await self._desk.cancel(program, submitted.submission, "its client went away")
            raise

    async def _deliver(
        self, connection: _Connection, program: Program, asked: ChatRequest, submission: SubmissionId
    ) -> None:
        if asked.is_stream:
            await self._stream(connection, program, asked, submission)
            return
        envelope, result = await self._ended(program, submission)
        failure = failure_of(result)
        if failure is not None:
            raise failure
        await connection.answer(200, completion(envelope, result), {"x-request-id": submission})

    async def _ended(self, program: Program, submission: SubmissionId) -> tuple[ResultEnvelope, TaskResult]:
        while True:
            envelope = await self._desk.result(program, submission, KEEP_ALIVE_S)
            if envelope.result is not None:
                return envelope, envelope.result

    async def _stream(
        self, connection: _Connection, program: Program, asked: ChatRequest, submission: SubmissionId
    ) -> None:
        group, created = asked.submit.group, int(datetime.now(UTC).timestamp())
        await connection.begin_stream({"x-request-id": submission})
        await connection.event(chunk(submission, group, created, {"role": "assistant", "content": ""}))
        streamed, is_shown = "", not self._desk.is_reviewed(program, group)
        with self._listeners.listen(submission) as queue:
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(self._ended(program, submission))
                while not (ending.done() and queue.empty()):
                    piece = await self._next_piece(tasks, queue, ending)
                    if piece and is_shown:
                        streamed += piece
                        await connection.event(chunk(submission, group, created, {"content": piece}))
                    elif not piece and not ending.done():
                        await connection.send(b": still working\n\n")
        envelope, result = ending.result()
        failure = failure_of(result)
        if failure is not None:
            await connection.event(error_body(failure))
            await connection.end_events()
            return
        rest = rest_of(streamed, answer_text(result))
        if rest:
            await connection.event(chunk(submission, group, created, {"content": rest}))
        if refusal := refusal_of(result):
            await connection.event(chunk(submission, group, created, {"refusal": refusal}))
        await connection.event(chunk(submission, group, created, {}, is_last=True))
        if asked.has_usage:
            await connection.event(usage_chunk(envelope))
        await connection.end_events()

    async def _next_piece(
        self, tasks: asyncio.TaskGroup, queue: asyncio.Queue[str], ending: asyncio.Task[object]
    ) -> str:
        """Return the next piece of the answer; empty where it has ended, or nothing was said for a while."""
        if not queue.empty():
            return queue.get_nowait()
        saying = tasks.create_task(queue.get())
        await asyncio.wait({saying, ending}, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
        if saying.done():
            return saying.result()
        saying.cancel()
        return ""


class _Connection:
    """One client: requests in, answers out, and a watch for its going while it waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._headers: dict[str, str] = {}
        self.method = ""
        self.path = ""

    async def next_request(self, timeout_s: float) -> bool:
        """Read the head of the next request; False if there is none any more."""
        async with asyncio.timeout(timeout_s):
            event = await self._next_event()
        if not isinstance(event, h11.Request):
            return False
        self.method = event.method.decode("ascii")
        self.path = event.target.decode("ascii", "replace").partition("?")[0]
        self._headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        return True

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    async def body(self) -> bytes:
        """Return the request's body; raise BadRequest for one that is too long."""
        pieces, size = list[bytes](), 0
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while not isinstance(event := await self._next_event(), h11.EndOfMessage):
                if isinstance(event, h11.ConnectionClosed):
                    raise _Gone
                if isinstance(event, h11.Data):
                    size += len(event.data)
                    if size > MAX_BODY_BYTES:
                        message = f"The body is larger than {MAX_BODY_BYTES >> 20} MiB."
                        raise BadRequest(message, status=413, code="body_too_large")
                    pieces.append(bytes(event.data))
        return b"".join(pieces)

    async def while_there(self, work: Coroutine[None, None, None]) -> None:
        """Carry out a coroutine as long as the client is there; raise _Gone when it goes."""
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(work)
                ending = tasks.create_task(self._hear_the_end())
                await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
                is_gone = not working.done()
                working.cancel()
                ending.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None  # as if no group had been in between
        if is_gone:
            raise _Gone

    async def _hear_the_end(self) -> None:
        """Return when the client goes; what it says meanwhile is kept for its next request."""
        said = 0
        with suppress(OSError):
            while (data := await self._reader.read(READ_BYTES)) and said < MAX_HEAD_BYTES:
                said += len(data)
                self._http.receive_data(data)

    async def answer(self, status: int, value: Json, headers: Mapping[str, str] | None = None) -> None:
        if self._http.our_state is h11.SEND_BODY:
            raise _Gone  # a stream that cannot be ended well is cut
        body = json.dumps(value, ensure_ascii=False).encode()
        own = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        if self._http.their_state is h11.SEND_BODY:
            own["connection"] = "close"  # what it says was not read: its next request is for another connection
        await self._send(h11.Response(status_code=status, headers=_pairs(own)), h11.Data(data=body), h11.EndOfMessage())

    async def begin_stream(self, headers: Mapping[str, str]) -> None:
        own = {"content-type": "text/event-stream", "cache-control": "no-store", **headers}
        await self._send(h11.Response(status_code=200, headers=_pairs(own)))

    async def event(self, value: Json) -> None:
        await self.send(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n")

    async def send(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def end_events(self) -> None:
        """End a stream of events, good or bad: clients read on until they see this."""
        await self.send(b"data: [DONE]\n\n")
        await self._send(h11.EndOfMessage())

    def start_again(self) -> bool:
        """Make ready for another request on this connection; False if there can be none."""
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        return True

    async def _send(self, *events: h11.Event) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
                await self._writer.drain()
        except OSError:
            raise _Gone from None

    async def _next_event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                self._http.receive_data(await self._reader.read(READ_BYTES))
            except OSError:
                raise _Gone from None
        if event is h11.PAUSED:
            raise h11.RemoteProtocolError("a request before the answer to the one before")
        assert isinstance(event, h11.Event)  # neither NEED_DATA nor PAUSED
        return event


def _first(errors: BaseException) -> BaseException:
    """Return the first error in a group of them, however deep."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


def _pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def _problem(refused: OperationRefused) -> BadRequest:
    status, code, kind = _REFUSALS.get(refused.code, (400, refused.code, "invalid_request_error"))
    return BadRequest(refused.message, status=status, code=code, kind=kind)
