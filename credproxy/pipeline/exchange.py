"""One request, from its head to its last byte: decide, resolve and check, dial and verify, strip, inject, send, stream,
search, audit. Every entry form goes through here and nothing else reaches an upstream.

A secret is opened after the upstream's certificate was verified, goes into one header, and is forgotten.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import NoReturn

import h11

from credproxy.audit.file import MODEL_CALL, CallUse, entry_of
from credproxy.audit.log import AuditFailed
from credproxy.audit.model_use import ModelUse, ModelUseReader, asked_model
from credproxy.audit.prices import cost_of
from credproxy.pipeline import answers
from credproxy.pipeline.answers import Answer
from credproxy.pipeline.ledger import find_limit
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.pipeline.refusal import EventKind, Refused, refuse, tell
from credproxy.pipeline.scrub import Reflected, Searcher, holds_needle, needles_of
from credproxy.policy.decide import READING_METHODS, UNSAFE_METHODS, Allow, Ask, Deny, decide
from credproxy.vault.vault import SealBroken
from credproxy.wire.heads import (
    Headers,
    find_header,
    is_encoded,
    request_headers,
    response_headers,
)
from credproxy.wire.inbound import Inbound, Request
from credproxy.wire.outbound import Outbound, is_reusable
from credproxy.wire.upstream import Connection, UpstreamFailed
from protocol.task import Lease, Usage

MAX_WHOLE_BODY_BYTES = 512 << 10
"""Up to here a body is sent in one piece and can be sent again; above, it is streamed."""
MAX_BODY_BYTES = 64 << 20
MAX_MODEL_CALLS_AT_ONCE = 8
MAX_TARGET_CHARS = 300
_encode = json.JSONEncoder(separators=(",", ":")).encode


class ResponseCut(Exception):
    """The response broke off after its beginning had been sent: the connection must end, visibly unfinished."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Outcome:
    """What became of a call, for its audit row."""

    status: int | None = None
    code: str = ""
    is_whole: bool = False
    request_bytes: int = 0
    response_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """A response's head that has not been sent yet."""

    status: int
    headers: Headers
    reason: bytes


