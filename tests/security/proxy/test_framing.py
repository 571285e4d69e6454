"""Attacks on where one message ends and the next begins, on both legs (18-21)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.credproxy.street import Arrived, Street, say, say_json
from tests.security.proxy.scene import Scene, open_scene, status_of

POST = b"POST /x HTTP/1.1\r\nHost: HOST\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
UNFINISHED = b"POST /m/claude/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf"
SMUGGLED = b"GET /open/smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"
CROOKED_REQUESTS = {
    "length, then coding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding, then length": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "coding with a tab": POST + b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "coding in capitals beside a length": POST + b"TRANSFER-ENCODING: CHUNKED\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "length twice, alike": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "length twice, in two cases": POST + b"Content-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "coding twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding with a parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "empty coding": POST + b"Transfer-Encoding: \r\nContent-Length: 3\r\n\r\nabc",
    "coding behind a comma": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "coding with a control character": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding with a space before its colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding on a folded line": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "length with a plus": POST + b"Content-Length: +3\r\n\r\nabc",
    "length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "length in other digits": POST + "Content-Length: \u0663\r\n\r\nabc".encode(),
    "length with a fraction": POST + b"Content-Length: 3.0\r\n\r\nabc",
    "length of nothing": POST + b"Content-Length: \r\n\r\nabc",
    "enormous length": POST + b"Content-Length: 99999999999999999999\r\n\r\nabc",
    "space before the length's colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "chunk size with a sign": CHUNKED + b"\r\n+3\r\nabc\r\n0\r\n\r\n",
    "chunk size with 0x": CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size with an underscore": CHUNKED + b"\r\n0_3\r\nabc\r\n0\r\n\r\n",
    "chunk size of nothing": CHUNKED + b"\r\n\r\nabc\r\n0\r\n\r\n",
    "chunk ended by LF alone": CHUNKED + b"\r\n3\nabc\n0\n\n",
    "chunk with more than its size": CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n",
    "chunk size too long": CHUNKED + b"\r\n" + b"0" * 30 + b"3\r\nabc\r\n0\r\n\r\n",
    "chunk extension with a bare LF": CHUNKED + b"\r\n3;a\nb\r\nabc\r\n0\r\n\r\n",
    "space after the last chunk": CHUNKED + b"\r\n0 \t\r \n\r\n",
    "line feed in the request line": b"GET /x\nX: y HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "tab in the request line": b"GET\t/x\tHTTP/1.1\r\nHost: HOST\r\n\r\n",
    "three words more": b"GET /x HTTP/1.1 more\r\nHost: HOST\r\n\r\n",
    "other version": b"GET /x HTTP/1.2\r\nHost: HOST\r\n\r\n",
    "no version": b"GET /x\r\nHost: HOST\r\n\r\n",
    "empty lines first": b"\r\n\r\nGET /x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "header without a name": b"GET /x HTTP/1.1\r\nHost: HOST\r\n: x\r\n\r\n",
    "header without a colon": b"GET /x HTTP/1.1\r\nHost: HOST\r\nX\r\n\r\n",
    "NUL at a line's end": b"GET /x HTTP/1.1\r\nHost: HOST\r\nX: a\0\r\n\r\n",
    "folded host": b"GET /x HTTP/1.1\r\nHost:\r\n HOST\r\n\r\n",
}


@pytest.fixture
async def hasty(short_folder: Path) -> AsyncIterator[Scene]:
    """A scene whose proxy does not wait long for what never comes."""
    street = Street(short_folder)
    street.deadlines = replace(street.deadlines, head_s=0.3, body_pause_s=0.3)
    async with open_scene(short_folder, street) as scene:
        yield scene


@pytest.mark.parametrize("name", CROOKED_REQUESTS)
async def test_crooked_request_reaches_nobody(hasty: Scene, name: str) -> None:
    """A request that two servers could cut differently is refused or cut off; A gets no whole request (18, 19)."""
    head = await hasty.raw_inside(CROOKED_REQUESTS[name])
    assert status_of(head) in (0, 400, 413), head
    assert hasty.a.inbox == []


@pytest.mark.parametrize("name", CROOKED_REQUESTS)
async def test_nothing_hides_behind_a_crooked_request(hasty: Scene, name: str) -> None:
    """What stands behind a crooked request on the same connection is never read as a request (18)."""
    async with hasty.inside() as client:
        host = hasty.host.encode()
        answer = await client.raw((CROOKED_REQUESTS[name] + SMUGGLED).replace(b"HOST", host))
    assert len(re.findall(rb"HTTP/1.1 [0-9]{3} ", answer)) <= 1
    assert b"smuggled" not in bytes(hasty.a.everything)


async def test_chunk_extensions_and_trailers_stay_here(scene: Scene) -> None:
    """Extensions and trailers are read and not passed on: A sees the body alone, cut anew (18)."""
    wire = CHUNKED + b"\r\n3;evil=1\r\nabc\r\n2 ; x\r\nde\r\n0\r\nAuthorization: own\r\nX-Trailer: 1\r\n\r\n"
    assert status_of(await scene.raw_inside(wire)) in (200, 400)
    for arrived in scene.a.inbox:
        assert arrived.body == b"abcde"
        assert b"evil" not in arrived.raw
        assert b"X-Trailer" not in scene.a.everything


NEXT = say_json(b"{}")
CROOKED_ANSWERS = {
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding in capitals": b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\nContent-Length: 4\r\n\r\nabcd",
    "lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nabcd",
    "length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nabcd",
    "length list": b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nabcd",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
    "space before a colon": b"HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nabcd",
    "header without a colon": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX\r\n\r\nabcd",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 4\r\n\r\nabcd",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 4\r\n\r\nabcd",
    "other protocol": b"ICY 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
    "carriage return in the reason": b"HTTP/1.1 200 O\rK\r\nContent-Length: 4\r\n\r\nabcd",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 4\r\n\r\nabcd",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"Content-Length: 4\r\n\r\nabcd",
}


@pytest.mark.parametrize("name", CROOKED_ANSWERS)
async def test_crooked_answer_ends_its_connection(scene: Scene, name: str) -> None:
    """An answer that could be cut in two ways is a 502; the next request goes over another connection (20)."""
    scene.a.respond = say(CROOKED_ANSWERS[name])
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 502
        scene.a.respond = NEXT
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
    assert scene.a.connections == 2


LATE_TAILS = {
    "whole answer": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
    "line break": b"\r\n",
    "one byte": b"x",
}


@pytest.mark.parametrize("name", LATE_TAILS)
async def test_bytes_between_two_exchanges_retire_the_connection(scene: Scene, name: str) -> None:
    """Bytes that A sends when nobody asked, after its answer was through, are nobody's answer (20, 21)."""
    pushed = asyncio.Event()

    async def answer_then_push(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal")
        await writer.drain()
        loop = asyncio.get_running_loop()

        def push() -> None:
            writer.write(LATE_TAILS[name])
            loop.call_later(0.05, pushed.set)

        loop.call_later(0.05, push)

    scene.a.respond = answer_then_push
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).body == b"real"
        async with asyncio.timeout(5):
            await pushed.wait()
        scene.a.respond = say_json(b'"honest"')
        assert (await client.ask("GET", "/x", host=scene.host)).body == b'"honest"'
    assert scene.a.connections == 2


async def test_interleaved_groups_get_their_own_answers(scene: Scene) -> None:
    """Two containers of two groups ask one upstream in turns, one of them crookedly: each gets its own answers (21)."""

    async def echo(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        body = arrived.header("x-who")[0].encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with scene.street.upstream() as shared:
        shared.respond = echo
        scene.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{shared.port}", "key")
        await scene.grant(scene.street.grants)
        other = await scene.other_door("b")
        async with scene.client() as first, scene.client(other) as second:
            for number in range(20):
                for client, who in ((first, f"first-{number}"), (second, f"second-{number}")):
                    response = await client.ask("GET", "/m/claude/v1/models", headers=[("X-Who", who)])
                    assert response.body == who.encode()
                async with scene.client() as crooked:
                    crooked.writer.write(UNFINISHED)
                    crooked.close()
        assert shared.connections >= 2
