"""S3 as the SDKs speak it: bodies in pieces, signed or not, sessions' tokens, ranges; checked as S3 checks them."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.injection.aws_pieces import AwsPieces, signed_pieces, unsigned_headers
from credproxy.injection.failure import InjectionFailed
from tests.credproxy.injection.test_street import House, house
from tests.credproxy.street import Arrived, say

HOST = "b.s3.eu-west-1.amazonaws.com"
KEY_ID, KEY, TOKEN = "AKIAREAL000000000000", "real/key+" * 4 + "last", "real-session-token-0123456789"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SIGNED, TRAILING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
CHECKSUM = b"x-amz-checksum-crc32:NhCmhg=="


def in_pieces(payload: bytes, *, size: int = 65_536, trailers: tuple[bytes, ...] = (), signed: bool = True) -> bytes:
    """Return a body as an SDK writes it."""
    extra = b";chunk-signature=" + b"0" * 64 if signed else b""
    wire = b"".join(
        b"%x%s\r\n%s\r\n" % (len(piece), extra, piece)
        for piece in (payload[at : at + size] for at in range(0, len(payload), size))
    )
    lines = b"".join(line + b"\r\n" for line in trailers)
    return wire + b"0" + extra + b"\r\n" + lines + b"\r\n"


def is_signed_right(arrived: Arrived, token: str = "") -> bool:
    """Whether the signature is the one that S3 would work out from what arrived, and covers all that it must."""
    said = arrived.header("authorization")[0]
    found = re.search(r"Credential=([^,]+), SignedHeaders=([^,]+), Signature=(\w+)", said)
    assert found is not None
    key_id, day, region, service, _end = found[1].split("/")
    names, content_hash = found[2].split(";"), arrived.header("x-amz-content-sha256")[0]
    method, target, _version = arrived.line.split(" ")
    path, _mark, query = target.partition("?")
    lines = "".join(f"{name}:{','.join(arrived.header(name))}\n" for name in names)
    request = "\n".join((method, path, query, lines, found[2], content_hash))
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(request.encode("latin-1")).hexdigest()
    key = ("AWS4" + KEY).encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{arrived.header('x-amz-date')[0]}\n{scope}\n{digest}"
    sent = {line.split(b":")[0].decode().lower() for line in arrived.raw.split(b"\r\n")[1:]}
    body_hash = hashlib.sha256(arrived.body).hexdigest()
    return (
        key_id == KEY_ID
        and hmac.digest(key, to_sign.encode(), "sha256").hex() == found[3]
        and {name for name in sent if name.startswith("x-amz-")} <= set(names)
        and arrived.header("x-amz-security-token") == ([token] if token else [])
        and content_hash in (body_hash, "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    )


@pytest.fixture
async def bucket(short_folder: Path) -> AsyncIterator[House]:
    """A bucket that is granted with an access key of ours."""
    async with house(short_folder, "", host=HOST, secret="aws") as place:
        place.street.proxy.vault.add("aws", {"access_key_id": KEY_ID, "secret_access_key": KEY}, type_name="aws")
        yield place


async def put(place: House, headers: dict[str, str], body: bytes) -> bytes:
    """Put an object as a client that the proxy's client does not resemble: header by header."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with place.street.client() as outer:
        inner = await outer.tunnel(place.host, place.upstream.port, place.street.ca)
        head = f"PUT /k%C3%A4 HTTP/1.1\r\nHost: {place.host}:{place.upstream.port}\r\n{lines}Connection: close\r\n\r\n"
        return await inner.raw(head.encode() + body)


def as_chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


async def test_what_boto3_puts_arrives_as_it_is(bucket: House) -> None:
    """The headers and the body of botocore 1.44's put_object: pieces with a checksum behind them, in chunks, expecting
    a 100; a session's token goes along where the secret has one."""
    body = in_pieces(b"hello", trailers=(CHECKSUM,), signed=False)
    for token in ("", TOKEN):
        parts = {"access_key_id": KEY_ID, "secret_access_key": KEY} | ({"session_token": token} if token else {})
        bucket.street.proxy.vault.add("aws", parts, type_name="aws", replace=True)
        bucket.street.proxy.secret_changed("aws")
        headers = {
            "Accept-Encoding": "identity",
            "x-amz-sdk-checksum-algorithm": "CRC32",
            "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5",
            "Content-Encoding": "aws-chunked",
            "X-Amz-Trailer": "x-amz-checksum-crc32",
            "X-Amz-Decoded-Content-Length": "5",
            "Transfer-Encoding": "chunked",
            "Expect": "100-continue",
            "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAPLACEHOLDER/20260101/eu-west-1/s3/aws4_request, x",
            "amz-sdk-invocation-id": "9f14ed4b",
        }
        answer = await put(bucket, headers, as_chunk(body))
        assert b"HTTP/1.1 200 " in answer
        assert bucket.last.body == body
        assert is_signed_right(bucket.last, token)


