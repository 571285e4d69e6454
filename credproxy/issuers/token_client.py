"""One request to whoever issues tokens, and its whole answer: by the same rules of dialling as every request.

What is asked and what the answer means is `oauth.py`'s and `github_app.py`'s. No redirect is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from credproxy.wire.addresses import Address, may_dial, reach_of
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.heads import find_header, is_encoded
from credproxy.wire.outbound import End, Outbound
from credproxy.wire.resolving import is_own_address
from credproxy.wire.upstream import PoolKey, UpstreamFailed, Upstreams
from protocol.ids import GroupId

if TYPE_CHECKING:
    from credproxy.issuers.token import TokenAnswer, TokenRequest

SendTokenRequest = Callable[[str, "TokenRequest", bool], Awaitable["TokenAnswer"]]
"""(the secret's name, the request, whether its address is the owner's word); raises UpstreamFailed, TimeoutError."""
Note = Callable[[str, str], Awaitable[bool]]
"""(secret, what happens): puts it into the audit; False: that failed, and nothing may be sent."""

EXCHANGE_S = 20.0
"""From dialling to the last byte."""
MAX_ANSWER_BYTES = 256 << 10


class TokenClient:
    """Asks issuers, each time on a connection of its own."""

    def __init__(self, upstreams: Upstreams, deadlines: Deadlines) -> None:
        self._upstreams = upstreams
        self._deadlines = deadlines

    async def send(self, name: str, request: TokenRequest, is_owners: bool) -> TokenAnswer:
        """Return the answer; raises UpstreamFailed, TimeoutError."""
        target = request.target
        key = PoolKey(target.scheme, target.host, target.port, GroupId(""), "issuer", name)

        def is_permitted(address: Address) -> bool:
            if target.scheme == "http":
                return reach_of(address) == "loopback"  # a secret in clear never leaves the machine
            return may_dial(address, (), private_too=is_owners, is_own=is_own_address(address))

        async with asyncio.timeout(EXCHANGE_S):
            connection = await self._upstreams.acquire(key, is_permitted, fresh=True)
            try:
                outbound = Outbound(connection, self._deadlines)
                length = str(len(request.body)).encode("ascii")
                host = (b"host", target.authority.encode("ascii"))
                headers = [host, *request.headers, (b"content-length", length)]
                await outbound.send_request(request.method, target.wire, headers, request.body)
                return await _read(outbound, target.host)
            finally:
                connection.stream.abort()


async def _read(outbound: Outbound, host: str) -> TokenAnswer:
    from credproxy.issuers.token import TokenAnswer

    head, piece = await outbound.read_head()
    if is_encoded(head.headers):
        raise UpstreamFailed("upstream_broken", f"{host} compressed its answer, unasked", may_retry=False)
    body = bytearray()
    while not isinstance(piece, End):
        if piece is not None:
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise UpstreamFailed("upstream_broken", f"{host} gave an answer that does not end", may_retry=False)
        piece = outbound.ready_piece() or await outbound.next_piece()
    said = {name: (find_header(head.headers, name) or b"").decode("latin-1") for name in (b"retry-after", b"date")}
    content_type = (find_header(head.headers, b"content-type") or b"").decode("latin-1")
    return TokenAnswer(
        status=head.status,
        content_type=content_type,
        body=bytes(body),
        retry_after=said[b"retry-after"],
        date=said[b"date"],
    )
