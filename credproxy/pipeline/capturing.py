"""Requests for tokens: answered from the vault where a tool shows a placeholder, else let out, and what comes back is
taken in before the tool sees it. What tokens are, and where they are kept, is `issuers/capture_desk.py`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from credproxy.injection.outgoing import Outgoing
from credproxy.issuers.capture import (
    MAX_ANSWER_BYTES,
    MAX_ASK_BYTES,
    TokenAsk,
    asks_to_register,
    read_ask,
    read_basic,
    with_client_secret,
)
from credproxy.issuers.capture_desk import CaptureFailed
from credproxy.issuers.credentials import CredentialFailed
from credproxy.issuers.token_endpoint import is_registration
from credproxy.pipeline import answers
from credproxy.pipeline.body import RequestBody
from credproxy.pipeline.call import Call
from credproxy.pipeline.refusal import Refused, refuse
from credproxy.pipeline.scrub import Needles
from credproxy.vault.rows import SealedSecret
from credproxy.wire.answer import Answer
from credproxy.wire.heads import Headers, find_header, is_encoded, response_headers
from credproxy.wire.inbound import Inbound
from credproxy.wire.outbound import End, Outbound
from credproxy.wire.plain import Request, ResponseHead
from credproxy.wire.upstream import UpstreamFailed

_OF_THE_OLD_BODY = frozenset(
    (b"content-length", b"etag", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"trailer")
)


async def read_token_ask(call: Call, request: Request, body: RequestBody) -> bytes:
    """Return the body of a request for tokens, and note what it asks; raises Refused where it ends here, answered from
    the vault or denied."""
    whole = await body.read_whole(MAX_ASK_BYTES)
    media_type = (find_header(request.headers, b"content-type") or b"").decode("latin-1")
    if call.ask.method == "GET":
        ask = read_ask((call.ask.target.query or "").encode("ascii"), "application/x-www-form-urlencoded")
    else:
        ask = read_ask(whole, media_type)
    if is_registration(call.ask.method, call.ask.target, media_type.encode("latin-1")) and not asks_to_register(whole):
        return whole
    if not ask.client_secret:
        ask = replace(ask, client_secret=read_basic(request.headers)[1])
    try:
        ask = call.proxy.capture_desk.with_client(call.ask.target, ask, call.lease.group_id)
        row = call.proxy.capture_desk.find(call.ask.target, ask, call.lease.group_id)
        if row is not None:
            await _answer(call, row)
    except CaptureFailed as failure:
        await refuse(call.proxy, call.door, _answer_of(failure), call.target)
    except CredentialFailed as failure:
        await refuse(call.proxy, call.door, answers.credential_failed(failure), call.target)
    call.token_ask = ask
    return whole


def with_client(ask: TokenAsk, outgoing: Outgoing) -> Outgoing:
    """Return a request for tokens with the client secret in place of the placeholder that the tool shows."""
    headers, body = with_client_secret(ask, list(outgoing.received), outgoing.headers, outgoing.body or b"")
    return Outgoing(outgoing.method, outgoing.target, headers, body, outgoing.received)


async def pass_tokens_on(
    call: Call,
    ask: TokenAsk,
    inbound: Inbound,
    outbound: Outbound,
    head: ResponseHead,
    early: bytes | End | None,
    needles: Needles,
) -> None:
    """Read an issuer's answer whole, and pass on what the tool may have of it."""
    host = call.ask.target.host
    if is_encoded(head.headers):
        raise UpstreamFailed("token_unreadable", f"{host} compressed its answer, unasked", may_retry=False)
    whole = await _read_whole(call, outbound, early)
    media_type = (find_header(head.headers, b"content-type") or b"").decode("latin-1")
    try:
        body = await call.proxy.capture_desk.take(
            call.ask.target, ask, head.status, media_type, whole, call.lease.group_id
        )
    except CaptureFailed as failure:
        raise Refused(_answer_of(failure)) from failure
    if needles and needles.holds(body):
        sentence = f"{host} sent the secret back; the response was withheld"
        raise UpstreamFailed("secret_reflected", sentence, may_retry=False)
    call.has_response_begun = True
    begin = inbound.begin_response(head.status, _headers(head, body), head.reason)
    await inbound.send(begin + (inbound.body_bytes(body) if body else b"") + inbound.end_response())


async def _answer(call: Call, row: SealedSecret) -> NoReturn:
    """Answer with placeholders. The call is on record as every other, though nothing of it goes out."""
    recorded = call.begin()
    call.note(f"answered from the secret {row.name}")
    try:
        reply = await call.proxy.capture_desk.answer(row, call.lease.group_id)
        await recorded
        call.status, call.is_whole = 200, True
    finally:
        call.end()
    raise Refused(Answer(status=200, code="token_kept", message="", content=reply))


async def _read_whole(call: Call, outbound: Outbound, piece: bytes | End | None) -> bytes:
    whole = bytearray()
    while not isinstance(piece, End):
        if piece is not None:
            call.response_bytes += len(piece)
            whole += piece
        if len(whole) > MAX_ANSWER_BYTES:
            sentence = f"{call.ask.target.host} answered a request for tokens at too great a length"
            raise UpstreamFailed("token_unreadable", sentence, may_retry=False)
        piece = outbound.ready_piece() or await outbound.next_piece()
    return bytes(whole)


def _headers(head: ResponseHead, body: bytes) -> Headers:
    """A session that begins with fresh tokens is ours: its cookies stay here."""
    passed = response_headers(head.headers, had_secret=True)
    kept = [(name, value) for name, value in passed if name not in _OF_THE_OLD_BODY]
    return [*kept, (b"content-length", str(len(body)).encode("ascii"))]


def _answer_of(failure: CaptureFailed) -> Answer:
    return answers.capture_failed(failure.code, failure.sentence, failure.mend)
