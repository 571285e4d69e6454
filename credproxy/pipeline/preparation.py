"""What an admitted call needs before it may begin: no placeholder out of its place, its headers without any auth
carrier, its credentials, and a person's yes where one is asked for.

Nothing has been sent when this ends in a refusal. What follows is `sending.py`'s.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from credproxy.approvals.approvals import MAX_BODY_BYTES as MAX_HELD_BODY_BYTES
from credproxy.approvals.held import Approved, HeldRequest
from credproxy.audit import notes
from credproxy.injection.failure import InjectionFailed
from credproxy.injection.headers import with_header
from credproxy.injection.idempotency import SentKey, keys_over
from credproxy.injection.kinds import Bearer, Injection, SetHeader
from credproxy.injection.outgoing import needs_body, only_signs, takes_unsigned_pieces
from credproxy.injection.placeholders import searched_texts
from credproxy.issuers.credentials import CredentialFailed
from credproxy.issuers.token_endpoint import is_registration, is_token_endpoint
from credproxy.pipeline import answers
from credproxy.pipeline.body import MAX_WHOLE_BODY_BYTES, RequestBody
from credproxy.pipeline.call import Call
from credproxy.pipeline.familiar import HeadParts
from credproxy.pipeline.refusal import refuse, refuse_tripped
from credproxy.pipeline.tripwire import find_tripped
from credproxy.policy.decide import decide
from credproxy.policy.verdict import MAX_WEB_READ_HEADER_BYTES, WEB_READ_HEADERS, Allow, Approval, Deny
from credproxy.vault.credential import Credential
from credproxy.wire import websocket
from credproxy.wire.answer import Answer
from credproxy.wire.heads import Headers, find_header, request_headers
from credproxy.wire.plain import Request

if TYPE_CHECKING:
    from credproxy.injection.aws_pieces import AwsPieces

MAX_CHANGED_BODY_BYTES = 4 << 20
"""A body that a credential goes into, or that is signed, is in memory as a whole."""
WITHOUT: tuple[Credential | None, ...] = (None,)
_HEADER_KINDS = (Bearer, SetHeader)
"""The commonest, of which it is known that they need no body."""


class Prepared(NamedTuple):
    """A request as it may go out, but for the credential."""

    headers: Headers
    body: bytes | None
    """None: it is streamed, and still to be read."""
    credentials: tuple[Credential | None, ...]
    """To be tried in this order, at least one; None: nothing is put in."""
    approved: Approved | None = None
    """Only what it covers may be sent."""
    pieces: AwsPieces | None = None
    """What the streamed body is read by, where a client has signed it piece by piece."""


async def prepare(call: Call, request: Request, body: RequestBody) -> Prepared:
    """Return what may be sent; raises Refused, and then it is on record and told."""
    allow = call.allow
    if allow.web_read is not None and request.has_body:
        await _refuse(call, answers.WEB_READ_BODY)
    parts = call.familiar.find_parts(request, allow)
    is_token_ask = parts is None and _is_token_ask(call, request)
    whole_body: bytes | None = b""
    if is_token_ask:
        whole_body = await _read_token_ask(call, request, body)
    elif request.has_body:
        whole_body = await _read_body(allow, body)
    if parts is None:
        parts = HeadParts(tuple(searched_texts(call.ask.target, request.headers)), _build_headers(call, request))
        if not is_token_ask:
            call.familiar.take_parts(request, allow, parts)
    texts = (*parts.texts, whole_body) if whole_body and call.ask.route is None else parts.texts
    tripped = find_tripped(call, texts)
    if tripped is not None:
        await refuse_tripped(call.proxy, call.door, tripped, call.target)
    if allow.must_carry and not _carries(call, texts):
        await _refuse(call, answers.placeholder_missing(allow.secret or ""))
    headers = _with_length(parts.headers, whole_body)
    if allow.idempotency_header and whole_body is not None and call.is_unsafe:
        headers = await _with_idempotency_key(call, headers, allow.idempotency_header, whole_body)
    pieces: AwsPieces | None = None
    if allow.injection is not None and takes_unsigned_pieces(allow.injection):
        headers, whole_body, pieces = await _unsign_pieces(call, headers, whole_body)
    approved = None
    if allow.approval is not None:
        approved = await _ask_person(call, held_request(call, headers, whole_body or b""), allow.approval)
    credentials = WITHOUT
    if allow.secret is not None:
        credentials = call.proxy.credentials.ready(allow.secret) or await _get_credentials(call, allow.secret)
    if call.proxy.policy is not call.policy or call.door.lease is not call.lease:
        await _decide_again(call)
    return Prepared(headers, whole_body, credentials, approved, pieces)


def held_request(call: Call, headers: Headers, body: bytes) -> HeldRequest:
    """Return what a person approves, and what is compared with it before it is sent. Without the idempotency key: that
    is ours, and another one when a client asks the same again while the person thinks."""
    lease, ours = call.lease, (call.allow.idempotency_header or "").encode("ascii")
    return HeldRequest(
        group_id=lease.group_id,
        task_id=lease.task_id,
        attempt_id=lease.attempt_id,
        door_id=call.door.door_id,
        call_id=call.call_id,
        method=call.ask.method,
        target=call.ask.target,
        headers=tuple(header for header in headers if header[0] != ours),
        body=body,
        rule=call.allow.rule,
        secret=call.allow.secret or "",
    )


def _is_token_ask(call: Call, request: Request) -> bool:
    """Whether a request may bring fresh tokens. Not a model call; and a twin's tokens open nothing."""
    method, target = call.ask.method, call.ask.target
    if call.ask.route is not None or call.allow.dial is not None:
        return False
    media_type = find_header(request.headers, b"content-type") or b""
    return is_token_endpoint(method, target) or is_registration(method, target, media_type)


