"""Searching a stream: nothing of a needle passes, nothing else is lost or kept."""

from __future__ import annotations

import base64
import html
import itertools
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.pipeline.scrub import Reflected, Searcher, needles_of

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


def test_only_a_live_beginning_is_held_back() -> None:
    """An event goes on at once unless its end could be the needle's beginning."""
    searcher = Searcher(needles_of([SECRET]))
    assert searcher.feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert searcher.feed(b"xx abcab") == b"xx "
    assert searcher.feed(b" no") == b"abcab no"


def test_short_secrets_are_not_looked_for() -> None:
    """A needle of seven characters would be found in anything."""
    assert not needles_of(["1234567"])
