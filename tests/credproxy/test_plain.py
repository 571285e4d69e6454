"""Plain messages: whatever is taken without h11, h11 would have read in the same way."""

from __future__ import annotations

import time

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from credproxy.wire.heads import MAX_HEAD_BYTES, BadHead, head_end
from credproxy.wire.plain import (
    ChunksBroken,
    PlainChunks,
    plain_end,
    read_plain_request,
    read_plain_response,
    write_plain_request,
    write_response,
)

NAMES = (
    "Host",
    "host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "X-A",
    "Upgrade",
    "Bad Name",
    "",
)
VALUES = (
    "a",
    "",
    "7",
    "07",
    "+7",
    "7, 7",
    " x\ty ",
    "chunked",
    "keep-alive",
    "close",
    "100-continue",
    "é",
    "\x00",
    "\r",
)
LINES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from((":", ": ", " :")), st.sampled_from(VALUES)), max_size=5
)
REQUEST_LINES = st.sampled_from(
    (
        "POST /a HTTP/1.1",
        "GET /?q HTTP/1.1",
        "HEAD / HTTP/1.1",
        "POST /a HTTP/1.0",
        "POST  /a HTTP/1.1",
        "POST /é HTTP/1.1",
    )
)
STATUS_LINES = st.sampled_from(
    (
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.1 204 None",
        "HTTP/1.1 100 Go",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 999 No",
        "OK",
    )
)


def head_of(first: str, lines: list[tuple[str, str, str]]) -> bytes:
    text = "".join(f"{name}{colon}{value}\r\n" for name, colon, value in lines)
    return f"{first}\r\n{text}\r\n".encode("latin-1")


def passes(head: bytes) -> bool:
    try:
        return head_end(head) == len(head)
    except BadHead:
        return False


@given(REQUEST_LINES, LINES)
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), ("Transfer-Encoding", ": ", "chunked")])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), ("Content-Length", ": ", "7"), ("Expect", ": ", "100-continue")])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), ("host", ": ", "b")])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), ("Content-Length", ": ", "7"), ("Content-Length", ": ", "7")])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), ("Content-Length", ": ", "7" * 16)])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), *[("X-A", ": ", "a")] * 100])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), *[("X-A", ": ", "a" * 700)] * 98])
@example("POST /a HTTP/1.1", [("Host", ": ", "a"), ("Content-Length", ": ", "7"), ("X-A", ":", " x\ty ")])
def test_plain_request_is_what_h11_reads(first: str, lines: list[tuple[str, str, str]]) -> None:
    """Method, target, headers and the body's length are the same, and h11 refuses nothing of it."""
    head = head_of(first, lines)
    plain = read_plain_request(head) if plain_end(head + b"body") == len(head) else None
    if plain is None:
        return
    assert passes(head)
    http = h11.Connection(h11.SERVER)
    http.receive_data(head + b"x" * plain.body_bytes)
    event = http.next_event()
    assert isinstance(event, h11.Request)
    assert (plain.method.encode(), plain.target.encode()) == (event.method, event.target)
    assert plain.headers == [(bytes(name), bytes(value)) for name, value in event.headers]
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
    assert http.trailing_data == (b"", False)
    assert not http.they_are_waiting_for_100_continue


@given(STATUS_LINES, LINES)
@example("HTTP/1.1 200 OK", [("Content-Length", ": ", "7"), ("X-A", ":", "é")])
@example("HTTP/1.1 200 OK", [("Transfer-Encoding", ": ", "chunked")])
@example("HTTP/1.1 200 OK", [("Transfer-Encoding", ": ", "chunked"), ("Content-Length", ": ", "7")])
@example("HTTP/1.1 200 OK", [("Transfer-Encoding", ": ", "chunked"), ("Transfer-Encoding", ": ", "chunked")])
def test_plain_response_is_what_h11_reads(first: str, lines: list[tuple[str, str, str]]) -> None:
    """Status, reason, headers and the body's length are the same, and the connection may be used again."""
    head = head_of(first, lines)
    plain = read_plain_response(head) if plain_end(head) == len(head) else None
    if plain is None:
        return
    assert passes(head)
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    http.send(h11.EndOfMessage())
    assert plain.is_chunked == (plain.body_bytes is None)
    http.receive_data(head + (b"0\r\n\r\n" if plain.is_chunked else b"x" * (plain.body_bytes or 0)))
    event = http.next_event()
    assert isinstance(event, h11.Response)
    assert (plain.status, plain.reason) == (event.status_code, bytes(event.reason))
    assert plain.headers == [(bytes(name), bytes(value)) for name, value in event.headers]
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
    assert http.their_state is h11.DONE
    assert http.trailing_data == (b"", False)


