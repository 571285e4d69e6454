"""What chats are told: what happened, to what, and the one thing that mends it."""

from __future__ import annotations

import pytest

from protocol.ids import GroupId
from protocol.task import TaskResult, TaskStatus
from runtime.config import parse_settings
from runtime.group_reading import build_group
from runtime.task_words import failure_text, frozen_text, suspended_text
from runtime.yaml_record import ConfigProblem

GROUP = build_group(GroupId("main"), "", "", parse_settings("").settings)[0]


def failed(code: str, reason: str = "It broke", mend: str = "", secret: str | None = "key-a") -> str:
    result = TaskResult(status=TaskStatus.FAILED, code=code, reason=reason)
    return failure_text(result, mend=mend, group=GROUP, secret=secret)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("model_refused_key", "`nightyard secret add key-a --replace`"),
        ("secret_missing", "`nightyard secret add key-a`"),
        ("model_rate_limited", "send the message again"),
        ("model_unavailable", "`nightyard status`"),
        ("proxy_gone", "`nightyard up`"),
        ("frozen", "`nightyard unfreeze`"),
        ("conversation_too_long", "/new"),
        ("round_limit", "limits.rounds"),
        ("limit_calls", "raise limits.model_calls in groups/main/group.yaml"),
        ("limit_cost", "raise limits.cost_usd in groups/main/group.yaml"),
        ("model_unknown", "groups/main/group.yaml"),
        ("upstream_timeout", "nightyard.yaml"),
        ("agent_crashed", "`nightyard logs host`"),
    ],
)
def test_a_failure_names_what_mends_it(code: str, command: str) -> None:
    """One command or edit, for what failed."""
    assert failed(code).startswith("⚠ It broke.\nTo mend it: ")
    assert command in failed(code)


def test_what_the_host_knows_better_comes_first() -> None:
    """A mend given with the failure is the one that is told."""
    assert failed("engine_away", mend="./nightyard up").endswith("./nightyard up")
    assert failed("something_else") == "⚠ It broke."


def test_a_hostile_reason_is_cut() -> None:
    """An agent's own words about its end do not fill the chat."""
    assert len(failed("x", reason="a" * 10_000)) < 700
    assert failed("x", reason="  ").startswith("⚠")


def test_a_stop_is_told_as_one() -> None:
    """Who stopped it, not a failure."""
    result = TaskResult(status=TaskStatus.STOPPED, reason="everything was frozen")
    assert failure_text(result, mend="", group=GROUP, secret=None) == "Stopped: everything was frozen."


def test_waits_say_why_and_that_nothing_is_lost() -> None:
    """Frozen and suspended each name their mend."""
    assert "nightyard unfreeze" in frozen_text()
    problems = [ConfigProblem(file="f", line=n, key="k", message="is wrong") for n in range(9)]
    text = suspended_text("main", problems)
    assert "`f:0: k: is wrong`" in text
    assert "and 4 more" in text
    assert "nightyard config reload" in text
