"""Whose place in a chat matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from runtime.inbound_turn import has_turn, is_stop, is_urgent
from tests.runtime.host_bench import said


@pytest.mark.parametrize(
    ("text", "stops", "urgent", "turn"),
    [
        ("/stop", True, True, True),
        ("/STOP now", True, True, True),
        ("/new", False, False, True),
        ("/unfreeze", False, False, True),
        ("/status", False, True, False),
        ("hello", False, False, True),
        ("please /stop", False, False, True),
    ],
)
def test_what_goes_past_what_waits(text: str, stops: bool, urgent: bool, turn: bool) -> None:
    """Commands do, but those that change what the messages around them mean; a stop is heard at once and has a turn."""
    inbound = said(text)
    assert (is_stop(inbound), is_urgent(inbound), has_turn(inbound)) == (stops, urgent, turn)


@pytest.mark.parametrize("kind", ["edit", "reaction", "joined", "moved"])
def test_what_nobody_says_is_no_command(kind: Literal["edit", "reaction", "joined", "moved"]) -> None:
    """An edited one was carried out, or not, when it was first sent; a reaction's text is an emoji or its name."""
    assert not is_stop(replace(said("/stop"), kind=kind))
