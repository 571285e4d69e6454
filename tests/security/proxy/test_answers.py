"""Attacks through what comes back: reflection in every form, errors in its middle, compression (20, 28, 30-33, 49)."""

from __future__ import annotations

import asyncio
import base64
import gzip
import html
import json
import urllib.parse
import zlib

import pytest

from tests.credproxy.street import CANARY, Arrived, Respond, say, say_json
from tests.security.proxy.scene import Scene, code_of, status_of

RAW = CANARY.encode()
REFLECTIONS = {
    "as it is": RAW,
    "in a bearer header's words": b"Authorization: Bearer " + RAW,
    "URL-escaped": urllib.parse.quote(CANARY, safe="").encode(),
    "URL-escaped in lower case": CANARY.replace("/", "%2f").replace("+", "%2b").encode(),
    "URL-escaped but for the slash": urllib.parse.quote(CANARY).encode(),
    "as a path's part by Go": urllib.parse.quote(CANARY, safe="$&+=:@").encode(),
    "as an address by JavaScript": urllib.parse.quote(CANARY, safe=";,/?:@&=+$#!'()*").encode(),
    "in JSON by .NET": CANARY.replace("+", "\\u002B").encode(),
    "in a page by Go": CANARY.replace("+", "&#43;").encode(),
    "in a page by Mustache": CANARY.replace("/", "&#x2F;").encode(),
    "URL-escaped twice": urllib.parse.quote(urllib.parse.quote(CANARY, safe=""), safe="").encode(),
    "in a form": urllib.parse.urlencode({"k": CANARY}).encode(),
    "JSON-escaped": json.dumps({"k": CANARY}).encode(),
    "JSON with escaped slashes": json.dumps({"k": CANARY}).replace("/", "\\/").encode(),
    "JSON with unicode escapes": json.dumps({"k": CANARY}).replace("/", "\\u002f").replace("+", "\\u002b").encode(),
    "HTML-escaped": html.escape(CANARY).encode(),
    "base64": base64.b64encode(RAW),
    "base64 behind one byte": base64.b64encode(b"x" + RAW),
    "base64 behind two bytes": base64.b64encode(b"xx" + RAW),
    "base64 in the middle of more": base64.b64encode(b"user:" + RAW + b":more"),
    "base64 for URLs": base64.urlsafe_b64encode(b"Bearer " + RAW),
    "base64 without its end": base64.b64encode(RAW).rstrip(b"="),
    "base64 in lines": base64.encodebytes(b"user:" * 9 + RAW),
    "base64 of base64": base64.b64encode(b"key " + base64.b64encode(b"x" + RAW)),
    "base32": base64.b32encode(b"xyz" + RAW),
    "hex": RAW.hex().encode(),
    "hex in capitals": RAW.hex().upper().encode(),
    "UTF-16": CANARY.encode("utf-16"),
    "in single quotes of Python": repr({"k": CANARY}).encode(),
    "twice": RAW + RAW,
}
"""Forms in which honest servers send back what they got. A hostile one can always find another: see the table's 29."""


def chunked(pieces: list[bytes], trailer: bytes = b"", head: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


async def all_of(scene: Scene, respond: Respond, method: bytes = b"GET") -> bytes:
    """Return everything a client gets for one request, up to the connection's end."""
    scene.a.respond = respond
    wire = method + b" /x HTTP/1.1\r\nHost: " + scene.host.encode() + b"\r\nConnection: close\r\n\r\n"
    async with scene.inside() as client:
        return await client.raw(wire)


@pytest.mark.parametrize("form", REFLECTIONS)
@pytest.mark.parametrize("way", ["whole", "chunked", "split", "to the end"])
async def test_reflected_secret_stays_here(scene: Scene, form: str, way: str) -> None:
    """Whatever form it comes back in, and however it is cut, nothing that completes the secret passes (30, 31)."""
    body = b'{"you sent": "' + REFLECTIONS[form] + b'"}'
    middle = len(body) // 2
    responds = {
        "whole": say_json(body),
        "chunked": say(chunked([body])),
        "split": say(chunked([body[:middle], body[middle : middle + 1], body[middle + 1 :]])),
        "to the end": say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, closes=True),
    }
    answer = await all_of(scene, responds[way])
    assert REFLECTIONS[form] not in answer
    assert b"secret_reflected" in answer or not answer.endswith(b"0\r\n\r\n")