@pytest.mark.parametrize("size", [5, 300_000, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("form", [SIGNED, TRAILING])
async def test_a_body_signed_in_pieces_arrives_without_their_signatures(
    bucket: House, size: int, framing: str, form: str
) -> None:
    """Small and large, however it is framed: S3 gets the same bytes, and checksums behind them where there are some."""
    payload = os.urandom(size)
    trailers = (CHECKSUM, b"x-amz-trailer-signature:" + b"0" * 64) if form == TRAILING else ()
    body = in_pieces(payload, trailers=trailers)
    headers = {
        "Content-Encoding": "aws-chunked, gzip",
        "X-Amz-Decoded-Content-Length": str(size),
        "X-Amz-Content-SHA256": form,
        "X-Amz-Security-Token": "planted",
        **({"X-Amz-Trailer": "x-amz-checksum-crc32"} if form == TRAILING else {}),
        **({"Content-Length": str(len(body))} if framing == "length" else {"Transfer-Encoding": "chunked"}),
    }
    answer = await put(bucket, headers, body if framing == "length" else as_chunk(body))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert is_signed_right(bucket.last)
    if form == SIGNED:
        assert bucket.last.body == payload
        assert bucket.last.header("content-length") == [str(size)]
        assert bucket.last.header("content-encoding") == ["gzip"]
        assert bucket.last.header("x-amz-decoded-content-length") == []
    else:
        assert bucket.last.body == in_pieces(payload, trailers=(CHECKSUM,), signed=False)
        assert bucket.last.header("x-amz-content-sha256") == ["STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
        assert bucket.last.header("x-amz-trailer") == ["x-amz-checksum-crc32"]


@pytest.mark.parametrize("said", [4, 6])
@pytest.mark.parametrize("size", [5, 700_000])
async def test_a_body_of_another_length_than_it_says_is_not_stored(bucket: House, said: int, size: int) -> None:
    """Nothing whole arrives, and the client reads why."""
    body = in_pieces(os.urandom(size))
    headers = {
        "X-Amz-Decoded-Content-Length": str(size - 5 + said),
        "X-Amz-Content-SHA256": SIGNED,
        "Content-Length": str(len(body)),
    }
    answer = await put(bucket, headers, body)
    assert b"request_unfit" in answer
    assert bucket.upstream.inbox == []


async def test_downloads_come_in_ranges_where_the_key_only_signs(bucket: House) -> None:
    """A client that asks for the parts of an object gets those and no others: it puts them together unseen. An object
    that is stored compressed comes as it is."""
    bucket.upstream.respond = say(
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/9\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 2\r\n\r\n\x1f\x8b"
    )
    answer = await bucket.ask("/k", headers=[("Range", "bytes=2-3"), ("X-Amz-Content-Sha256", EMPTY)])
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, b"\x1f\x8b", "bytes 2-3/9")
    assert bucket.last.header("range") == ["bytes=2-3"]
    assert is_signed_right(bucket.last)


async def test_ranges_stay_here_where_the_key_goes_out(short_folder: Path) -> None:
    """Else a reflected key could be had byte by byte."""
    async with house(short_folder, "bearer") as place:
        await place.ask("/k", headers=[("Range", "bytes=2-3"), ("If-Range", '"x"')])
        assert (place.last.header("range"), place.last.header("if-range")) == ([], [])


@given(
    payload=st.binary(max_size=300),
    size=st.integers(1, 100),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=10),
    has_trailers=st.booleans(),
)
def test_any_split_gives_the_same_body(payload: bytes, size: int, cuts: list[int], has_trailers: bool) -> None:
    """However the bytes of a body come in, the same go out."""
    trailers = (CHECKSUM, b"x-amz-trailer-signature:0") if has_trailers else ()
    wire = in_pieces(payload, size=size, trailers=trailers)
    pieces, passed, at = AwsPieces(len(payload), has_trailers=has_trailers), b"", 0
    while at < len(wire):
        cut = cuts[at % len(cuts)]
        passed += pieces.feed(wire[at : at + cut])
        at += cut
    pieces.end()
    assert passed == (in_pieces(payload, size=size, trailers=(CHECKSUM,), signed=False) if has_trailers else payload)


@pytest.mark.parametrize(
    "wire",
    [
        b"5\r\nhello\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5;other=1\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"6\r\nhello!\r\n0\r\n\r\n",
        b"4\r\nhell\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:a\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\nmore\r\n",
        b"5\r\nhello\r\n0\r\n\r\nmore",
        b"5" + b" " * 2000,
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_crooked_pieces_are_not_sent(wire: bytes) -> None:
    """What does not end as it says, or says more than its head."""
    with pytest.raises(InjectionFailed) as failed:
        pieces = AwsPieces(5, has_trailers=False)
        pieces.feed(wire)
        pieces.end()
    assert failed.value.code == "request_unfit"


def test_pieces_of_no_said_length_are_not_sent() -> None:
    """S3 wants to know it; a body that is in no signed pieces is left alone."""
    for length in ([], [(b"x-amz-decoded-content-length", b"-1")]):
        with pytest.raises(InjectionFailed):
            signed_pieces([(b"x-amz-content-sha256", SIGNED.encode()), *length])
    assert signed_pieces([(b"x-amz-content-sha256", EMPTY.encode())]) is None
    assert signed_pieces([]) is None
    assert unsigned_headers([(b"x-amz-decoded-content-length", b"5")], None) == [(b"content-length", b"5")]
