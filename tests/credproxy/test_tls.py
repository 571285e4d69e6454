"""TLS of both legs: what a message costs nothing of, what a handshake says when it fails, how a connection ends."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credproxy.trust.certificates import CertificateAuthority
from credproxy.wire.tls import TlsSide
from tests.credproxy.street import Street


class Sides:
    """Two sides that hear each other in pieces."""

    def __init__(self, folder: Path, *, piece_bytes: int, is_trusted: bool = True) -> None:
        authority = CertificateAuthority(folder / "ca")
        trusting = ssl.create_default_context(cafile=str(folder / "ca" / "ca.pem") if is_trusted else None)
        self.server = TlsSide(authority.context_for("api.test"), None)
        self.client = TlsSide(trusting, "api.test")
        self._piece_bytes = piece_bytes

    def hear(self, side: TlsSide, wire: bytes) -> bytes:
        """Let a side take bytes piece by piece; return all that it read."""
        read = b""
        for at in range(0, len(wire), self._piece_bytes):
            side.receive(wire[at : at + self._piece_bytes])
            read += side.read()
        return read

    def shake_hands(self) -> None:
        is_done = [False, False]
        while not all(is_done):
            for number, (side, other) in enumerate(((self.client, self.server), (self.server, self.client))):
                is_done[number] = is_done[number] or side.shake_hands()
                wire = side.to_send()
                for at in range(0, len(wire), self._piece_bytes):
                    other.receive(wire[at : at + self._piece_bytes])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@settings(max_examples=40, deadline=None)
@given(
    piece_bytes=st.sampled_from((1, 5, 23, 1000, 70_000)),
    messages=st.lists(st.tuples(st.booleans(), st.sampled_from((1, 300, 16_384, 40_000))), max_size=4),
)
def test_any_split_gives_the_same_text(folder: Path, piece_bytes: int, messages: list[tuple[bool, int]]) -> None:
    """Whatever pieces the bytes arrive in, what was written is read, all of it and in order."""
    sides = Sides(folder, piece_bytes=piece_bytes)
    sides.shake_hands()
    for is_ours, length in messages:
        text = bytes(number % 251 for number in range(length))
        writer, reader = (sides.server, sides.client) if is_ours else (sides.client, sides.server)
        assert sides.hear(reader, writer.write(text)) == text
    assert not sides.client.has_ended
    assert sides.hear(sides.client, sides.server.end()) == b""
    assert sides.client.has_ended


def test_authority_that_is_not_trusted_ends_the_handshake_with_a_word(folder: Path) -> None:
    """The side that refuses says why, and the other side hears of it."""
    sides = Sides(folder, piece_bytes=4096, is_trusted=False)
    sides.client.shake_hands()
    sides.server.receive(sides.client.to_send())
    assert not sides.server.shake_hands()
    sides.client.receive(sides.server.to_send())
    with pytest.raises(ssl.SSLCertVerificationError):
        sides.client.shake_hands()
    sides.server.receive(sides.client.to_send())
    with pytest.raises(ssl.SSLError, match=r"unknown ca|UNKNOWN_CA"):
        sides.server.shake_hands()


async def test_tunnel_ends_with_goodbyes_on_both_sides(street: Street) -> None:
    """A connection that the proxy ends says so in TLS, too, and its socket stays open for the client's own goodbye:
    asyncio's client raises where it cannot say it."""
    async with street.upstream("api.test") as upstream:
        street.addresses["api.test"] = ["127.0.0.1"]
        street.grants = f"- {{host: api.test, port: {upstream.port}, addresses: [127.0.0.1]}}"
        await street.lease()
        async with asyncio.timeout(10), street.client() as outer:
            inner = await outer.tunnel("api.test", upstream.port, street.ca)
            host = f"api.test:{upstream.port}"
            assert (await inner.ask("GET", "/", host=host)).status == 200
            assert (await inner.raw(b"BROKEN\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_handshake_that_is_broken_off_is_on_record(street: Street) -> None:
    """A client that leaves in the middle of its handshake is one whose tunnel was refused, by itself."""
    async with street.upstream("api.test") as upstream:
        street.addresses["api.test"] = ["127.0.0.1"]
        street.grants = f"- {{host: api.test, port: {upstream.port}, addresses: [127.0.0.1]}}"
        await street.lease()
        async with asyncio.timeout(10), street.client() as outer:
            place = f"api.test:{upstream.port}"
            outer.writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
            assert (await outer.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert (await street.event("denied")).detail == "tls_refused"
