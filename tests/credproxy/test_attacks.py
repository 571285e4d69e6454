"""What code in a container, or a hostile upstream, may try: each attack and its safe end, over real sockets.

The oracle is the canary: it may arrive at the granted upstream A and nowhere else, not at B, not at the client, not in
any file of the proxy.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import socket
import sqlite3
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509

from credproxy.trust.bundle import make_authority_files
from credproxy.trust.certificates import CertificateAuthority
from protocol.frames import encode_frame
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.proxy_admin import AdminRequest
from protocol.task import Effects, Lease, Limits
from tests.credproxy.street import CANARY, Arrived, Client, Street, Upstream, hang, say, say_json

A, B = "a.test", "b.test"


@dataclass(slots=True)
class Scene:
    """A granted upstream with the secret, a hostile one without a grant."""

    street: Street
    a: Upstream
    b: Upstream

    @property
    def host(self) -> str:
        return f"{A}:{self.a.port}"

    @asynccontextmanager
    async def inside(self) -> AsyncIterator[Client]:
        """A client in a tunnel to A."""
        async with self.street.client() as client:
            yield await client.tunnel(A, self.a.port, self.street.ca)

    def assert_canary_is_home(self) -> None:
        assert CANARY.encode() not in self.b.everything
        assert self.street.spilled() == []


@pytest.fixture
async def scene(street: Street) -> AsyncIterator[Scene]:
    async with street.upstream(A) as a, street.upstream(B) as b:
        street.addresses |= {A: ["127.0.0.1"], B: ["127.0.0.1"]}
        place = f"host: {A}, port: {a.port}, addresses: [127.0.0.1]"
        street.grants = f"- {{{place}, paths: [/open/**, /x], secret: key, inject: bearer}}"
        await street.lease()
        scene = Scene(street, a, b)
        yield scene
        scene.assert_canary_is_home()


BODY = b"5\r\nhello\r\n0\r\n\r\n"
TUNNEL_ATTACKS = {
    "host of another (1)": (b"GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n", 421),
    "host with another port (15)": (b"GET /x HTTP/1.1\r\nHost: a.test:22\r\n\r\n", 421),
    "absolute form in a tunnel (5)": (b"GET http://b.test/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    "absolute https form in a tunnel (5)": (b"GET https://HOST/x HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    "asterisk (6)": (b"OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    "nested CONNECT (6)": (b"CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n", 400),
    "no slash (6)": (b"GET x HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    "model route in a tunnel": (b"GET /m/claude/v1/models HTTP/1.1\r\nHost: HOST\r\n\r\n", 403),
    "two hosts (36)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nHost: b.test\r\n\r\n", 400),
    "no host": (b"GET /x HTTP/1.1\r\n\r\n", 400),
    "userinfo in host (4)": (b"GET /x HTTP/1.1\r\nHost: a@HOST\r\n\r\n", 400),
    "both lengths (18)": (
        b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        400,
    ),
    "two lengths (18)": (b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    "differing lengths (18)": (
        b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        400,
    ),
    "signed length (18)": (b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: +5\r\n\r\nhello", 400),
    "listed length (18)": (b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
    "hex length (18)": (b"POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0x5\r\n\r\nhello", 400),
    "unknown coding (18)": (b"POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n" + BODY, 400),
    "two codings (18)": (
        b"POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        400,
    ),
    "listed coding (18)": (b"POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, x\r\n\r\n" + BODY, 400),
    "bad chunk size (18)": (
        b"POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
        400,
    ),
    "folded header (19)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: a\r\n b\r\n\r\n", 400),
    "bare LF (19)": (b"GET /x HTTP/1.1\nHost: HOST\n\n", 400),
    "bare LF before a header (19)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: a\nY: b\r\n\r\n", 400),
    "bare CR (19)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: a\rY: b\r\n\r\n", 400),
    "space before colon (19)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX : a\r\n\r\n", 400),
    "NUL in a header (22)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\n\r\n", 400),
    "control character in a header (22)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: a\x01b\r\n\r\n", 400),
    "lower-case method (26)": (b"get /x HTTP/1.1\r\nHost: HOST\r\n\r\n", 403),
    "unknown method (26)": (b"FROB /x HTTP/1.1\r\nHost: HOST\r\n\r\n", 403),
    "TRACE (30)": (b"TRACE /x HTTP/1.1\r\nHost: HOST\r\n\r\n", 403),
    "HTTP/1.0": (b"GET /x HTTP/1.0\r\nHost: HOST\r\n\r\n", 400),
    "h2 preface (46)": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "too many headers (47)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\n" + b"X: a\r\n" * 200 + b"\r\n", 400),
    "huge header (47)": (b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 400),
    "huge target (47)": (b"GET /open/" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", TUNNEL_ATTACKS)
async def test_nothing_crooked_leaves_a_tunnel(scene: Scene, name: str) -> None:
    """Inside a tunnel to A: what is crooked is answered with a refusal, and neither A nor B sees anything."""
    wire, status = TUNNEL_ATTACKS[name]
    async with scene.inside() as client:
        client.writer.write(wire.replace(b"HOST", scene.host.encode()))
        async with asyncio.timeout(5):
            answer = await client.reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert scene.a.inbox == []
    assert scene.b.connections == 0


PATH_ATTACKS = (
    "/closed",
    "/",
    "/opened",
    "/open/../closed",
    "/open/./../closed",
    "/open/%2e%2e/closed",
    "/open/%2E./closed",
    "/open/..%2fclosed",
    "/open/%2e%2e%2fclosed",
    "/open/..%5cclosed",
    "/open/..\\closed",
    "/open/%252e%252e/closed",
    "/open/..;/closed",
    "/open;x/../closed",
    "/open/%3b/closed",
    "//open/x",
    "/open//closed",
    "/OPEN/x",
    "/open/%c0%ae%c0%ae/closed",
    "/open/%00",
    "/open/%0d%0aX:1",
    "/open/%",
    "/open/%zz",
    "/open/#/closed",
    "/open/\x7f",
)


@pytest.mark.parametrize("path", PATH_ATTACKS)
async def test_no_path_slips_past_its_grant(scene: Scene, path: str) -> None:
    """A grant for /open/** lets nothing through that a server could read as another path (24, 25)."""
    async with scene.inside() as client:
        client.writer.write(f"GET {path} HTTP/1.1\r\nHost: {scene.host}\r\n\r\n".encode("latin-1"))
        async with asyncio.timeout(5):
            answer = await client.reader.readuntil(b"\r\n\r\n")
    assert answer[9:12] in (b"400", b"403"), answer
    assert scene.a.inbox == []


async def test_what_is_judged_is_what_is_sent(scene: Scene) -> None:
    """An escaped letter is written plainly before it is judged, and so it goes out (24)."""
    async with scene.inside() as client:
        response = await client.ask("GET", "/op%65n/%7ea%c3%a9?q=%2e%2e/", host=scene.host)
    assert response.status == 200
    assert scene.a.inbox[0].line == "GET /open/~a%C3%A9?q=%2e%2e/ HTTP/1.1"


DOOR_ATTACKS = {
    "userinfo (4)": ("CONNECT a.test:x@b.test:PORT", 400),
    "userinfo before a granted host (4)": ("CONNECT b@a.test:PORT", 400),
    "no port (15)": ("CONNECT a.test", 400),
    "port zero (15)": ("CONNECT a.test:0", 400),
    "port too large (15)": ("CONNECT a.test:65536", 400),
    "port with zero before it (15)": ("CONNECT a.test:0443", 400),
    "other port (15)": ("CONNECT a.test:22", 403),
    "usual port, not granted (15)": ("CONNECT a.test:443", 403),
    "not granted host": ("CONNECT b.test:BPORT", 403),
    "backslash (7)": ("CONNECT a.test\\.b.test:PORT", 400),
    "empty label (9)": ("CONNECT a..test:PORT", 400),
    "two trailing dots (9)": ("CONNECT a.test..:PORT", 400),
    "leading dot (9)": ("CONNECT .a.test:PORT", 400),
    "underscore": ("CONNECT a_b.test:PORT", 400),
    "fullwidth dot (9)": ("CONNECT a\uff0etest:PORT", 400),
    "homograph (9)": ("CONNECT \u0430.test:PORT", 400),
    "percent in host": ("CONNECT a%2etest:PORT", 400),
    "decimal address (10)": ("CONNECT 2130706433:PORT", 400),
    "octal address (10)": ("CONNECT 0177.0.0.1:PORT", 400),
    "hex address (10)": ("CONNECT 0x7f.0.0.1:PORT", 400),
    "short address (10)": ("CONNECT 127.1:PORT", 400),
    "plain loopback (11)": ("CONNECT 127.0.0.1:PORT", 403),
    "IPv6 loopback (11)": ("CONNECT [::1]:PORT", 403),
    "mapped address (10)": ("CONNECT [::ffff:127.0.0.1]:PORT", 400),
    "NAT64 address (10)": ("CONNECT [64:ff9b::7f00:1]:PORT", 403),
    "6to4 address (10)": ("CONNECT [2002:7f00:1::]:PORT", 400),
    "zone (10)": ("CONNECT [fe80::1%25eth0]:PORT", 400),
    "open bracket (10)": ("CONNECT [::1:PORT", 400),
    "metadata (12)": ("CONNECT 169.254.169.254:80", 403),
    "absolute https (17)": ("GET https://a.test:PORT/x", 400),
    "absolute ftp": ("GET ftp://a.test:PORT/x", 400),
    "absolute http to a host granted for https (16)": ("GET http://a.test:PORT/x", 403),
    "origin form at the door": ("GET /x", 400),
    "asterisk at the door (6)": ("OPTIONS *", 400),
    "route with a bent path": ("POST /m/claude/../x", 400),
    "route with an odd name": ("POST /m/..%2f/v1/messages", 400),
}


@pytest.mark.parametrize("name", DOOR_ATTACKS)
async def test_nothing_crooked_passes_a_door(scene: Scene, name: str) -> None:
    """At the door: a target in another form than the one we take is refused before anything is resolved or dialled."""
    line, status = DOOR_ATTACKS[name]
    line = line.replace("BPORT", str(scene.b.port)).replace("PORT", str(scene.a.port))
    host = line.partition(" ")[2].partition("://")[2].partition("/")[0] or "a.test"
    async with scene.street.client() as client:
        client.writer.write(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            answer = await client.reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert (scene.a.connections, scene.b.connections) == (0, 0)


HOST_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:")


async def test_host_takes_no_other_bytes(scene: Scene) -> None:
    """Every byte that is no letter, digit, hyphen or dot is refused inside a host (7)."""
    for byte in sorted(set(range(256)) - HOST_BYTES):
        async with scene.street.client() as client:
            client.writer.write(b"CONNECT a" + bytes([byte]) + b"test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n")
            async with asyncio.timeout(5):
                answer = await client.reader.readuntil(b"\r\n\r\n")
        assert answer[9:12] == b"400", (byte, answer)
    assert scene.a.connections == 0


async def test_case_and_trailing_dot_are_the_same_host(scene: Scene) -> None:
    """`A.Test.` is a.test, in decision, certificate and dial alike (8, 9)."""
    async with scene.street.client() as client:
        inside = await client.tunnel("A.Test.", scene.a.port, scene.street.ca, server_name=A)
        assert (await inside.ask("GET", "/x", host=f"a.TEST.:{scene.a.port}")).status == 200
    assert scene.a.inbox[0].header("host") == [scene.host]


async def test_other_name_in_the_handshake_is_refused(scene: Scene) -> None:
    """CONNECT to A with B in the handshake ends with an alert (3)."""
    async with scene.street.client() as client:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await client.tunnel(A, scene.a.port, scene.street.ca, server_name=B)
    assert scene.a.connections == 0


ADDRESSES = (
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
    "2001:db8::1",
)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_granted_name_never_reaches_inwards(scene: Scene, address: str) -> None:
    """A granted host whose name stands for a private, loopback or metadata address is refused (11, 12, 14)."""
    scene.street.grants = f"- {{host: {A}, port: {scene.a.port}, secret: key, inject: bearer}}"
    await scene.street.lease(attempt="again")
    scene.street.addresses[A] = ["1.1.1.1", address]
    async with scene.inside() as client:
        response = await client.ask("GET", "/x", host=scene.host)
    assert (response.status, response.headers["x-nightyard"]) == (403, "address_refused")
    assert scene.a.connections == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200"])
async def test_metadata_is_never_reached_even_when_granted(scene: Scene, address: str) -> None:
    """A grant that names a metadata address does not help (12)."""
    scene.street.grants = f"- {{host: {A}, port: {scene.a.port}, addresses: [0.0.0.0/0, '::/0']}}"
    await scene.street.lease(attempt="again")
    scene.street.addresses[A] = [address]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).headers["x-nightyard"] == "address_refused"


async def test_name_is_resolved_once_and_that_address_dialled(scene: Scene) -> None:
    """A name that flips to another address after the check is not asked again (14)."""
    asked = []

    class Flipping(dict[str, list[str]]):
        def __getitem__(self, host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    scene.street.addresses = Flipping({A: []})
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
    assert asked == [A]


OWN_CARRIERS = (
    "Authorization",
    "X-Api-Key",
    "Api-Key",
    "X-Goog-Api-Key",
    "X-Auth-Token",
    "X-Access-Token",
    "X-Amz-Security-Token",
    "Private-Token",
    "Ocp-Apim-Subscription-Key",
    "Cookie",
)


async def test_every_auth_carrier_of_the_agent_is_dropped(scene: Scene) -> None:
    """The agent's own keys, cookies, proxy and override headers stay behind; exactly ours goes (26, 34-38)."""
    own = [(name, "agents-own-account") for name in OWN_CARRIERS]
    own += [("Proxy-Authorization", "x"), ("Proxy-Connection", "keep-alive"), ("X-Nightyard-Group", "other")]
    own += [("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/closed"), ("X-Forwarded-Host", B)]
    own += [("Connection", "X-Hop, Authorization"), ("X-Hop", "1"), ("Authorization", "Basic eDp5"), ("X-Kept", "yes")]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host, headers=own)).status == 200
    raw = scene.a.inbox[0].raw.lower()
    assert scene.a.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
    assert b"agents-own-account" not in raw
    for gone in (b"proxy-", b"x-nightyard", b"override", b"x-original-url", b"x-forwarded", b"x-hop", b"cookie"):
        assert gone not in raw, gone
    assert b"x-kept: yes" in raw


async def test_redirect_is_the_agents_own_next_request(scene: Scene) -> None:
    """A 302 to B comes back as it is; nobody follows it with the secret (28)."""
    scene.a.respond = say(b"HTTP/1.1 302 Found\r\nLocation: https://b.test/\r\nContent-Length: 0\r\n\r\n")
    async with scene.inside() as client:
        response = await client.ask("GET", "/x", host=scene.host)
    assert (response.status, response.headers["location"]) == (302, "https://b.test/")
    assert scene.b.connections == 0


REFLECTIONS = {
    "plain": CANARY.encode(),
    "url-escaped": CANARY.replace("/", "%2F").replace("+", "%2B").encode(),
    "json-escaped": json.dumps(CANARY).replace("/", "\\/").encode(),
    "base64": base64.b64encode(CANARY.encode()),
    "base64 after one byte": base64.b64encode(b"x" + CANARY.encode() + b"yz"),
    "base64 after two bytes": base64.b64encode(b"xy" + CANARY.encode() + b"z"),
    "base64 for URLs": base64.urlsafe_b64encode(b"Bearer " + CANARY.encode()),
}


@pytest.mark.parametrize("form", REFLECTIONS)
async def test_reflected_secret_does_not_come_back(scene: Scene, form: str) -> None:
    """An upstream that echoes the secret, in any of these forms, is cut off before the agent sees it (30, 31)."""
    scene.a.respond = say_json(b'{"you sent": "' + REFLECTIONS[form] + b'"}')
    async with scene.street.client() as client:
        inside = await client.tunnel(A, scene.a.port, scene.street.ca)
        answer = await inside.raw(f"GET /x HTTP/1.1\r\nHost: {scene.host}\r\nConnection: close\r\n\r\n".encode())
    assert b"secret_reflected" in answer
    assert CANARY.encode() not in answer
    assert REFLECTIONS[form] not in answer


async def test_reflection_in_a_header_is_withheld(scene: Scene) -> None:
    """A header that carries the secret back withholds the whole response (30)."""
    scene.a.respond = say(b"HTTP/1.1 200 OK\r\nX-Echo: Bearer " + CANARY.encode() + b"\r\nContent-Length: 0\r\n\r\n")
    async with scene.inside() as client:
        response = await client.ask("GET", "/x", host=scene.host)
    assert (response.status, response.headers["x-nightyard"]) == (502, "secret_reflected")
    assert not any(CANARY in value for value in response.headers.values())


async def test_reflection_split_over_chunks_is_cut(scene: Scene) -> None:
    """The secret in single bytes, each in its own chunk: nothing that completes it passes (31, 32)."""

    async def drip(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbefore\r\n")
        for byte in CANARY.encode():
            writer.write(b"1\r\n%c\r\n" % byte)
            await writer.drain()
        writer.write(b"5\r\nafter\r\n0\r\n\r\n")

    scene.a.respond = drip
    async with scene.street.client() as client:
        inside = await client.tunnel(A, scene.a.port, scene.street.ca)
        answer = await inside.raw(f"GET /x HTTP/1.1\r\nHost: {scene.host}\r\nConnection: close\r\n\r\n".encode())
    assert b"before" in answer
    assert CANARY[:9].encode() not in answer
    assert b"after" not in answer
    assert not answer.endswith(b"0\r\n\r\n"), "the cut must be seen"


async def test_compressed_answer_to_a_secret_is_refused(scene: Scene) -> None:
    """Identity encoding is asked for; a server that compresses all the same is refused, bombs included (31, 49)."""
    body = gzip.compress(CANARY.encode() + bytes(1 << 20))
    scene.a.respond = say(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    async with scene.inside() as client:
        headers = [("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")]
        response = await client.ask("GET", "/x", host=scene.host, headers=headers)
    assert (response.status, response.headers["x-nightyard"]) == (502, "response_encoded")
    assert scene.a.inbox[0].header("accept-encoding") == ["identity"]
    assert scene.a.inbox[0].header("range") == []


async def test_session_cookie_of_our_secret_stays_here(scene: Scene) -> None:
    """Set-Cookie of a response to our secret does not reach the agent (33)."""
    scene.a.respond = say(b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nAlt-Svc: h3\r\nContent-Length: 0\r\n\r\n")
    async with scene.inside() as client:
        response = await client.ask("GET", "/x", host=scene.host)
    assert "set-cookie" not in response.headers
    assert "alt-svc" not in response.headers


BAD_ANSWERS = {
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "odd coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "control character": b"HTTP/1.1 200 OK\r\nX: \x01\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HELLO\r\n\r\n",
    "unasked upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw",
    "endless informational": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50,
    "huge head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_crooked_answer_is_a_502_and_its_connection_ends(scene: Scene, name: str) -> None:
    """What an upstream says in two ways at once is not passed on, and its connection is never used again (20)."""
    scene.a.respond = say(BAD_ANSWERS[name])
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 502
        scene.a.respond = say_json(b"{}")
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
    assert scene.a.connections == 2


async def test_bytes_after_an_answer_poison_nobody(scene: Scene) -> None:
    """An answer with more bytes behind it is passed on alone, and its connection dropped (20, 21)."""
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    scene.a.respond = say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal" + second)
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).body == b"real"
        scene.a.respond = say_json(b"{}")
        assert (await client.ask("GET", "/x", host=scene.host)).body == b"{}"
    assert scene.a.connections == 2


async def test_truncated_answer_is_seen_as_such(scene: Scene) -> None:
    """An upstream that dies in the middle leaves the agent with a visibly unfinished answer (32)."""
    scene.a.respond = say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", closes=True)
    async with scene.street.client() as client:
        inside = await client.tunnel(A, scene.a.port, scene.street.ca)
        answer = await inside.raw(f"GET /x HTTP/1.1\r\nHost: {scene.host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.endswith(b"half")


async def test_pipelined_request_is_not_answered(scene: Scene) -> None:
    """Bytes that come before the first answer are never taken for a second request (18)."""
    one = f"GET /x HTTP/1.1\r\nHost: {scene.host}\r\n\r\n".encode()
    async with scene.street.client() as client:
        inside = await client.tunnel(A, scene.a.port, scene.street.ca)
        answer = await inside.raw(one + one)
    assert answer.count(b"HTTP/1.1") <= 1
    assert len(scene.a.inbox) <= 1


async def test_bytes_behind_connect_are_refused(scene: Scene) -> None:
    """A handshake that does not wait for its 200 is no tunnel."""
    async with scene.street.client() as client:
        answer = await client.raw(f"CONNECT {scene.host} HTTP/1.1\r\nHost: {scene.host}\r\n\r\n\x16\x03\x01".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_upgrade_is_not_passed_on(scene: Scene) -> None:
    """h2c and WebSocket are not negotiated behind the proxy's back (44, 45)."""
    headers = [("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABk")]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host, headers=headers)).status == 200
    assert b"pgrade" not in scene.a.inbox[0].raw
    assert b"http2" not in scene.a.inbox[0].raw.lower()


async def test_pool_is_not_shared_between_groups(street: Street) -> None:
    """Two groups with the same rule for the same host never share an upstream connection (21)."""
    other, path = DoorId("door_bbbbbbbbbbbbbbbb"), street.door_path.with_name("other.sock")
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        await street.admin.open_door(other, path)
        lease = Lease(
            task_id=TaskId("task_2"),
            attempt_id=AttemptId("attempt_2"),
            group_id=GroupId("second"),
            effects=Effects.LIVE,
            limits=Limits(),
            routes=("claude",),
        )
        await street.admin.grant(other, lease)
        assert (await street.ask("GET", "/m/claude/v1/models")).status == 200
        reader, writer = await asyncio.open_unix_connection(path)
        assert (await Client(reader, writer).ask("GET", "/m/claude/v1/models")).status == 200
        writer.close()
        assert upstream.connections == 2


async def test_lease_of_one_door_is_nothing_at_another(street: Street) -> None:
    """Which socket it is, is who asks: another container's lease cannot be borrowed (39)."""
    path = street.door_path.with_name("other.sock")
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        await street.admin.open_door(DoorId("door_bbbbbbbbbbbbbbbb"), path)
        reader, writer = await asyncio.open_unix_connection(path)
        response = await Client(reader, writer).ask("GET", "/m/claude/v1/models")
        writer.close()
    assert response.headers["x-nightyard"] == "no_lease"
    assert upstream.inbox == []


async def test_control_is_not_reachable_from_a_door(street: Street) -> None:
    """Admin frames at a door are crooked HTTP; the admin socket is its owner's alone (13, 40, 41)."""
    async with street.client() as client:
        frame = encode_frame(AdminRequest(protocol="1.0", id=1, verb="health"))
        answer = await client.raw(frame + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert stat.S_IMODE(street.admin_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(street.door_path.stat().st_mode) == 0o600


async def test_secret_never_travels_in_clear(street: Street) -> None:
    """A plain http route with a key reaches loopback only; a public address is refused before dialling (16)."""
    street.routes["far"] = ("anthropic", "http://far.test", "key")
    street.addresses["far.test"] = ["1.1.1.1"]
    await street.lease()
    response = await street.ask("GET", "/m/far/v1/models")
    assert response.headers["x-nightyard"] == "address_refused"


async def test_untrusted_upstream_gets_nothing(scene: Scene, tmp_path: Path) -> None:
    """A certificate of another authority, or for another name, ends the call before the secret is opened (50)."""
    street = scene.street
    same_authority = CertificateAuthority(street.folder / "outside")
    async with (
        street.upstream(A, authority=CertificateAuthority(tmp_path)) as stranger,
        street.upstream("c.test", authority=same_authority) as misnamed,
    ):
        place = f"host: {A}, addresses: [127.0.0.1], secret: key, inject: bearer"
        ports = (stranger.port, misnamed.port)
        street.grants = "\n".join(f"- {{{place}, port: {port}}}" for port in ports)
        await street.lease(attempt="again")
        for port in ports:
            async with street.client() as client:
                inside = await client.tunnel(A, port, street.ca)
                response = await inside.ask("GET", "/x", host=f"{A}:{port}")
            assert (response.status, response.headers["x-nightyard"]) == (502, "upstream_untrusted")
    assert not stranger.everything
    assert not misnamed.everything


async def test_no_leaf_is_made_for_hosts_nobody_granted(scene: Scene) -> None:
    """A thousand CONNECTs to made-up hosts mint nothing and are all in the audit (48)."""
    async with scene.street.client() as client:
        for number in range(300):
            response = await client.ask("CONNECT", f"h{number}.test:443", host=f"h{number}.test:443")
            assert response.status == 403
    assert "leaves=0>" in repr(scene.street.proxy.authority)


async def test_slow_head_and_too_many_connections(short_folder: Path) -> None:
    """A head that drips is cut at its deadline; one container's connections are counted (47)."""
    street = Street(short_folder)
    street.deadlines = replace(street.deadlines, head_s=0.05)
    async with street.open():
        async with street.client() as client:
            assert (await client.raw(b"GET /m/x HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408 ")
        held = [await asyncio.open_unix_connection(street.door_path) for _number in range(64)]
        async with street.client() as client:
            assert b"too_many_connections" in await client.raw(b"")
        for _reader, writer in held:
            writer.close()


async def test_hanging_upstream_ends_at_its_deadline(short_folder: Path) -> None:
    """An upstream that says nothing, or stops in the middle, ends in 504 or a cut, never in a hang."""
    street = Street(short_folder)
    street.deadlines = replace(street.deadlines, answer_s=0.1, answer_pause_s=0.1, connect_s=0.2)

    async with street.open(), street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        upstream.respond = hang
        assert (await street.ask("GET", "/m/claude/v1/models")).status == 504

        async def stop_halfway(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            await hang(arrived, writer)

        upstream.respond = stop_halfway
        async with street.client() as client:
            answer = await client.raw(b"GET /m/claude/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.endswith(b"half")
        deaf = socket.socket()
        deaf.bind(("127.0.0.1", 0))
        street.routes["deaf"] = ("anthropic", f"http://127.0.0.1:{deaf.getsockname()[1]}", "key")
        await street.lease(attempt="again")
        assert (await street.ask("GET", "/m/deaf/v1/models")).status in (502, 504)
        deaf.close()


async def test_audit_that_cannot_be_written_stops_everything(scene: Scene) -> None:
    """Without its row a request is not sent (57)."""
    await scene.street.admin.health()
    with contextlib.closing(sqlite3.connect(scene.street.folder / "audit.db", timeout=5)) as connection, connection:
        connection.execute("ALTER TABLE entries RENAME TO hidden")
    connection.close()
    async with scene.inside() as client:
        for method in ("POST", "GET"):
            response = await client.ask(method, "/x", host=scene.host)
            assert (response.status, response.headers["x-nightyard"]) == (503, "audit_failed")
    assert scene.a.inbox == []
    with contextlib.closing(sqlite3.connect(scene.street.folder / "audit.db", timeout=5)) as connection, connection:
        connection.execute("ALTER TABLE hidden RENAME TO entries")
    connection.close()


async def test_revoked_secret_is_gone_at_once(scene: Scene) -> None:
    """After `secret remove` the next request in the same tunnel fails, kept connections or not (56)."""
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
        await scene.street.admin.secret_remove("key")
        assert (await client.ask("GET", "/x", host=scene.host)).headers["x-nightyard"] == "secret_missing"
    assert len(scene.a.inbox) == 1


@pytest.mark.parametrize(("effects", "code"), [(Effects.SHADOW, "shadow"), (Effects.TWIN, "twin")])
async def test_shadow_and_twin_tasks_change_nothing(scene: Scene, effects: Effects, code: str) -> None:
    """A task in shadow sends nothing with a credential; one for twins talks to nobody real."""
    await scene.street.lease(effects=effects, attempt="again")
    async with scene.inside() as client:
        assert (await client.ask("POST", "/x", host=scene.host, body=b"")).headers["x-nightyard"] == code
    assert scene.a.inbox == []


def test_authority_is_private_and_signs_no_other(tmp_path: Path) -> None:
    """The CA's key is its owner's alone, its certificate can sign leaves only (51)."""
    make_authority_files(tmp_path)
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert (tmp_path / "bundle.pem").read_bytes().endswith((tmp_path / "ca.pem").read_bytes())
    assert b"PRIVATE" not in (tmp_path / "bundle.pem").read_bytes()
