"""Fuzzing of what reads bytes: any input, cut anywhere, ends in one of the known ways (7-10, 18, 19, 24, 31)."""

from __future__ import annotations

import ipaddress
import itertools
import re
import time

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from credproxy.pipeline.scrub import Reflected, Searcher, needles_of
from credproxy.policy.path_glob import compile_glob
from credproxy.wire.heads import BadHead, Headers, head_end, request_headers
from credproxy.wire.plain import read_plain_request, read_plain_response, write_plain_request
from credproxy.wire.target import (
    MAX_TARGET_BYTES,
    Authority,
    TargetRefused,
    make_target,
    parse_absolute,
    parse_authority,
    parse_connect,
    parse_path,
)
from tests.credproxy.street import CANARY

WORDS = st.sampled_from(
    [
        *("GET", "POST", "HEAD", " ", "\t", "/", "//", ".", "..", "%2e", "%2F", "%", "?", "#", ";", "\\", "@", ":"),
        *("HTTP/1.1", "HTTP/1.0", "http://", "https://", "a.test", "b.test", "127.1", "0x7f.1", "::1", "443", "-1"),
        *("\r\n", "\n", "\r", "\0", "\x7f", "\xa0", "\xe9", "Host", "Content-Length", "Transfer-Encoding", "chunked"),
        *("[", "]", "0", "5"),
        *("Connection", "close", "Upgrade", "a", "A", "_", "%00", "%c0%ae", "%25", "x" * 300),
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map("".join))
BYTES = st.one_of(st.binary(max_size=200), TEXTS.map(lambda text: text.encode("utf-8", "replace")))


@settings(max_examples=500, deadline=None)
@given(TEXTS)
@example("http://a.test@b.test/")
@example("http://[::ffff:127.0.0.1]/")
@example("a.test:443\n")
def test_any_target_is_refused_or_in_its_one_form(text: str) -> None:
    """What is taken, in any of its three forms, is written and read again as the very same target."""
    for parse in (parse_absolute, parse_connect, lambda text: parse_authority(text, default_port=443)):
        try:
            found = parse(text)
        except TargetRefused:
            continue
        authority = found if isinstance(found, Authority) else Authority(host=found.host, port=found.port)
        assert re.fullmatch(r"[a-z0-9.:-]+", authority.host)
        assert 1 <= authority.port <= 65535
        target = make_target("https", authority, parse_path("/"))
        assert parse_authority(target.authority, default_port=443) == authority
        if not isinstance(found, Authority):
            assert parse_absolute(f"{found.scheme}://{found.authority}{found.wire}") == found


@settings(max_examples=500, deadline=None)
@given(TEXTS.map("/{}".format))
def test_any_path_is_refused_or_settled(text: str) -> None:
    """A path that is taken holds no dot segment, no control character and no broken escape, and stays as it is."""
    try:
        path = parse_path(text)
    except TargetRefused:
        return
    assert not {".", ".."} & set(path.path.split("/"))
    assert re.fullmatch(r"/(?:[!$&-;=@-Z_a-z~]|%[0-9A-F]{2})*", path.path)
    assert not re.search(r"%(?:[01][0-9A-F]|7F|5C|2E|2D|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])", path.path)
    again = parse_path(path.path + (f"?{path.query}" if path.query is not None else ""))
    assert again == path


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}", "{0}.", "0x{:X}.", "{:d}:443"]))
def test_no_number_is_an_address(number: int, form: str) -> None:
    """No way to write an IPv4 address as one number, in any base, is taken for a host (10)."""
    with pytest.raises(TargetRefused):
        parse_connect(form.format(number) + ("" if form.endswith("443") else ":443"))


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=4), st.integers(0, 3), st.sampled_from(["0x{:x}", "0{:o}", "00{}", "{}\u0660", "+{}", " {}"]))
def test_four_parts_are_plain_decimals(address: ipaddress.IPv4Address, at: int, form: str) -> None:
    """An address whose parts are written in another way than plainly is none, or the one it looks like (10)."""
    parts = str(address).split(".")
    parts[at] = form.format(int(parts[at]))
    try:
        assert parse_connect(".".join(parts) + ":443").host == str(address)
    except TargetRefused:
        return


