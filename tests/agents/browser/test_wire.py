"""The bytes between the agent and Chromium."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.browser.wire import MAX_MESSAGE_BYTES, Decoder, Event, Reply, WireFault, encode_command

MESSAGES = [
    {"id": 1, "result": {"a": "\u0000 inside"}},
    {"id": 2, "error": {"code": -32000, "message": "No target"}},
    {"method": "Page.loadEventFired", "sessionId": "S", "params": {"timestamp": 1.5}},
    {"method": "Odd", "params": "no object"},
]
STREAM = b"".join(json.dumps(message).encode() + b"\0" for message in MESSAGES)


def test_a_command_ends_with_a_zero_byte_and_names_its_session() -> None:
    """To the browser itself there is no session."""
    assert json.loads(encode_command(7, "Page.enable", {"a": 1}, "S").removesuffix(b"\0")) == {
        "id": 7,
        "method": "Page.enable",
        "params": {"a": 1},
        "sessionId": "S",
    }
    assert "sessionId" not in json.loads(encode_command(7, "Page.enable", {}, "").removesuffix(b"\0"))


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_messages(cuts: list[int]) -> None:
    """Replies keep their numbers, refusals say why, what has not the shape it should have is empty."""
    decoder, found = Decoder(), []
    edges = [0, *sorted(cuts), len(STREAM)]
    for begin, end in itertools.pairwise(edges):
        found += decoder.feed(STREAM[begin:end])
    assert found == [
        Reply(number=1, result={"a": "\0 inside"}, problem=""),
        Reply(number=2, result={}, problem="No target"),
        Event(method="Page.loadEventFired", session="S", params={"timestamp": 1.5}),
        Event(method="Odd", session="", params={}),
    ]


@pytest.mark.parametrize("data", [b"no json\0", b"[1]\0", b"[" * 100_000 + b"\0", b"\xff\0"])
def test_what_is_no_protocol_is_a_fault(data: bytes) -> None:
    """Nothing else comes of it, however deep it is."""
    with pytest.raises(WireFault):
        Decoder().feed(data)


def test_a_message_without_end_is_a_fault() -> None:
    """Memory stays bounded."""
    decoder = Decoder()
    decoder.feed(b"x" * MAX_MESSAGE_BYTES)
    with pytest.raises(WireFault):
        decoder.feed(b"x")
