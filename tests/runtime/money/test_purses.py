"""Which purses a task pays from, and when one is empty."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChatKey, GroupId, TaskId
from protocol.task import Limits, Purse
from runtime.config import BudgetSettings, LimitSettings
from runtime.group_settings import GroupBudget
from runtime.money.purses import (
    all_purses,
    day_ends,
    day_of,
    is_background,
    is_closed,
    purses_of,
    raised_limits,
    what_is_spent,
)
from runtime.money.records import PurseRow, UsedSum
from runtime.money.words import ask_for_task, footer, limit_text, pause_reason, purse_name, usd
from runtime.store.records import TaskRow
from tests.runtime.money.support import group

MAIN = group(limits=LimitSettings(calls_per_day=100), budget=GroupBudget(usd_per_day=5.0, tokens_per_day=1_001))
NONE = BudgetSettings()


def row(purse: str, raises: int) -> PurseRow:
    return PurseRow(
        day="2026-01-31",
        purse=purse,
        state="open",
        raises=raises,
        calls_raises=raises,
        tokens_raises=raises,
        usd_raises=raises,
    )


def test_a_person_pays_from_group_and_machine() -> None:
    """Work that somebody waits for has the whole budget; the machine's only where it has an end."""
    assert [purse.name for purse in purses_of(MAIN, NONE, {}, in_background=False)] == ["group:main"]
    both = purses_of(MAIN, BudgetSettings(usd_per_day=9.0), {}, in_background=False)
    assert [purse.name for purse in both] == ["machine", "group:main"]


def test_the_machine_has_a_limit_in_each_measure() -> None:
    """Money, tokens and calls of all groups in one day; whichever is used up first empties it."""
    budgets = BudgetSettings(usd_per_day=9.0, tokens_per_day=5_000, calls_per_day=50)
    machine = purses_of(MAIN, budgets, {}, in_background=False)[0]
    assert machine == Purse(name="machine", model_calls=50, tokens=5_000, cost_usd=9.0)
    assert all_purses([], budgets, {"machine": row("machine", 1)})[0].tokens == 10_000
    used = UsedSum(model_calls=3, input_tokens=4_000, output_tokens=1_000)
    assert what_is_spent(machine, used) == ("tokens",)
    assert limit_text(machine, used) == "5,000 tokens"


def test_background_work_pays_from_a_part_too() -> None:
    """A fifth of each measure, rounded up, unless the group says otherwise."""
    small = purses_of(MAIN, NONE, {}, in_background=True)[-1]
    assert small == Purse(name="background:main", model_calls=20, tokens=201, cost_usd=1.0)


def test_a_raise_gives_as_much_again() -> None:
    """Each raise adds the day's budget once more, to that purse alone."""
    raised = purses_of(MAIN, NONE, {"group:main": row("group:main", 2)}, in_background=True)
    assert (raised[0].model_calls, raised[0].cost_usd) == (300, 15.0)
    assert raised[1].model_calls == 20


@pytest.mark.parametrize(
    ("submitter", "expected"),
    [
        ("person:telegram:7", False),
        ("cli", False),
        ("schedule:s_1", True),
        ("group:side", True),
        ("program:pipes", True),
        ("program:desk", False),
    ],
)
def test_background_is_what_no_person_waits_for(submitter: str, expected: bool) -> None:
    """Schedules, other agents, and programs that nobody sits behind."""
    assert is_background(submitter, {"desk"}) is expected


def test_a_purse_is_empty_by_any_of_its_measures() -> None:
    """Money first, then calls, then tokens; below all of them it is not."""
    purse = Purse(name="p", model_calls=3, tokens=100, cost_usd=1.0)
    assert what_is_spent(purse, UsedSum(model_calls=2, input_tokens=50, output_tokens=49, cost_usd=0.99)) == ()
    assert what_is_spent(purse, UsedSum(model_calls=3, cost_usd=1.0)) == ("usd", "calls")
    assert what_is_spent(purse, UsedSum(model_calls=3)) == ("calls",)
    assert what_is_spent(purse, UsedSum(input_tokens=60, output_tokens=40)) == ("tokens",)
    assert not is_closed(purse) and is_closed(Purse(name="p", model_calls=0))


def test_all_purses_are_the_machines_and_each_groups() -> None:
    """What has no end is not listed."""
    names = [purse.name for purse in all_purses([MAIN], BudgetSettings(calls_per_day=1), {})]
    assert names == ["machine", "group:main", "background:main"]


@given(st.integers(0, 5), st.integers(1, 1000))
def test_raised_limits_never_shrink(raises: int, calls: int) -> None:
    """A task that was given more has its limits as many times; its rounds and time stay."""
    limits = Limits(model_calls=calls, cost_usd=2.0)
    raised = raised_limits(limits, raises)
    assert raised.model_calls == calls * (raises + 1) and raised.cost_usd == 2.0 * (raises + 1)
    assert (raised.rounds, raised.wall_s) == (limits.rounds, limits.wall_s)


def test_the_card_of_a_task_goes_to_those_who_may_decide() -> None:
    """Not to the chat where it was asked for, which may be of many, or of nobody who may give more."""
    task = TaskRow(
        task_id=TaskId("task_1"),
        group_id=GroupId("main"),
        session_id=None,
        submitter="person:telegram:7",
        chat=ChatKey("telegram:-100"),
        reply_to=None,
        state="running",
        created_at="",
    )
    card = ask_for_task(task, Limits(model_calls=7), (), "limit_calls", 0, 60.0)
    assert (card.chats, card.who) == ((), "owner")
    assert any("7 model calls" in line for line in card.lines)


def test_days_are_utc() -> None:
    """A day ends at 00:00 UTC, wherever the machine stands."""
    late = datetime.fromisoformat("2026-01-31T23:30:00-02:00")
    assert day_of(late) == "2026-02-01"
    assert day_ends(late) == datetime(2026, 2, 2, tzinfo=UTC)


def test_words_about_money() -> None:
    """What people read: names, amounts, and the line under an answer."""
    assert purse_name("background:main") == "main's budget for background work"
    assert (usd(1234.5), usd(0.0012), usd(0)) == ("$1,234.50", "$0.0012", "$0.00")
    assert limit_text(Purse(name="p", tokens=1_000), UsedSum()) == "1,000 tokens"
    assert "groups/main/group.yaml" in pause_reason(Purse(name="group:main", model_calls=0))
    assert footer([]) == ""
    assert GroupId("main") in purse_name("group:main")
