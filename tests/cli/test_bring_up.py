"""What `up` says when all runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bring_up import said_when_up
from runtime.home import Home

HOME, FORK = Home(path=Path("/h/.nightyard")), Path("/h/fork")


@pytest.mark.parametrize(
    ("groups", "opens_chat", "says"),
    [
        (["main"], False, "REHEARSAL: a script answers for main,"),
        (["main", "garden"], True, "REHEARSAL: a script answers for main, garden,"),
        (["garden"], True, "REHEARSAL: a script answers for garden,"),
    ],
)
def test_that_a_script_answers_is_said(groups: list[str], opens_chat: bool, says: str) -> None:
    """Of every group for which it is so, with what to try and how to have a model."""
    said = said_when_up(HOME, FORK, "rehearsal/guide", groups, opens_chat=opens_chat)
    assert says in said
    assert "Try:" in said
    assert "--model" in said


def test_what_the_chat_says_is_not_said_before_it() -> None:
    """The chat that opens names the rehearsal of its own agent; what to try is said all the same."""
    said = said_when_up(HOME, FORK, "rehearsal/guide", ["main"], opens_chat=True)
    assert "REHEARSAL" not in said
    assert "Try:" in said


def test_a_real_model_is_named_and_nothing_is_said_of_a_rehearsal() -> None:
    """With the home and where the settings are."""
    said = said_when_up(HOME, FORK, "anthropic/claude", [], opens_chat=True)
    assert said.split("\n") == [
        "",
        "Nightyard is up. Model: anthropic/claude. Home: /h/.nightyard. Settings: /h/fork.",
        "",
    ]
