"""Searching a stream: nothing of a needle passes, nothing else is lost or kept."""

from __future__ import annotations

import base64
import html
import itertools
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.pipeline.needle_forms import END_CHARS, MAX_ENCODED_CHARS, Form
from credproxy.pipeline.scrub import Needles, Reflected, Searcher, needles_of

SECRET = "abcab-abcabd/1+2"


def run(pieces: list[bytes]) -> bytes:
    searcher = Searcher(needles_of([SECRET]))
    return b"".join(searcher.feed(piece) for piece in pieces) + searcher.end()


def split(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    return [wire[begin:end] for begin, end in itertools.pairwise(places)]


@given(st.text(alphabet="abcd-/1+2", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_harmless_bytes_pass_whole(text: str, cuts: list[int]) -> None:
    """Without the secret in it a stream comes out as it went in, however it is split."""
    if SECRET not in text:
        assert run(split(text.encode(), cuts)) == text.encode()


@given(st.binary(max_size=20), st.binary(max_size=20), st.lists(st.integers(0, 80), max_size=6), st.integers(0, 2))
def test_needle_never_passes(before: bytes, after: bytes, cuts: list[int], phase: int) -> None:
    """In each form, at each split, the stream is cut before the needle is whole."""
    raw = SECRET.encode()
    for form in (raw, SECRET.replace("/", "%2F").replace("+", "%2B").encode(), base64.b64encode(b"x" * phase + raw)):
        with pytest.raises(Reflected):
            run(split(before + form + after, cuts))


AWKWARD = "p<a>&s'w\"o/r+d=~? \\x"
ESCAPED = {
    "as it is": AWKWARD,
    "URL": urllib.parse.quote(AWKWARD, safe=""),
    "URL in lower case": urllib.parse.quote(AWKWARD, safe="").replace("%2F", "%2f").replace("%3C", "%3c").lower(),
    "URL, slashes kept": urllib.parse.quote(AWKWARD),
    "form": urllib.parse.quote_plus(AWKWARD),
    "JSON": json.dumps(AWKWARD)[1:-1],
    "JSON, slashes escaped": json.dumps(AWKWARD)[1:-1].replace("/", "\\/"),
    "JSON for pages": json.dumps(AWKWARD)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "HTML": html.escape(AWKWARD),
    "HTML text": html.escape(AWKWARD, quote=False),
    "base64 for URLs": base64.urlsafe_b64encode(AWKWARD.encode()).decode(),
}


@pytest.mark.parametrize("form", ESCAPED)
def test_escaped_values_are_found(form: str) -> None:
    """A value full of what encoders escape is found in each of their ways."""
    assert needles_of([AWKWARD]).holds(b"x" + ESCAPED[form].encode() + b"y"), ESCAPED[form]


@given(st.binary(max_size=300), st.integers(0, 5000), st.integers(0, 5000))
def test_long_texts_are_searched_like_short_ones(noise: bytes, before: int, after: int) -> None:
    """Wherever in a long text the needle stands, at its very end too, it is found; and nothing else is."""
    needle = b"needle\0with a zero"
    needles = Needles([Form(needle, (needle,))])
    text = (noise * 20)[:before] + b"\0" * before
    rest = b"needle\0with a zer" + b"x" * after
    assert not needles.holds(text + rest)
    assert needles.holds(text + b"needle\0with a zero" + rest)
    assert needles.holds(text + rest + b"needle\0with a zero")


def test_only_a_live_beginning_is_held_back() -> None:
    """An event goes on at once unless its end could be the needle's beginning."""
    searcher = Searcher(needles_of([SECRET]))
    assert searcher.feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert searcher.feed(b"xx abcab") == b"xx "
    assert searcher.feed(b" no\n") == b"abcab no\n"


def test_short_secrets_are_not_looked_for() -> None:
    """A needle of seven characters would be found in anything."""
    assert not needles_of(["1234567"])


TOKEN = "sk-ant-api03-" + "".join(f"{number:x}Zq{number * 7919 % 997:x}" for number in range(17)) + "-wQ"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
KEYS = {
    "a long token": TOKEN,
    "a token that ends in signs": TOKEN + "+/x+/y==",
    "a JWT": JWT,
    "a very long token": TOKEN * 8,
    "a short token": "ghp_x7Yz0Kq3",
    "full of signs": AWKWARD,
    "words": "correct horse battery staple",
    "filled up with zeros": "k3y" + "0" * 60,
    "a host's name": "1234567890-abc123def456.apps.example.org",
}
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "hex": lambda text: text.hex().encode(),
    "HEX": lambda text: text.hex().upper().encode(),
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "UTF-16, the other end first": lambda text: text.decode().encode("utf-16-be"),
    "base32": base64.b32encode,
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64 of base64": lambda text: base64.b64encode(b"y" * (len(text) % 3) + base64.b64encode(text)),
    "base64 of base64 for URLs": lambda text: base64.b64encode(base64.urlsafe_b64encode(text)),
    "quoted-printable in one line": lambda text: text.replace(b"=", b"=3D"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("key", KEYS)
def test_encoded_values_are_found_wherever_they_stand(key: str, encoding: str) -> None:
    """Each kind of key is found in each encoding, behind and before so many other bytes, in short and long texts; and
    nothing of it goes on however the stream is cut."""
    needles = needles_of([KEYS[key]])
    for before, after in itertools.product(range(6), (b"", b"!", b"more of it")):
        text = ENCODINGS[encoding](b"x" * before + KEYS[key].encode() + after)
        assert needles.holds(b'{"k": "' + text + b'"}'), (before, after)
        assert needles.holds(b" " * 3000 + text)
        passed, searcher = b"", Searcher(needles)
        with pytest.raises(Reflected):
            for at in range(0, len(text), 7):
                passed += searcher.feed(text[at : at + 7])
        kept = max(0, len(KEYS[key]) - MAX_ENCODED_CHARS)
        assert len(passed) <= len(ENCODINGS[encoding](b"x" * (before + kept))) + 4


@pytest.mark.parametrize("key", ["a long token", "a token that ends in signs", "a JWT", "a very long token"])
@pytest.mark.parametrize("width", [60, 64, 72, 76])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\\n", b"=\r\n"])
def test_base64_in_lines_is_found(key: str, width: int, line_break: bytes) -> None:
    """A long key in base64 is found although mail, PEM or an API break it into lines, wherever the breaks fall; and a
    token as it is that mail breaks once."""
    needles = needles_of([KEYS[key]])
    for before in range(0, width, 5):
        plain = b"x" * before + KEYS[key].encode() + b"rest"
        for text in (base64.b64encode(plain), plain):
            lines = [text[at : at + width] for at in range(0, len(text), width)]
            assert needles.holds(line_break.join(lines)), before


def test_what_keys_have_in_common_is_not_taken_for_one() -> None:
    """A provider's prefix, a JWT's header, zeros and a domain's name are none of a secret's random part."""
    needles = needles_of(KEYS.values())
    for harmless in (TOKEN[:-END_CHARS], JWT.rpartition(".")[0], "0" * 60, "9-x.apps.example.org", "battery staple"):
        for text in (harmless.encode(), base64.b64encode(harmless.encode()), harmless.encode().hex().encode()):
            assert not needles.holds(text + b" " * 3000), harmless
            assert not needles.holds(text), harmless


@given(st.data())
def test_a_beginning_is_found_wherever_a_text_ends(data: st.DataObject) -> None:
    """What a text's end begins is held back from the earliest place on, however short the text is."""
    needles = needles_of([SECRET, TOKEN])
    starts = sorted({start for form in needles.forms for start in (form.whole, *form.pieces)})
    start = data.draw(st.sampled_from(starts))
    size = data.draw(st.integers(1, len(start) - 1))
    text = data.draw(st.sampled_from([b"", b" ", b"ab", b'{"a": 1}', start[:3]])) + start[:size]
    earliest = next((at for at in range(len(text)) if any(each.startswith(text[at:]) for each in starts)), len(text))
    assert needles.holds(text) or needles.begin_in(text) == earliest