HEADS = {
    "a header": b"X-Echo: %s",
    "a header's name": b"X-%s: 1",
    "a redirect": b"Location: https://b.test/?token=%s",
    "a cookie": b"Set-Cookie: session=%s",
    "an authenticate header": b'WWW-Authenticate: Bearer error="%s"',
    "a link": b"Link: <https://a.test/?k=%s>; rel=next",
}


@pytest.mark.parametrize("place", HEADS)
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"401 Unauthorized", b"500 Oh"])
async def test_reflection_in_a_head_is_withheld(scene: Scene, place: str, status: bytes) -> None:
    """A head that carries the secret back is not passed on, whatever it says else (28, 30)."""
    value = urllib.parse.quote(CANARY, safe="").encode() if place == "a header's name" else RAW
    if place == "a header's name":
        value = value.replace(b"%", b"'")
    head = b"HTTP/1.1 " + status + b"\r\n" + HEADS[place] % value + b"\r\nContent-Length: 0\r\n\r\n"
    await all_of(scene, say(head))


async def test_reflection_in_the_reason_is_withheld(scene: Scene) -> None:
    """The words behind a status are searched too (30)."""
    answer = await all_of(scene, say(b"HTTP/1.1 400 bad key " + RAW + b"\r\nContent-Length: 0\r\n\r\n"))
    assert code_of(answer.split(b"\r\n\r\n")[0]) == "secret_reflected"


async def test_trailers_extensions_and_early_hints_carry_nothing(scene: Scene) -> None:
    """Where the secret comes back in a trailer, in a chunk's extension or in a 103, the agent gets none of it (30)."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: <" + RAW + b">\r\n\r\n"
    extended = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;k=" + RAW + b"\r\n{}\r\n0\r\n\r\n"
    await all_of(scene, say(hints + chunked([b"{}"], trailer=b"X-Echo: " + RAW + b"\r\n", head=b"Trailer: X-Echo\r\n")))
    await all_of(scene, say(extended))


BROKEN_WITH_THE_SECRET = {
    "status line": b"HTTP/1.1 " + RAW + b"\r\n\r\n",
    "protocol": RAW + b" 200 OK\r\n\r\n",
    "header line": b"HTTP/1.1 200 OK\r\nX " + RAW + b"\r\n\r\n",
    "header with NUL": b"HTTP/1.1 200 OK\r\nX: " + RAW + b"\0\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: " + RAW + b"\r\n\r\n",
    "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + RAW + b"\r\n\r\n",
    "chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + RAW + b"\r\n",
    "chunk end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}" + RAW,
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX " + RAW + b"\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + RAW + b"\r\nConnection: upgrade\r\n\r\n" + RAW,
}


@pytest.mark.parametrize("place", BROKEN_WITH_THE_SECRET)
async def test_what_is_said_of_a_broken_answer_quotes_nothing(scene: Scene, place: str) -> None:
    """Where a malformed answer carries the secret, the proxy's own words about it do not (30, 53)."""
    answer = await all_of(scene, say(BROKEN_WITH_THE_SECRET[place]))
    assert status_of(answer) in (200, 502)


async def test_trace_and_options_show_nothing(scene: Scene) -> None:
    """TRACE is never forwarded; what OPTIONS echoes is searched like all else (30)."""
    echo = say_json(b"Authorization: Bearer " + RAW, b"message/http")
    assert code_of((await all_of(scene, echo, b"TRACE")).split(b"\r\n\r\n")[0]) == "method_refused"
    assert scene.a.inbox == []
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}")
    await all_of(scene, echo, b"OPTIONS")
    assert len(scene.a.inbox) == 1