CHUNKS = st.lists(
    st.sampled_from(
        (
            b"3\r\nabc\r\n",
            b"00A\r\n0123456789\r\n",
            b"0\r\n\r\n",
            b"0\r\nt: v\r\n\r\n",
            b"2;x=y\r\nab\r\n",
            b"2\r\nabc\r\n",
            b"2\nab\n",
            b"+2\r\nab\r\n",
            b"0x2\r\nab\r\n",
            b"\r\n",
            b"1\r\na\rx",
            b"000000003\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\n",
        )
    ),
    max_size=6,
).map(b"".join)


@given(CHUNKS, st.lists(st.integers(min_value=1, max_value=9), min_size=1))
@example(b"3\r\nabc\r\n0\r\n\r\n", [1])
@example(b"3\r\nabc\r\n0\r\n\r\nx", [30])
@example(b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nt: v\r\n\r\n", [2])
def test_plain_chunks_are_what_h11_reads(wire: bytes, cuts: list[int]) -> None:
    """However the bytes are split: what is read of them h11 reads too, and takes over where an odd chunk begins."""
    chunks, body, unread, rest = PlainChunks(), b"", b"", wire
    turn = 0
    try:
        while rest:
            size = cuts[turn % len(cuts)]
            turn, piece, rest = turn + 1, rest[:size], rest[size:]
            data, unread = chunks.read(unread + piece)
            body += data
            if chunks.has_ended or chunks.is_odd:
                rest = unread + rest
                break
    except ChunksBroken:
        assert read_by_h11(wire)[1] == "refused"
        return
    theirs, end = read_by_h11(wire)
    if chunks.has_ended:
        assert (theirs, end, rest) == (body, "ended", wire[len(wire) - len(rest) :])
    elif chunks.is_odd:
        assert (theirs, end) == (body + read_by_h11(rest)[0], read_by_h11(rest)[1])
    else:
        assert end == "waits"
        assert theirs == body


def read_by_h11(wire: bytes) -> tuple[bytes, str]:
    """Return the body that h11 reads of a response's chunks, and how that ends."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    http.send(h11.EndOfMessage())
    http.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    http.next_event()
    body = b""
    try:
        while isinstance(event := http.next_event(), h11.Data):
            body += bytes(event.data)
    except h11.RemoteProtocolError:
        return body, "refused"
    return body, "ended" if isinstance(event, h11.EndOfMessage) else "waits"


def test_plain_messages_are_taken() -> None:
    """An agent's model call and its answer are plain."""
    request = read_plain_request(b"POST /m/a/v1/messages HTTP/1.1\r\nHost: proxy\r\nContent-Length: 12\r\n\r\n")
    assert request is not None
    assert (request.host, request.body_bytes) == ("proxy", 12)
    response = read_plain_response(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
    assert response is not None
    assert response.body_bytes == 2


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\0b"])
def test_what_would_be_read_otherwise_is_not_written(value: bytes) -> None:
    """A header that ends early, or begins another line with no name, is not written as it is."""
    assert write_plain_request("GET", "/a b", [(b"host", b"a")]) is None
    assert b"\0" in value or write_response(200, [(b"x", value)], b"OK") is None
    assert write_plain_request("GET", "/", [(b"host", b"a"), (b"x", value)]) is None
    assert write_response(200, [(b"a", b"b")], b"OK") == b"HTTP/1.1 200 OK\r\na: b\r\n\r\n"


@pytest.mark.parametrize("filling", [b" ", b"\t ", b"x ", b"a:", b"\r\na: "])
def test_refusing_a_long_head_takes_no_time(filling: bytes) -> None:
    """No head, however long its spaces, makes the reader go back and forth in it."""
    head = b"POST / HTTP/1.1\r\na: " + filling * (MAX_HEAD_BYTES // len(filling)) + b"\x01\r\n\r\n"
    before = time.process_time()
    assert read_plain_request(head) is None
    assert time.process_time() - before < 2
