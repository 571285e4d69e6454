"""The way out: a connection that may carry the call, our credential, the request; the next credential where one is
refused. What comes back goes to `answering.py`.

A credential goes into a request when the upstream's certificate was verified, and is not kept here.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from credproxy.audit import notes
from credproxy.injection.kinds import Injection
from credproxy.injection.outgoing import InjectionFailed, Outgoing, inject, needs_body
from credproxy.pipeline import answers
from credproxy.pipeline.answering import Answering
from credproxy.pipeline.body import RequestBody
from credproxy.pipeline.call import Call
from credproxy.pipeline.preparation import Prepared, held_request
from credproxy.pipeline.refusal import Refused
from credproxy.pipeline.scrub import NO_NEEDLES, Needles, needles_of
from credproxy.pipeline.splice import Splice
from credproxy.pipeline.spool import Spool
from credproxy.pipeline.tripwire import find_tripped
from credproxy.policy.verdict import READING_METHODS, Allow
from credproxy.vault.credential import Credential
from credproxy.wire.addresses import Address, may_dial, reach_of
from credproxy.wire.inbound import Inbound
from credproxy.wire.outbound import SWITCHING_PROTOCOLS, Outbound, is_reusable
from credproxy.wire.plain import Request
from credproxy.wire.resolving import is_own_address
from credproxy.wire.target import Target
from credproxy.wire.upstream import Connection, PoolKey, UpstreamFailed

if TYPE_CHECKING:
    from credproxy.issuers.capture import TokenAsk

UNAUTHORIZED = 401
REFUSED_STATUSES = frozenset((UNAUTHORIZED, 429))
"""A key that is over, or used up: the next one's turn. Nothing was done, so any method may be sent again."""
MAX_INLINE_BYTES = 64 << 10
"""A larger body is changed or signed on a thread, one of a container at a time: it takes up to a second."""
WATCHED_TAIL_BYTES = 512
"""Of a streamed body, looked at again with its next piece: longer than any placeholder."""


