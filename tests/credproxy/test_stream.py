"""Streams: what a TLS connection costs while it is open."""

from __future__ import annotations

import asyncio
import asyncio.sslproto

from credproxy.wire.stream import TLS_BUFFER_BYTES
from tests.credproxy.street import Street


async def test_tls_connections_of_both_legs_hold_small_buffers(street: Street) -> None:
    """asyncio makes its TLS layer with the buffer that we say, when it shakes hands as a server and as a client; a
    release that takes its size from elsewhere is noticed here."""
    made: list[int] = []

    class Noting(bytearray):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            made.append(size)

    asyncio.sslproto.bytearray = Noting  # type: ignore[attr-defined]  # a module's own name comes before the builtin
    try:
        async with street.upstream("api.test") as upstream:
            street.addresses["api.test"] = ["127.0.0.1"]
            street.grants = f"- {{host: api.test, port: {upstream.port}, addresses: [127.0.0.1]}}"
            await street.lease()
            async with street.client() as outer:
                inner = await outer.tunnel("api.test", upstream.port, street.ca)
                assert (await inner.ask("GET", "/", host=f"api.test:{upstream.port}")).status == 200
    finally:
        del asyncio.sslproto.bytearray  # type: ignore[attr-defined]
    # The test's own client and upstream are of this process, too.
    assert len(made) >= 4
    assert set(made) == {TLS_BUFFER_BYTES}
