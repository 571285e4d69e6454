"""The way out: a connection that may carry the call, the agent's headers without any auth carrier, our credential, the
body. What comes back goes to `answering.py`.

A secret is opened after the upstream's certificate was verified, goes into one request, and is forgotten.
"""

from __future__ import annotations

import asyncio

from credproxy.injection.kinds import Bearer, SetHeader
from credproxy.pipeline import answers
from credproxy.pipeline.answering import Answering
from credproxy.pipeline.body import RequestBody
from credproxy.pipeline.call import Call
from credproxy.pipeline.refusal import Refused
from credproxy.pipeline.scrub import NO_NEEDLES, Needles, needles_of
from credproxy.pipeline.splice import Splice
from credproxy.policy.decide import READING_METHODS, Allow
from credproxy.vault.errors import SealBroken
from credproxy.vault.secret import Secret
from credproxy.wire import websocket
from credproxy.wire.addresses import Address, may_dial, reach_of
from credproxy.wire.heads import Headers, request_headers
from credproxy.wire.inbound import Inbound, Request
from credproxy.wire.outbound import SWITCHING_PROTOCOLS, Outbound, is_reusable
from credproxy.wire.resolving import is_own_address
from credproxy.wire.target import Target
from credproxy.wire.upstream import Connection, PoolKey, UpstreamFailed


class Sending:
    """Carries one admitted call to its upstream and has its response passed on."""

    def __init__(self, call: Call, inbound: Inbound, request: Request) -> None:
        self._call = call
        self._inbound = inbound
        self._request = request
        self._body = RequestBody(inbound, request, call)
        self._answering = Answering(call, inbound)

    async def run(self, recorded: asyncio.Future[None]) -> None:
        """Send when the row before is written, and answer. Raises UpstreamFailed, Refused."""
        call, upstreams = self._call, self._call.proxy.upstreams
        whole_body = await self._body.read_small()
        key = _pool_key(call)
        connection = await upstreams.acquire(key, self._may_dial)
        try:
            await recorded
            try:
                await self._exchange_on(connection, whole_body)
            except UpstreamFailed as failure:
                if not self._may_send_again(connection, failure, whole_body):
                    raise
                connection.stream.abort()
                connection = await upstreams.acquire(key, self._may_dial, fresh=True)
                await self._exchange_on(connection, whole_body)
        except BaseException:
            connection.stream.abort()
            raise
        if is_reusable(connection):
            upstreams.keep(connection)
        else:
            connection.stream.abort()

    def _may_dial(self, address: Address) -> bool:
        return is_permitted(address, self._call.ask.target, self._call.allow)

    def _may_send_again(self, connection: Connection, failure: UpstreamFailed, whole_body: bytes | None) -> bool:
        """A kept connection that ends before a byte of answer was most likely closed by its server in the meantime.
        A model call may be sent again (at worst it costs twice), and so may what changes nothing."""
        call = self._call
        is_harmless = call.ask.method in READING_METHODS or call.ask.route is not None
        is_stale = connection.was_used and failure.code == "upstream_closed" and not call.has_response_begun
        return is_stale and is_harmless and whole_body is not None

    async def _exchange_on(self, connection: Connection, whole_body: bytes | None) -> None:
        """Send the request and pass its response on, over one upstream connection."""
        call = self._call
        headers, needles = self._outgoing()
        outbound = Outbound(connection, call.proxy.deadlines)
        await outbound.send_request(call.ask.method, call.ask.target.wire, headers, whole_body)
        if whole_body is not None:
            await self._answer(outbound, headers, needles)
            return
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._stream_body(outbound))
                await self._answer(outbound, headers, needles)
                sending.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _answer(self, outbound: Outbound, sent: Headers, needles: Needles) -> None:
        head, early = await outbound.read_head()
        self._call.status = head.status
        if head.status == SWITCHING_PROTOCOLS:
            await Splice(self._call, self._inbound, outbound, needles).run(sent, head)
            return
        await self._answering.pass_on(outbound, head, early, needles)

    async def _stream_body(self, outbound: Outbound) -> None:
        """Pass the request's body on as it comes. An upstream that stops listening has answered: that decides."""
        try:
            while (piece := await self._body.next_piece()) is not None:
                await outbound.send_body(piece)
            await outbound.end_body()
        except UpstreamFailed:
            return

    def _outgoing(self) -> tuple[Headers, Needles]:
        """Return the headers to send, and the forms in which the secret must not come back."""
        call, allow = self._call, self._call.allow
        try:
            secret = call.proxy.vault.open(allow.secret) if allow.secret is not None else None
        except SealBroken as broken:
            raise Refused(answers.secret_broken(broken.name)) from broken
        if allow.secret is not None and secret is None:
            raise Refused(answers.secret_missing(allow.secret))
        headers = request_headers(
            self._request.headers,
            authority=call.ask.target.authority,
            is_searched=secret is not None or allow.is_model_call,
        )
        if call.is_websocket:
            headers = websocket.request_headers(headers, is_searched=secret is not None)
        if secret is None:
            return headers, NO_NEEDLES
        return _with_secret(headers, allow, secret), needles_of((secret.reveal(),))


def is_permitted(address: Address, target: Target, allow: Allow) -> bool:
    """Whether an address may be dialled for a call: a grant names what is not public; a route is the owner's word."""
    if allow.route is None:
        return may_dial(address, allow.networks, is_own=is_own_address(address))
    if target.scheme == "http" and allow.secret is not None:
        return reach_of(address) == "loopback"  # a key in clear never leaves the machine
    return may_dial(address, (), private_too=True)


def _pool_key(call: Call) -> PoolKey:
    target, allow = call.ask.target, call.allow
    return PoolKey(target.scheme, target.host, target.port, call.lease.group_id, allow.rule, allow.secret or "")


def _with_secret(headers: Headers, allow: Allow, secret: Secret) -> Headers:
    value = secret.reveal().encode("ascii")
    if isinstance(allow.injection, Bearer):
        injected = (b"authorization", b"Bearer " + value)
    elif isinstance(allow.injection, SetHeader):
        injected = (allow.injection.name.encode("ascii"), value)
    else:
        return headers
    return [*(header for header in headers if header[0] != injected[0]), injected]