async def _read_token_ask(call: Call, request: Request, body: RequestBody) -> bytes:
    from credproxy.pipeline.capturing import read_token_ask  # few agents' tools ever log in by themselves

    return await read_token_ask(call, request, body)


async def _read_body(allow: Allow, body: RequestBody) -> bytes | None:
    """Return the body if it is small, or must be looked at as a whole."""
    if allow.approval is not None:
        return await body.read_whole(MAX_HELD_BODY_BYTES)
    if allow.injection is not None and _must_be_whole(allow.injection):
        return await body.read_whole(MAX_CHANGED_BODY_BYTES)
    return await body.read_small(MAX_WHOLE_BODY_BYTES)


def _must_be_whole(injection: Injection) -> bool:
    return not isinstance(injection, _HEADER_KINDS) and needs_body(injection)


def _carries(call: Call, texts: Sequence[bytes]) -> bool:
    """Whether a request carries the placeholder that its grant asks for."""
    secret = call.allow.secret
    return secret is None or call.proxy.placeholders.is_carried(texts, call.lease.group_id, secret)


def _build_headers(call: Call, request: Request) -> Headers:
    allow = call.allow
    is_searched = allow.secret is not None or allow.is_model_call or call.token_ask is not None
    keeps_ranges = allow.injection is not None and only_signs(allow.injection)
    headers = request_headers(
        request.headers,
        authority=call.ask.target.authority,
        is_searched=is_searched,
        keeps_ranges=keeps_ranges,
    )
    if allow.web_read is not None:
        headers = _web_read_headers(headers)
    if call.is_websocket:
        headers = websocket.request_headers(headers, is_searched=is_searched)
    return headers


def _with_length(headers: Headers, body: bytes | None) -> Headers:
    """What came in chunks and is there as a whole goes out with its length."""
    if not body or find_header(headers, b"content-length") is not None:
        return headers
    kept = [header for header in headers if header[0] != b"transfer-encoding"]
    return [*kept, (b"content-length", str(len(body)).encode("ascii"))]


async def _unsign_pieces(
    call: Call, headers: Headers, body: bytes | None
) -> tuple[Headers, bytes | None, AwsPieces | None]:
    """Take out the signatures that a client has put into a body, made with its placeholder."""
    from credproxy.injection.aws_pieces import signed_pieces, unsigned_headers  # few homes talk to AWS

    try:
        pieces = signed_pieces(headers)
        if pieces is None:
            return headers, body, None
        if body is None:
            return unsigned_headers(headers, None), None, pieces
        body = pieces.feed(body)
        pieces.end()
    except InjectionFailed as failure:
        await _refuse(call, answers.injection_failed(failure))
    return unsigned_headers(headers, body), body, None


def _web_read_headers(headers: Headers) -> Headers:
    """What is read of the open web is asked for without the agent's own words."""
    return [
        (name, value)
        for name, value in headers
        if name == b"host" or (name in WEB_READ_HEADERS and len(value) <= MAX_WEB_READ_HEADER_BYTES)
    ]


async def _with_idempotency_key(call: Call, headers: Headers, name: str, body: bytes) -> Headers:
    """What a later attempt does again of an open step has the first one's key: so an API that takes such keys does it
    once."""
    keys, lease = call.proxy.idempotency, call.lease
    if not keys.knows(lease.attempt_id):
        sent = [SentKey(*each) for each in await call.proxy.audit.keys(lease.task_id)]
        if not keys.knows(lease.attempt_id):
            keys.take_up(lease.attempt_id, keys_over(sent, lease), sent)
    target = call.ask.target
    wire = f"{target.scheme}://{target.authority}{target.wire}"
    own = find_header(headers, name.encode("ascii")) or b""
    given = keys.key_for(lease.task_id, lease.attempt_id, call.ask.method, wire, body, own=own)
    call.note(notes.idempotency(*given))
    return with_header(headers, name, given.key)


async def _ask_person(call: Call, held: HeldRequest, approval: Approval) -> Approved:
    """Wait for a person's word."""
    verdict = await call.proxy.approvals.hold(held, approval, time.time())
    if isinstance(verdict, Deny):
        await _refuse(call, answers.denied(verdict), sha256=hashlib.sha256(held.body).hexdigest())
    call.note(notes.approval(verdict.approval_id, verdict.by))
    return verdict


async def _get_credentials(call: Call, name: str) -> tuple[Credential, ...]:
    """After a person was asked, which takes its time: what the secret is then counts."""
    try:
        return await call.proxy.credentials.candidates(name, call.lease.group_id)
    except CredentialFailed as failure:
        await _refuse(call, answers.credential_failed(failure))


async def _decide_again(call: Call) -> None:
    """Policy or lease became another one while a body came, a person thought or a token was got: then that counts, with
    all that it asks for. Only where the rule stands in its file may have changed."""
    verdict = decide(call.judged, call.door.lease, call.proxy.policy, time.time())
    if isinstance(verdict, Deny):
        await _refuse(call, answers.denied(verdict))
    if replace(verdict, rule=call.allow.rule) != call.allow:
        await _refuse(call, answers.POLICY_CHANGED)


async def _refuse(call: Call, answer: Answer, *, sha256: str = "") -> NoReturn:
    await refuse(call.proxy, call.door, answer, call.target, sha256=sha256)