@settings(max_examples=400, deadline=None)
@given(BYTES, st.lists(st.integers(0, 200), max_size=4))
def test_head_ends_where_it_ends_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    """A head read piece by piece is refused, or ends where it does when read at once."""

    def read(pieces: list[bytes]) -> int | str:
        buffer = bytearray()
        for piece in pieces:
            scanned = len(buffer)
            buffer += piece
            try:
                end = head_end(buffer, scanned)
            except BadHead:
                return "refused"
            if end:
                return end
        return 0

    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    pieces = [data[begin:end] for begin, end in itertools.pairwise(places)]
    whole, cut = read([data]), read(pieces)
    assert whole == cut or (isinstance(cut, int) and cut > 0 and data[:cut].endswith(b"\r\n\r\n"))


def test_head_that_comes_byte_by_byte_costs_little() -> None:
    """What was looked at is not looked at again: 64 KiB in single bytes take milliseconds, on either leg (47)."""
    buffer, began = bytearray(b"GET /x HTTP/1.1\r\nX: "), time.process_time()
    while len(buffer) < 60_000:
        scanned = len(buffer)
        buffer += b"a"
        assert head_end(buffer, scanned) == 0
    assert time.process_time() - began < 1.0


NAMES = st.sampled_from(
    ["Host", "host", "Content-Length", "Transfer-Encoding", "X", "Connection", "Expect", "X-A", "Te", "x_y", "", "X Y"]
)
VALUES = st.sampled_from(["a.test", "5", "0", "+5", "5,5", "chunked", "close", "", " ", "x\ty", "\x01", "\xe9", "Host"])
HEADS = st.builds(
    lambda first, headers: (first + "\r\n" + "".join(f"{n}:{v}\r\n" for n, v in headers) + "\r\n").encode("latin-1"),
    st.sampled_from(["GET / HTTP/1.1", "POST /x?y HTTP/1.1", "GET / HTTP/1.0", "GET /", "PUT http://a.test/ HTTP/1.1"]),
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
)


@settings(max_examples=500, deadline=None)
@given(HEADS)
def test_plain_reader_never_knows_better(head: bytes) -> None:
    """What the short way reads of a head the strict parser reads too: method, target, headers, length (18, 19)."""
    try:
        if not head_end(head):
            return
    except BadHead:
        return
    plain = read_plain_request(head)
    if plain is None:
        return
    http = h11.Connection(h11.SERVER)
    http.receive_data(head)
    event = http.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method.decode(), event.target.decode()) == (plain.method, plain.target)
    assert [(bytes(name), bytes(value)) for name, value in event.headers] == plain.headers
    http.receive_data(b"x" * plain.body_bytes)
    body = b""
    while isinstance(event := http.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert len(body) == plain.body_bytes


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.booleans())
def test_what_goes_out_is_one_request(received: list[tuple[str, str]], is_searched: bool) -> None:
    """Whatever headers came in, what is written is read by another parser as one request with one Host (18, 36)."""
    headers: Headers = [
        (name.lower().encode(), value.strip().encode("latin-1"))
        for name, value in received
        if name and " " not in name and "\x01" not in value and (name != "Content-Length" or value.isdecimal())
    ]
    sent = request_headers(headers, authority="a.test", is_searched=is_searched)
    assert [value for name, value in sent if name == b"host"] == [b"a.test"]
    assert sum(name in (b"content-length", b"transfer-encoding") for name, _value in sent) <= 1
    assert not [name for name, _value in sent if b"_" in name or name in (b"connection", b"te", b"expect", b"upgrade")]
    wire = write_plain_request("GET", "/", sent)
    if wire is None:
        return
    assert wire.count(b"\r\n\r\n") == 1
    http = h11.Connection(h11.SERVER)
    http.receive_data(wire)
    try:
        event = http.next_event()
    except h11.RemoteProtocolError:
        assert any(name in (b"content-length", b"transfer-encoding") for name, _value in sent)
        return
    assert isinstance(event, h11.Request)
    assert [(bytes(name), bytes(value)) for name, value in event.headers] == sent


@settings(max_examples=300, deadline=None)
@given(BYTES)
def test_any_answer_is_read_or_left_to_the_strict_parser(data: bytes) -> None:
    """No bytes of an upstream's make the reader of plain answers fail."""
    try:
        if head_end(data):
            read_plain_response(data)
    except BadHead:
        return