async def test_upstream_that_breaks_off_with_the_secret_underway(scene: Scene) -> None:
    """Data and error together: the tail that was held back is dropped, and the answer is visibly unfinished (32)."""

    async def break_off(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbefore\r\n")
        await writer.drain()
        writer.write(b"%x\r\n%s\r\n" % (len(RAW) - 1, RAW[:-1]))
        await writer.drain()
        writer.transport.abort()

    answer = await all_of(scene, break_off)
    assert RAW[:9] not in answer
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("at", [0, 1, 7, len(RAW) // 2 - 1])
async def test_answer_that_ends_inside_a_needle_is_whole(scene: Scene, at: int) -> None:
    """What was held back and turned out to be harmless arrives: searching loses no byte (32)."""
    body = b"begin " + RAW[:at]
    answer = await all_of(scene, say(chunked([body[:3], body[3:]])))
    assert answer.endswith(b"0\r\n\r\n")
    payload = b"".join(answer.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1::2])
    assert payload == body


BOMB = bytes(16 << 20)
ENCODED = {
    "gzip": (b"gzip", gzip.compress(RAW)),
    "deflate": (b"deflate", zlib.compress(RAW)),
    "an unknown one": (b"x-rot13", RAW[::-1]),
    "two at once": (b"identity, gzip", gzip.compress(RAW)),
    "in capitals": (b"GZIP", gzip.compress(RAW)),
    "a bomb": (b"gzip", gzip.compress(BOMB)),
    "gzip in gzip": (b"gzip, gzip", gzip.compress(gzip.compress(RAW))),
}


@pytest.mark.parametrize("name", ENCODED)
async def test_encoded_answer_is_refused_unread(scene: Scene, name: str) -> None:
    """An answer that cannot be searched is refused: nothing is inflated, so no bomb goes off (31, 49)."""
    coding, body = ENCODED[name]
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(body))
    answer = await all_of(scene, say(head + body))
    assert code_of(answer.split(b"\r\n\r\n")[0]) == "response_encoded"
    assert body[:64] not in answer


async def test_parts_cannot_be_asked_for(scene: Scene) -> None:
    """No range is passed on: in pieces of a byte each, the secret would be found in none of them (31)."""
    headers = [("Range", "bytes=0-1"), ("If-Range", "x"), ("Accept-Encoding", "gzip, br")]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host, headers=headers)).status == 200
    assert scene.a.inbox[0].header("range") == scene.a.inbox[0].header("if-range") == []
    assert scene.a.inbox[0].header("accept-encoding") == ["identity"]


async def test_session_of_our_secret_stays_here(scene: Scene) -> None:
    """A cookie that A gives for our secret is as good as the secret: it stays here, short secrets included (33)."""
    await scene.street.admin.secret_add("short", "abc1234", "key")
    for secret in ("key", "short"):
        await scene.grant(f"- {{{scene.place}, secret: {secret}, inject: bearer}}")
        answer = await all_of(scene, say(b"HTTP/1.1 200 OK\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\n\r\n"))
        assert b"set-cookie" not in answer.lower(), secret


@pytest.mark.parametrize("to", ["https://b.test/", "http://a.test/", "//b.test/", "/x"])
@pytest.mark.parametrize("status", [b"301", b"302", b"303", b"307", b"308"])
async def test_redirect_is_the_agents_to_follow(scene: Scene, to: str, status: bytes) -> None:
    """No redirect is followed here, whoever it points to: the agent's next request is decided by itself (28)."""
    head = b"HTTP/1.1 %s Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, to.encode())
    answer = await all_of(scene, say(head))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert len(scene.a.inbox) == 1
    assert scene.b.connections == 0