class Exchange:
    """Carries one decided-on request through."""

    def __init__(self, proxy: CredentialProxy, door: DoorState, inbound: Inbound, request: Request, ask: Ask) -> None:
        self._proxy = proxy
        self._door = door
        self._inbound = inbound
        self._request = request
        self._ask = ask
        self._target = f"{ask.method} {ask.target}"[:MAX_TARGET_CHARS]
        self._call_id = proxy.next_call_id()
        self._outcome = Outcome()
        self._reader: ModelUseReader | None = None
        self._asked_model = ""
        self._head: _Head | None = None
        self._has_response_begun = False

    async def run(self) -> None:
        """Answer the request. Raises Refused (nothing sent yet), ResponseCut, StreamBroken, TimeoutError."""
        lease = self._door.lease
        if self._proxy.is_frozen:
            await self._refuse(answers.FROZEN)
        verdict = decide(self._ask, lease, self._proxy.policy)
        if isinstance(verdict, Deny) or lease is None:
            await self._refuse(answers.denied(verdict if isinstance(verdict, Deny) else Deny(code="", sentence="")))
        if verdict.secret is not None and self._proxy.vault.find(verdict.secret) is None:
            await self._refuse(answers.secret_missing(verdict.secret))
        if verdict.is_model_call:
            await self._admit_model_call(lease)
        is_unsafe = self._ask.method in UNSAFE_METHODS and self._ask.route is None
        try:
            await self._record_and_forward(lease, verdict, is_unsafe=is_unsafe)
        except UpstreamFailed as failure:
            answer = answers.upstream_failed(failure.code, failure.sentence, may_retry=failure.may_retry)
            self._fail(answer, failure)
        except AuditFailed as failure:
            self._fail(answers.AUDIT_FAILED, failure)

    async def _refuse(self, answer: Answer) -> NoReturn:
        await refuse(self._proxy, self._door, answer, self._target)

    async def _admit_model_call(self, lease: Lease) -> None:
        use = self._proxy.ledger.find(lease.task_id)
        if use is None:
            await self._refuse(answers.denied(Deny(code="no_lease", sentence="The task of this container has ended.")))
        limit = find_limit(use, lease.limits)
        if limit is not None:
            await self._refuse(answers.limit_reached(*limit))
        if self._door.model_calls_under_way >= MAX_MODEL_CALLS_AT_ONCE:
            await self._refuse(answers.TOO_MANY_CALLS)
        use.model_calls += 1

    async def _record_and_forward(self, lease: Lease, allow: Allow, *, is_unsafe: bool) -> None:
        """From the row before to the row after: whatever happens in between, cancellation too, the call is closed."""
        entry = entry_of(
            "begin",
            self._door.door_id,
            lease,
            call_id=self._call_id,
            target=self._target,
            rule=allow.rule,
            secret=allow.secret or "",
            is_unsafe=is_unsafe,
            detail=MODEL_CALL if allow.is_model_call else "",
        )
        recorded = self._proxy.audit.begin(entry)
        if is_unsafe:
            self._tell(lease, "call_begun")
        self._door.model_calls_under_way += allow.is_model_call
        try:
            async with asyncio.timeout(self._proxy.deadlines.whole_s):
                await self._forward(lease, allow, recorded)
            self._outcome.is_whole = True
        except UpstreamFailed as failure:
            self._outcome.code = failure.code
            if failure.code == "address_refused":
                self._tell(lease, "denied", detail=failure.code)
            raise
        except Refused as refusal:
            self._outcome.code = refusal.answer.code
            raise
        finally:
            self._door.model_calls_under_way -= allow.is_model_call
            self._close_call(lease, allow, is_unsafe=is_unsafe)

    async def _forward(self, lease: Lease, allow: Allow, recorded: asyncio.Future[None]) -> None:
        whole_body = await self._read_small_body(allow)
        connection = await self._proxy.upstreams.acquire(self._ask.target, allow, lease.group_id)
        try:
            await recorded
            try:
                await self._exchange_on(connection, allow, whole_body)
            except UpstreamFailed as failure:
                if not self._may_send_again(connection, failure, whole_body):
                    raise
                connection.stream.abort()
                upstreams = self._proxy.upstreams
                connection = await upstreams.acquire(self._ask.target, allow, lease.group_id, fresh=True)
                await self._exchange_on(connection, allow, whole_body)
        except BaseException:
            connection.stream.abort()
            raise
        if is_reusable(connection):
            self._proxy.upstreams.keep(connection)
        else:
            connection.stream.abort()

    def _may_send_again(self, connection: Connection, failure: UpstreamFailed, whole_body: bytes | None) -> bool:
        """A kept connection that ends before a byte of answer was most likely closed by its server in the meantime.
        A model call may be sent again (at worst it costs twice), and so may what changes nothing."""
        is_harmless = self._ask.method in READING_METHODS or self._ask.route is not None
        is_stale = connection.was_used and failure.code == "upstream_closed" and not self._has_response_begun
        return is_stale and is_harmless and whole_body is not None

    async def _read_small_body(self, allow: Allow) -> bytes | None:
        """Return the whole body if it is small, None if it must be streamed (and is then still to be read)."""
        if not self._request.has_body:
            return b""
        length = find_header(self._request.headers, b"content-length")
        if length is not None and int(length) > MAX_BODY_BYTES:
            raise Refused(_too_large())
        if length is None or int(length) > MAX_WHOLE_BODY_BYTES:
            return None
        pieces: list[bytes] = []
        while (piece := await self._next_body_piece()) is not None:
            pieces.append(piece)
        body = b"".join(pieces)
        if allow.is_model_call:
            self._asked_model = asked_model(body)
        return body

    async def _next_body_piece(self) -> bytes | None:
        try:
            piece = await self._inbound.read_body()
        except h11.RemoteProtocolError as error:
            raise Refused(answers.bad_request(f"the body is malformed ({error})")) from error
        if piece is not None:
            self._outcome.request_bytes += len(piece)
            if self._outcome.request_bytes > MAX_BODY_BYTES:
                raise Refused(_too_large())
        return piece

    async def _exchange_on(self, connection: Connection, allow: Allow, whole_body: bytes | None) -> None:
        """Send the request and stream the response on one upstream connection."""
        headers, needles = self._outgoing(allow)
        outbound = Outbound(connection, self._proxy.deadlines)
        await outbound.send_request(self._ask.method, self._ask.target.wire, headers, whole_body)
        if whole_body is not None:
            await self._stream_response(outbound, needles)
            return
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._stream_body(outbound))
                await self._stream_response(outbound, needles)
                sending.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _outgoing(self, allow: Allow) -> tuple[Headers, tuple[bytes, ...]]:
        """Return the headers to send, and the forms in which the secret must not come back."""
        try:
            secret = self._proxy.vault.open(allow.secret) if allow.secret is not None else None
        except SealBroken as broken:
            raise Refused(answers.secret_broken(broken.name)) from broken
        if allow.secret is not None and secret is None:
            raise Refused(answers.secret_missing(allow.secret))
        headers = request_headers(
            self._request.headers,
            authority=self._ask.target.authority,
            injection=allow.injection,
            secret=secret,
            is_searched=secret is not None or allow.is_model_call,
        )
        return headers, needles_of(secret.reveal()) if secret is not None else ()

    async def _stream_body(self, outbound: Outbound) -> None:
        """Pass the request's body on as it comes. An upstream that stops listening has answered: that decides."""
        try:
            while (piece := await self._next_body_piece()) is not None:
                if not self._asked_model:
                    self._asked_model = asked_model(piece)
                await outbound.send_body(piece)
            await outbound.end_body()
        except UpstreamFailed:
            return

    async def _stream_response(self, outbound: Outbound, needles: tuple[bytes, ...]) -> None:
        head, early = await outbound.read_head()
        headers = head.headers
        self._outcome.status = head.status
        if needles and is_encoded(headers) and self._ask.method != "HEAD":
            sentence = f"{self._ask.target.host} sent an encoded response, which cannot be searched for the secret"
            raise UpstreamFailed("response_encoded", sentence, may_retry=False)
        if holds_needle(needles, head.reason, *(part for header in headers for part in header)):
            raise self._reflected()
        if self._ask.route is not None:
            media_type = find_header(headers, b"content-type") or b""
            self._reader = ModelUseReader(is_event_stream=media_type.startswith(b"text/event-stream"))
        outgoing = response_headers(headers, had_secret=bool(needles))
        self._head = _Head(status=head.status, headers=outgoing, reason=head.reason)
        await self._stream_response_body(outbound, Searcher(needles) if needles else None, early)

    async def _stream_response_body(
        self, outbound: Outbound, searcher: Searcher | None, early: h11.Event | None
    ) -> None:
        """Pass pieces on as they come; the head goes with the first piece that is there already, or alone."""
        event = early
        while True:
            if event is None:
                await self._inbound.send(self._head_wire())
                event = await outbound.next_event()
            if isinstance(event, h11.EndOfMessage):
                break
            if not isinstance(event, h11.Data):
                raise outbound.closed("the response ended too soon")
            data = bytes(event.data)
            self._outcome.response_bytes += len(data)
            passed = data
            if searcher is not None:
                try:
                    passed = searcher.feed(data)
                except Reflected:
                    raise self._reflected() from None
            if passed:
                await self._inbound.send(self._head_wire() + self._inbound.body_bytes(passed))
            if self._reader is not None:
                self._reader.feed(data)
            event = outbound.ready_event()
        held = searcher.end() if searcher is not None else b""
        wire = self._head_wire() + (self._inbound.body_bytes(held) if held else b"")
        await self._inbound.send(wire + self._inbound.end_response())

    def _head_wire(self) -> bytes:
        """Return the response's head the first time: from then on the response has begun."""
        head, self._head = self._head, None
        if head is None:
            return b""
        self._has_response_begun = True
        return self._inbound.begin_response(head.status, head.headers, head.reason)

    def _close_call(self, lease: Lease, allow: Allow, *, is_unsafe: bool) -> None:
        """Complete the record. Never waits, so that cancellation cannot lose it."""
        use = self._model_use() if allow.is_model_call else None
        cost = cost_of(use, self._proxy.prices) if use is not None and use.model else None
        if use is not None and use.input_tokens + use.output_tokens == 0:
            cost = 0.0
        entry = entry_of(
            "end",
            self._door.door_id,
            lease,
            call_id=self._call_id,
            is_unsafe=is_unsafe,
            status=self._outcome.status,
            detail=_detail(self._outcome, use),
        )
        stored = (
            CallUse(model=use.model, input_tokens=use.input_tokens, output_tokens=use.output_tokens, cost_usd=cost)
            if use is not None
            else None
        )
        self._proxy.audit.end(entry, stored)
        if use is not None:
            task_use = self._proxy.ledger.find(lease.task_id)
            if task_use is not None:
                task_use.add(use.input_tokens, use.output_tokens, cost)
            usage = Usage(model_calls=1, input_tokens=use.input_tokens, output_tokens=use.output_tokens, cost_usd=cost)
            self._tell(lease, "usage", usage=usage, model=use.model)
        if is_unsafe:
            self._tell(lease, "call_ended", detail=str(self._outcome.status or "broken"))

    def _model_use(self) -> ModelUse:
        if self._reader is None:
            return ModelUse(model=self._asked_model, input_tokens=0, output_tokens=0)
        return self._reader.use(
            status=self._outcome.status or 0,
            request_bytes=self._outcome.request_bytes,
            asked_model=self._asked_model,
        )

    def _tell(
        self, lease: Lease, kind: EventKind, *, detail: str = "", usage: Usage | None = None, model: str = ""
    ) -> None:
        tell(self._proxy, lease, kind, self._call_id, self._target, detail=detail, usage=usage, model=model)

    def _fail(self, answer: Answer, cause: Exception) -> NoReturn:
        if self._has_response_begun:
            raise ResponseCut(answer.code) from cause
        raise Refused(answer) from cause

    def _reflected(self) -> UpstreamFailed:
        sentence = f"{self._ask.target.host} sent the secret back; the response was withheld"
        return UpstreamFailed("secret_reflected", sentence, may_retry=False)


def _too_large() -> Answer:
    reason = f"the body is larger than {MAX_BODY_BYTES >> 20} MiB"
    return answers.bad_request(reason, status=413, code="body_too_large")


def _detail(outcome: Outcome, use: ModelUse | None) -> str:
    """The end row's JSON: sizes, what went wrong, and the model's use."""
    facts: dict[str, object] = {
        "request_bytes": outcome.request_bytes,
        "response_bytes": outcome.response_bytes,
    }
    if not outcome.is_whole:
        facts["broken"] = outcome.code or "cut"
    if use is not None:
        facts["model"] = use.model
        facts["input_tokens"] = use.input_tokens
        facts["output_tokens"] = use.output_tokens
        if use.is_estimated:
            facts["is_estimated"] = True
    return _encode(facts)
