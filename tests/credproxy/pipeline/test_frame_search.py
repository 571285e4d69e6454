"""Searching frames: every byte passes in its place, a needle never does, and no message waits for the next one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.pipeline.frame_search import FrameSearcher
from credproxy.pipeline.needle_forms import Form
from credproxy.pipeline.scrub import Needles, Reflected
from credproxy.wire.websocket import BadFrames

NEEDLE = b"abcabcabd"


def frame(payload: bytes, *, opcode: int = 1, is_final: bool = True) -> bytes:
    """Return a server's frame."""
    length = len(payload)
    size = (
        bytes([length])
        if length < 126
        else b"\x7e" + length.to_bytes(2, "big")
        if length < 65536
        else b"\x7f" + length.to_bytes(8, "big")
    )
    return bytes([opcode | (0x80 if is_final else 0)]) + size + payload


def message(fragments: list[bytes], pings: list[bytes]) -> bytes:
    wire = b""
    for index, fragment in enumerate(fragments):
        wire += frame(fragment, opcode=1 if index == 0 else 0, is_final=index == len(fragments) - 1)
        if index < len(pings):
            wire += frame(pings[index], opcode=9)
    return wire


def run(wire: bytes, sizes: list[int]) -> bytes:
    searcher, passed, at = FrameSearcher(Needles([Form(NEEDLE, (NEEDLE,))])), b"", 0
    for size in sizes:
        passed += searcher.feed(wire[at : at + size])
        at += size
    return passed + searcher.feed(wire[at:])


texts = st.text(alphabet="abcd", max_size=30).map(str.encode)


@given(
    st.lists(st.lists(texts, min_size=1, max_size=4), max_size=4),
    st.lists(texts, max_size=3),
    st.lists(st.integers(0, 9)),
)
def test_whole_messages_pass_as_they_are(fragments: list[list[bytes]], pings: list[bytes], sizes: list[int]) -> None:
    """Messages without the needle come out whole at their end, fragments and pings in order, however they are split."""
    if any(NEEDLE in b"".join(parts) for parts in fragments) or any(NEEDLE in ping for ping in pings):
        return
    wire = b"".join(message(parts, pings) for parts in fragments)
    assert run(wire, sizes) == wire


@given(texts, texts, st.lists(st.integers(1, len(NEEDLE) - 1), max_size=4), st.lists(st.integers(0, 9)))
def test_needle_is_found_across_fragments(before: bytes, after: bytes, cuts: list[int], sizes: list[int]) -> None:
    """A needle that is spread over the fragments of a message is found, and no part of it has passed."""
    places = [0, *sorted({len(before) + cut for cut in cuts}), len(before + NEEDLE + after)]
    text = before + NEEDLE + after
    fragments = [text[begin:end] for begin, end in itertools.pairwise(places)]
    with pytest.raises(Reflected):
        run(message(fragments, [b"ping"]), sizes)


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536, 200_000])
def test_every_length_of_frame_passes(length: int) -> None:
    """All three ways of saying a length are understood."""
    wire = frame(b"x" * length) + frame(b"end")
    assert run(wire, [1, 1, 1, 7, 1000]) == wire


def test_a_ping_may_not_carry_the_needle() -> None:
    """Control frames are searched too."""
    with pytest.raises(Reflected):
        run(frame(b"x" + NEEDLE, opcode=9), [3])


@pytest.mark.parametrize(
    "wire", [b"\xc1\x01a", b"\x81\x81abcda", b"\x89\x7e\x00\x80"], ids=["compressed", "masked", "long ping"]
)
def test_what_cannot_be_searched_is_refused(wire: bytes) -> None:
    """Compressed or masked frames of a server were never agreed on."""
    with pytest.raises(BadFrames):
        run(wire, [])


def test_message_end_lets_go_of_a_beginning() -> None:
    """A message that ends like the needle begins is not held back for the next one."""
    searcher = FrameSearcher(Needles([Form(NEEDLE, (NEEDLE,))]))
    assert searcher.feed(frame(b"xx abc")) == frame(b"xx abc")
