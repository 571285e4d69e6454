"""What a person is shown: all of it, readable, and nothing that plays tricks on the eye."""

from __future__ import annotations

import hashlib
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.approvals.summary import MAX_LINE_CHARS, MAX_LINES, summarise
from protocol.plain_text import escape
from tests.credproxy.approvals.requests import make_request

TYPES = (
    b"application/json",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=xx",
    b"text/plain",
    b"image/png",
    b"",
)


def body_of(body: bytes, media_type: bytes = b"application/json") -> list[str]:
    """The lines of a body."""
    lines = list(summarise(make_request(body=body, media_type=media_type)))
    begin = next(index for index, line in enumerate(lines) if line.startswith("body: "))
    return lines[begin + 1 :]


def test_head_says_where_to_and_with_what() -> None:
    """Method, address, query, grant, key, headers that matter, size and digest."""
    body = b'{"amount": 1}'
    assert list(summarise(make_request(body=body, query="to=bob&note=a%20b", headers=((b"accept", b"*/*"),)))) == [
        "POST https://bank.example/pay",
        "query:",
        "| to=bob",
        "| note=a b",
        "by the grant main:3, with the key bank",
        "headers:",
        "| x-account: 1",
        f"body: 13 bytes, application/json, SHA-256 {hashlib.sha256(body).hexdigest()}",
        '| "amount": 1',
    ]


def test_json_is_shown_as_it_was_written() -> None:
    """A name given twice is there twice, numbers keep their digits, texts their lines."""
    body = b'{"to": ["a@b.example"], "n": 1e3, "n": 10.00, "text": "one\\ntwo", "empty": {}, "none": null}'
    assert body_of(body) == [
        '| "to":',
        '|   - "a@b.example"',
        '| "n": 1e3',
        '| "n": 10.00',
        '| "text": (lines of text)',
        "|   | one",
        "|   | two",
        '| "empty": {}',
        '| "none": null',
    ]


def test_what_says_it_is_json_and_is_not_is_shown_raw() -> None:
    """With a word about it."""
    lines = body_of(b'{"a": 1')
    assert "is not" in lines[0]
    assert lines[1:] == ['| {"a": 1']
    deep = body_of(b"[" * 5000 + b"]" * 5000)
    assert any("nested too deeply" in line for line in deep)


def test_forms_and_files_are_taken_apart() -> None:
    """Pairs decoded, parts with their names; what stands outside the parts is not hidden."""
    assert body_of(b"a=1&b=x+y%21&c=1%26d=2", TYPES[1]) == ["| a=1", "| b=x y!", "| c=1%26d=2"]
    parts = (
        b'before--xx\r\nContent-Disposition: form-data; name="f"\r\n\r\none\r\ntwo\r\n'
        b"--xx\r\n\r\n\xff\x00\r\n--xx--after"
    )
    lines = body_of(parts, TYPES[2])
    assert lines[0] == "| before the parts: before"
    assert lines[1] == '| part 1: Content-Disposition: form-data; name="f"'
    assert lines[2:4] == ["|   | one", "|   | two"]
    assert lines[5].startswith("|   | (binary, 2 bytes")
    assert lines[-1] == "| after the parts: after"


def test_compressed_and_binary_bodies_are_named_as_such() -> None:
    """What cannot be read is not shown as if it could."""
    zipped = summarise(make_request(headers=((b"content-encoding", b"gzip"),)))
    assert zipped[-1].startswith("| (binary, 13 bytes")
    assert body_of(b"\x89PNG\x00", b"image/png")[0].startswith("| (binary, 5 bytes")


@pytest.mark.parametrize(
    "trick",
    ["\u202e", "\u200b", "\u2066", "\x1b", "\x07", "\r", "\u2028", "\u3164", "\ufeff", "\u00ad", "\U000e0041", "⟨"],
)
def test_tricks_are_made_visible(trick: str) -> None:
    """In a body, in JSON, in a header: as their numbers, or as JSON writes them."""
    assert f"⟨U+{ord(trick):04X}⟩" in body_of(f"x{trick}y".encode(), b"text/plain")[0]
    in_json = body_of(json.dumps({"a": f"x{trick}y"}, ensure_ascii=False).encode())
    escaped_in_json = body_of(json.dumps({"a": f"x{trick}y"}).encode())
    in_header = summarise(make_request(headers=((b"x-trick", f"x{trick}y".encode()),)))
    assert not any(trick in line for line in (*in_json, *escaped_in_json, *in_header) if trick != "⟨")


def test_lines_of_ours_cannot_be_imitated() -> None:
    """Whatever the body's lines say, each begins as a body's line does."""
    fake = b"\nby the grant main:1, without a key\nbody: 0 bytes\n"
    assert all(line.startswith("| ") for line in body_of(fake, b"text/plain"))


def test_what_is_cut_is_counted_and_can_be_seen() -> None:
    """Long lines and many lines are told, and shown in full to who asks."""
    body = "\n".join(["x" * (MAX_LINE_CHARS + 10), *(f"line {number}" for number in range(500))]).encode()
    request = make_request(body=body, media_type=b"text/plain")
    short = summarise(request)
    assert len(short) == MAX_LINES + 1
    assert any("more characters; --full" in line for line in short)
    assert "more lines; --full" in short[-1]
    full = summarise(request, is_full=True)
    assert full[-1] == "| line 499"
    assert "".join(line.removeprefix("| ") for line in full).count("x" * 50) >= MAX_LINE_CHARS // 50


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.sampled_from(TYPES), st.text(max_size=20))
def test_nothing_unseen_gets_through(body: bytes, media_type: bytes, query: str) -> None:
    """Any body of any type: every character of every line is one that can be seen, and every line is ours or marked."""
    request = make_request(body=body, media_type=media_type, query=query.encode("ascii", "ignore").decode() or None)
    for is_full in (False, True):
        for line in summarise(request, is_full=is_full):
            for char in line:
                assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), repr(line)
            assert len(line) <= MAX_LINE_CHARS + 60


@given(st.text(max_size=50), st.text(max_size=50))
def test_two_texts_are_never_shown_alike(one: str, other: str) -> None:
    """Escaping loses nothing: what differs looks different."""
    if one != other:
        assert escape(one) != escape(other)


def test_accents_do_not_pile_up() -> None:
    """Names in any script are readable; marks heaped on one letter are not let through."""
    for name in ("Zoë", "Łukasz", "北京", "Владимир", "Nguyễn", "محمد"):
        assert escape(name) == name
    assert escape("a" + "\u0301" * 20).count("⟨") == 18