CHUNKS = st.lists(st.binary(min_size=1, max_size=20), max_size=6)


@settings(max_examples=300, deadline=None)
@given(CHUNKS, st.lists(st.sampled_from(["", ";x", ";x=y", ' ;a="b"', "\t"]), max_size=6), st.booleans())
def test_chunks_are_one_body_however_dressed(chunks: list[bytes], extras: list[str], has_trailer: bool) -> None:
    """Chunk extensions, leading zeros and trailers change no byte of the body that comes out (18)."""
    wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for number, chunk in enumerate(chunks):
        extra = extras[number] if number < len(extras) else ""
        wire += b"%03x%s\r\n%s\r\n" % (len(chunk), extra.encode(), chunk)
    wire += b"0\r\n" + (b"X: y\r\n" if has_trailer else b"") + b"\r\n"
    http = h11.Connection(h11.SERVER)
    http.receive_data(wire)
    body = b""
    try:
        assert isinstance(http.next_event(), h11.Request)
        while isinstance(event := http.next_event(), h11.Data):
            body += bytes(event.data)
    except h11.RemoteProtocolError:
        return
    assert isinstance(event, h11.EndOfMessage)
    assert body == b"".join(chunks)


NEEDLES = needles_of([CANARY])
NEEDLE_PARTS = sorted({part for form in NEEDLES.forms for part in (form.whole, *form.pieces)})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(NEEDLE_PARTS),
            st.binary(max_size=30),
        ),
        max_size=5,
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_no_cut_lets_a_needle_through(parts: list[bytes], sizes: list[int]) -> None:
    """Whatever stands around a secret and however the stream is cut, it passes whole or stops before it (31)."""
    data = b"".join(parts)
    searcher, passed, at = Searcher(NEEDLES), b"", 0
    try:
        while at < len(data):
            size = sizes[at % len(sizes)]
            passed += searcher.feed(data[at : at + size])
            at += size
        passed += searcher.end()
    except Reflected:
        assert NEEDLES.holds(data)
    else:
        assert passed == data
    assert not NEEDLES.holds(passed)
    assert data.startswith(passed)


def plain_glob(glob: str) -> re.Pattern[str]:
    """The glob's meaning, said in the plainest way; slow where several stars meet a long path."""
    below = glob.endswith("/**")
    stem = glob[:-3] if below else glob
    parts = {"*": "[^/]*", "**": ".*"}
    pattern = "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", stem))
    return re.compile(pattern + (r"(?:/.*)?" if below and stem else r"/.*" if below else ""))


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "ba", "/", "*", "**", "/**"]), max_size=8),
    st.text("ab/", max_size=10).map("/{}".format),
)
def test_quick_globs_mean_what_plain_ones_do(parts: list[str], path: str) -> None:
    """However stars stand in a grant's path, it fits the very paths that its plainest reading fits (24)."""
    glob = "/" + "".join(parts)
    assert bool(compile_glob(glob).fullmatch(path)) == bool(plain_glob(glob).fullmatch(path))


LONG_PATHS = tuple(
    ("/" + piece * MAX_TARGET_BYTES)[:MAX_TARGET_BYTES] + end
    for piece in ("a", "a/", "ab", "ab/", "ac/", "a/b", "c", "b/a")
    for end in ("", "/", "x")
)


@pytest.mark.parametrize(
    "glob",
    [
        "/*a*a*a*a*b",
        "/**/a/**/b/**/c",
        "/x*/y*z*",
        "/**/a*b*c",
        "/**a*b**c",
        "/**a*/a*/a*/a*/b",
        "/**a*a*a*a*/b/**",
        "/**a**a**a**a**b",
        "/a*a*a*b/**",
        "/**c*d",
        "/**a" + "/a*" * 12 + "b",
    ],
)
def test_no_path_holds_up_the_proxy(glob: str) -> None:
    """The longest paths that nearly fit are judged in a few milliseconds each, however many stars the grant has: one
    container's paths must not cost the others their time (47)."""
    pattern, slowest_s = compile_glob(glob), 0.0
    for path in LONG_PATHS:
        began = time.thread_time()
        pattern.fullmatch(path)
        slowest_s = max(slowest_s, time.thread_time() - began)
    assert slowest_s < 1