class Sending:
    """Carries one admitted call to its upstream and has its response passed on."""

    def __init__(self, call: Call, inbound: Inbound, request: Request, body: RequestBody, prepared: Prepared) -> None:
        self._call = call
        self._inbound = inbound
        self._request = request
        self._body = body
        self._prepared = prepared
        self._answering = Answering(call, inbound)
        self._untried = list(prepared.credentials)
        self._renewed: set[str] = set()
        """Labels of the values for which another token was asked for: once each."""
        self._spool = self._make_spool()
        """Of a streamed body, None where it would never be sent again."""
        self._tail = b""
        """Of a streamed body, what was watched last."""
        self._is_body_read = False

    async def run(self, recorded: asyncio.Future[None]) -> None:
        """Send when the row before is written, and answer. Raises UpstreamFailed, Refused."""
        try:
            while not await self._try(self._untried.pop(0), recorded):
                pass
        finally:
            if self._spool is not None:
                self._spool.close()

    def _make_spool(self) -> Spool | None:
        if self._prepared.body is not None:
            return None
        call, name = self._call, self._call.allow.secret
        may_renew = name is not None and call.proxy.credentials.may_renew(name)
        if len(self._untried) > 1 or may_renew or self._is_harmless:
            return Spool(call.proxy.spool_folder, call.door)
        return None

    @property
    def _is_harmless(self) -> bool:
        """It changes nothing to send it twice: what reads, or a model call, which at worst costs twice."""
        call = self._call
        return call.ask.route is not None or (call.ask.method in READING_METHODS and not call.is_websocket)

    @property
    def _can_repeat(self) -> bool:
        """All that was sent so far is there to be sent again."""
        return self._prepared.body is not None or (self._spool is not None and self._spool.is_whole)

    async def _try(self, credential: Credential | None, recorded: asyncio.Future[None]) -> bool:
        """Send with one credential; False if that was refused, another is to be tried, and nothing is answered yet."""
        upstreams = self._call.proxy.upstreams
        key = _pool_key(self._call, credential)
        connection = await upstreams.acquire(key, self._may_dial)
        try:
            await recorded
            try:
                is_answered = await self._exchange_on(connection, credential)
            except UpstreamFailed as failure:
                if not self._may_send_again(connection, failure):
                    raise
                connection.stream.abort()
                connection = await upstreams.acquire(key, self._may_dial, fresh=True)
                is_answered = await self._exchange_on(connection, credential)
        except BaseException:
            connection.stream.abort()
            raise
        if is_answered and is_reusable(connection):
            upstreams.keep(connection)
        else:
            connection.stream.abort()
        return is_answered

    async def _has_another(self, refused: Credential | None, status: int) -> bool:
        """Whether another credential is to be tried: a token got anew, or the next value in reserve."""
        if refused is None or status not in REFUSED_STATUSES or not self._can_repeat:
            return False
        if status == UNAUTHORIZED and refused.label not in self._renewed:
            self._renewed.add(refused.label)
            renewed = await self._call.proxy.credentials.renew(refused)
            if renewed is not None:
                self._untried.insert(0, renewed)
        return bool(self._untried) and self._can_repeat

    async def _exchange_on(self, connection: Connection, credential: Credential | None) -> bool:
        """Send the request and pass its response on, over one upstream connection; False: refused, and not passed."""
        call, prepared = self._call, self._prepared
        outgoing, injection = self._outgoing(), call.allow.injection
        if injection is not None:
            if outgoing.body and len(outgoing.body) > MAX_INLINE_BYTES and needs_body(injection):
                outgoing = await self._injected_apart(outgoing, injection, credential)
            else:
                outgoing = self._injected(outgoing, injection, credential)
        needles = self._needles(credential)
        if prepared.approved is not None and not prepared.approved.covers(
            held_request(call, prepared.headers, prepared.body or b"")
        ):
            raise Refused(answers.APPROVAL_OUTDATED)
        outbound = Outbound(connection, call.proxy.deadlines)
        await outbound.send_request(outgoing.method, outgoing.target.wire, outgoing.headers, outgoing.body)
        if outgoing.body is not None:
            return await self._answer(outbound, outgoing, credential, needles)
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._stream_body(outbound))
                is_answered = await self._answer(outbound, outgoing, credential, needles)
                sending.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return is_answered

    async def _answer(
        self, outbound: Outbound, outgoing: Outgoing, credential: Credential | None, needles: Needles
    ) -> bool:
        """Read the response and pass it on; False: the credential was refused, and nothing is passed."""
        call = self._call
        head, early = await outbound.read_head()
        call.status = head.status
        if await self._has_another(credential, head.status):
            return False
        if credential is not None and credential.label != "current":
            call.note(_which_value(credential.label))
        if head.status == SWITCHING_PROTOCOLS:
            await Splice(call, self._inbound, outbound, needles).run(outgoing.headers, head)
        else:
            await self._answering.pass_on(outbound, head, early, needles)
        return True

    def _outgoing(self) -> Outgoing:
        """Return the request before the credential is put in."""
        call, prepared = self._call, self._prepared
        outgoing = Outgoing(call.ask.method, call.ask.target, prepared.headers, prepared.body, self._request.headers)
        if self._client is not None:
            from credproxy.pipeline.capturing import with_client  # few agents' tools ever log in by themselves

            outgoing = with_client(self._client, outgoing)
        return outgoing

    @property
    def _client(self) -> TokenAsk | None:
        """The client that asks an issuer for tokens, where its secret is ours to put in."""
        ask = self._call.token_ask
        return ask if ask is not None and ask.shown_secret else None

    def _needles(self, credential: Credential | None) -> Needles:
        """Return the forms in which what was put in must not come back."""
        call, client, needles = self._call, self._client, NO_NEEDLES
        if call.allow.injection is not None and credential is not None:
            needles = call.proxy.needles(credential.name)
        if client is not None:
            needles = Needles(needles.forms | needles_of((client.client_secret,)).forms)
        return needles

    def _injected(self, outgoing: Outgoing, injection: Injection, credential: Credential | None) -> Outgoing:
        """Return the request with the credential in it."""
        try:
            return inject(outgoing, injection, credential, now=time.time())
        except InjectionFailed as failure:
            raise Refused(answers.injection_failed(failure)) from failure

    async def _injected_apart(
        self, outgoing: Outgoing, injection: Injection, credential: Credential | None
    ) -> Outgoing:
        async with self._call.door.changing_body:
            return await asyncio.to_thread(self._injected, outgoing, injection, credential)

    async def _stream_body(self, outbound: Outbound) -> None:
        """Pass the request's body on as it comes, after what came of it in an earlier try. An upstream that stops
        listening has answered: that decides."""
        try:
            if self._spool is not None:
                for piece in self._spool.pieces():
                    await outbound.send_body(piece)
            while (piece_read := await self._next_piece()) is not None:
                await outbound.send_body(piece_read)
            await outbound.end_body()
        except UpstreamFailed:
            return

    async def _next_piece(self) -> bytes | None:
        """Return the next piece of the body, watched and kept, None after the last."""
        piece = None if self._is_body_read else await self._body.next_piece()
        pieces = self._prepared.pieces
        try:
            if piece is not None and pieces is not None:
                piece = pieces.feed(piece)
            elif pieces is not None and not self._is_body_read:
                pieces.end()
        except InjectionFailed as failure:
            raise Refused(answers.injection_failed(failure)) from failure
        if piece is None:
            self._is_body_read = True
            return None
        call = self._call
        if call.ask.route is None:
            tripped = find_tripped(call, (self._tail + piece,))
            if tripped is not None:
                call.tell("tripwire", detail=tripped.secret)
                raise Refused(answers.tripped(tripped.secret))
            self._tail = piece[-WATCHED_TAIL_BYTES:]
        if self._spool is not None:
            self._spool.add(piece)
        return piece

    def _may_dial(self, address: Address) -> bool:
        return is_permitted(address, self._call.ask.target, self._call.allow)

    def _may_send_again(self, connection: Connection, failure: UpstreamFailed) -> bool:
        """A kept connection that ends before a byte of answer was most likely closed by its server in the meantime.
        A model call may be sent again (at worst it costs twice), and so may what changes nothing."""
        is_stale = connection.was_used and failure.code == "upstream_closed" and not self._call.has_response_begun
        return is_stale and self._is_harmless and self._can_repeat


def is_permitted(address: Address, target: Target, allow: Allow) -> bool:
    """Whether an address may be dialled for a call: a grant names what is not public; a route and a twin's place are
    the owner's word."""
    if allow.dial is not None:
        return may_dial(address, allow.networks, private_too=True)
    if allow.route is None:
        return may_dial(address, allow.networks, is_own=is_own_address(address))
    if target.scheme == "http" and allow.secret is not None:
        return reach_of(address) == "loopback"  # a key in clear never leaves the machine
    return may_dial(address, (), private_too=True)


def _pool_key(call: Call, credential: Credential | None) -> PoolKey:
    allow, place = call.allow, call.allow.dial or call.ask.target
    used = "" if credential is None else f"{credential.name}/{credential.label}"
    return PoolKey(place.scheme, place.host, place.port, call.lease.group_id, allow.rule, used)


def _which_value(label: str) -> str:
    kind, _dash, number = label.partition("-")
    return notes.reserve(int(number)) if kind == "reserve" and number.isdigit() else label
