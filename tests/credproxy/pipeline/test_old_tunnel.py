"""A tunnel opened as older clients open it."""

from __future__ import annotations

import asyncio
import ssl

from tests.credproxy.street import TIMEOUT_S, Client, Street


async def test_a_tunnel_may_be_opened_with_http_1_0(street: Street) -> None:
    """Python before 3.12 says CONNECT with HTTP/1.0 and no Host; what is asked inside is HTTP/1.1 as ever."""
    async with street.upstream("api.test") as upstream, street.client() as client:
        street.addresses["api.test"] = ["127.0.0.1"]
        street.grants = f"- {{host: api.test, port: {upstream.port}, addresses: [127.0.0.1]}}"
        await street.lease()
        client.writer.write(f"CONNECT api.test:{upstream.port} HTTP/1.0\r\n\r\n".encode())
        async with asyncio.timeout(TIMEOUT_S):
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(cafile=str(street.ca))
        await client.writer.start_tls(context, server_hostname="api.test")
        inside = Client(client.reader, client.writer)
        assert (await inside.ask("GET", "/a", host=f"api.test:{upstream.port}")).status == 200
        head = f"GET /a HTTP/1.0\r\nHost: api.test:{upstream.port}\r\n\r\n"
        assert (await inside.raw(head.encode())).startswith(b"HTTP/1.1 400")
    assert len(upstream.inbox) == 1


async def test_a_refused_old_tunnel_is_answered_and_closed(street: Street) -> None:
    """A denial reaches a client of HTTP/1.0 too; other versions are not spoken, a tunnel's either."""
    await street.lease()
    async with street.client() as client:
        assert (await client.raw(b"CONNECT api.test:443 HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 403")
    async with street.client() as client:
        assert (await client.raw(b"CONNECT api.test:443 HTTP/0.9\r\n\r\n")).startswith(b"HTTP/1.1 400")
