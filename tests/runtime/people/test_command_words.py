"""What people type behind commands about people and chats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import GroupId
from runtime.people.command_words import parse_change, parse_limits, parse_role, parse_settings
from runtime.people.records import BindingChange
from runtime.refusal import OperationRefused
from runtime.store.records import PersonLimits

MAIN, SIDE = GroupId("main"), GroupId("side")


@pytest.mark.parametrize(
    ("text", "agents", "agent", "change"),
    [
        ("main when always", (MAIN, SIDE), MAIN, BindingChange(when="always")),
        ("when mention", (MAIN,), MAIN, BindingChange(when="mention")),
        ("side pattern \\b(a|b) c", (MAIN, SIDE), SIDE, BindingChange(when="pattern", pattern="\\b(a|b) c")),
        ("sticky 15", (MAIN,), MAIN, BindingChange(when="sticky", sticky_minutes=15)),
        ("whom known", (MAIN,), MAIN, BindingChange(whom="known", whom_names=())),
        ("whom roles admin, guest", (MAIN,), MAIN, BindingChange(whom="roles", whom_names=("admin", "guest"))),
        ("rest context", (MAIN,), MAIN, BindingChange(rest="context")),
        ("session Shared", (MAIN,), MAIN, BindingChange(session="shared")),
        ("mode follow_up", (MAIN,), MAIN, BindingChange(mode="follow_up")),
        ("side default yes", (MAIN, SIDE), SIDE, BindingChange(default=True)),
    ],
)
def test_settings_are_understood(text: str, agents: tuple[GroupId, ...], agent: GroupId, change: BindingChange) -> None:
    """The agent may be left out where there is one; what is said is what is changed."""
    assert parse_settings(text, agents) == (agent, change)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("when", "wrong_setting"),
        ("when never", "wrong_setting"),
        ("colour red", "wrong_setting"),
        ("sticky soon", "wrong_minutes"),
        ("whom", "wrong_setting"),
        ("default no", "wrong_setting"),
    ],
)
def test_nonsense_is_refused(text: str, code: str) -> None:
    """What cannot be meant is named."""
    with pytest.raises(OperationRefused) as refused:
        parse_settings(text, (MAIN,))
    assert refused.value.code == code


def test_one_of_several_agents_must_be_named() -> None:
    """Where a chat has several agents nobody guesses which one is meant."""
    with pytest.raises(OperationRefused, match="known: main, side"):
        parse_settings("when always", (MAIN, SIDE))


@pytest.mark.parametrize(
    ("words", "limits"),
    [
        (["per_hour=5", "cost_usd_per_day=0.5"], PersonLimits(per_hour=5, cost_usd_per_day=0.5)),
        (["model_calls_per_day=0"], PersonLimits(model_calls_per_day=0)),
        (["usual"], None),
    ],
)
def test_limits_are_understood(words: list[str], limits: PersonLimits | None) -> None:
    """Each as NAME=NUMBER, or `usual` for none of one's own."""
    assert parse_limits(words) == limits


@pytest.mark.parametrize("word", ["per_hour", "per_hour=-1", "per_hour=1.5", "per_year=1", "cost_usd_per_day=nan"])
def test_wrong_limits_are_refused(word: str) -> None:
    """A limit that is none, or no number, changes nothing."""
    with pytest.raises(OperationRefused):
        parse_limits([word])


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_words_are_understood_or_refused(setting: str, value: str) -> None:
    """Nothing that is typed breaks the reading."""
    for read in (lambda: parse_change(setting, value), lambda: parse_role(value), lambda: parse_limits([setting])):
        try:
            read()
        except OperationRefused as refused:
            assert refused.message
