"""What follows from an attempt's end."""

from __future__ import annotations

import pytest

from protocol.ids import AttemptId, CallId, TaskId
from protocol.proxy_admin import ProxyCall
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from runtime.attempt_outcome import (
    MAX_ATTEMPTS_IN_ALL,
    AnotherAttempt,
    AttemptOutcome,
    Crashed,
    Done,
    EndTask,
    Interrupted,
    Misbehaved,
    NeverStarted,
    OverTime,
    Silent,
    StoppedBy,
    TaskHistory,
    count_crashes,
    decide_next,
    end_reason,
    is_uncertain,
)
from runtime.container_session import CannotStart
from runtime.open_tool import first_open_tool, open_tool
from runtime.store.records import AttemptRow

REPLY = TaskResult(status=TaskStatus.REPLY, text="hi")
CRASH = Crashed(exit_code=1, out_of_memory=False, stderr_tail="")
AWAY = CannotStart(code="engine_away", message="no engine answers", mend="./nightyard up")
CALL = ToolCall(call_id="call_1", name="shell", arguments={})
STARTED = Step(index=1, kind="tool_started", call=CALL)
FINISHED = Step(index=2, kind="tool_finished", output=ToolOutput(call_id="call_1", text=""))


def history(crashes: int = 1, *, uncertain: bool = False, attempts: int = 1, waited_s: float = 0.0) -> TaskHistory:
    return TaskHistory(
        crashes=crashes, max_attempts=3, attempts=attempts, is_uncertain=uncertain, failed_starts=1, waited_s=waited_s
    )


@pytest.mark.parametrize(
    ("outcome", "before", "expected"),
    [
        (Done(result=REPLY, seq=3), history(0), "reply"),
        (StoppedBy(reason="by Ada"), history(0), "stopped"),
        (OverTime(wall_s=60), history(0), "wall_limit"),
        (CRASH, history(1), "again"),
        (CRASH, history(2), "again"),
        (CRASH, history(3), "agent_crashed"),
        (CRASH, history(1, uncertain=True), "uncertain_effect"),
        (Silent(for_s=30), history(1), "again"),
        (Silent(for_s=30), history(3), "agent_hung"),
        (Silent(for_s=30), history(1, uncertain=True), "uncertain_effect"),
        (Misbehaved(code="not_json", detail=""), history(0), "agent_misbehaved"),
        (Misbehaved(code="disk_full", detail=""), history(0), "disk_full"),
        (Misbehaved(code="machine_disk_full", detail=""), history(0), "machine_disk_full"),
        (Misbehaved(code="too_much_output", detail=""), history(0), "too_much_output"),
        (NeverStarted(), history(0), "again"),
        (NeverStarted(), history(0, attempts=MAX_ATTEMPTS_IN_ALL), "agent_did_not_start"),
        (Interrupted(), history(0), "again"),
        (Interrupted(), history(0, uncertain=True), "uncertain_effect"),
        (AWAY, history(0), "again"),
        (AWAY, history(0, waited_s=200), "engine_away"),
        (CannotStart(code="image_missing", message="m"), history(0), "image_missing"),
        (CannotStart(code="limits_not_applied", message="m"), history(0), "limits_not_applied"),
        (CannotStart(code="task_too_large", message="m"), history(0), "task_too_large"),
        (CannotStart(code="agent_did_not_start", message="m"), history(1), "again"),
        (CannotStart(code="agent_did_not_start", message="m"), history(3), "agent_did_not_start"),
    ],
)
def test_what_follows(outcome: AttemptOutcome, before: TaskHistory, expected: str) -> None:
    """Crashes are tried again up to three times, effects that may have happened never, the rest ends with its code."""
    match decide_next(outcome, before):
        case AnotherAttempt(after_s=after_s):
            assert expected == "again"
            assert 0 <= after_s <= 60
        case EndTask(result=result):
            assert expected == (result.code or result.status.value)
            assert result.text or result.reason


def test_the_reason_of_an_end_is_a_word() -> None:
    """What the store keeps is stable and tells kinds of crashes apart."""
    assert end_reason(CRASH) == "crashed:1"
    assert end_reason(Crashed(exit_code=None, out_of_memory=False, stderr_tail="")) == "crashed:gone"
    assert end_reason(Crashed(exit_code=137, out_of_memory=True, stderr_tail="")) == "crashed:out_of_memory"
    assert end_reason(AWAY) == "cannot_start:engine_away"


def test_only_the_agents_own_ends_count() -> None:
    """A host that went away, a start that could not be: not the agent's doing."""
    reasons = ["crashed:1", "silent", "did_not_start", "never_started", "shutdown", "cannot_start:engine_away", ""]
    rows = [
        AttemptRow(
            attempt_id=AttemptId(str(number)),
            task_id=TaskId("t"),
            number=number,
            state="ended",
            started_at="",
            end_reason=reason,
        )
        for number, reason in enumerate(reasons, 1)
    ]
    assert count_crashes(rows) == 3


@pytest.mark.parametrize(
    ("steps", "began_at", "uncertain"),
    [
        ((STARTED,), "2026-01-31T09:00:01Z", True),
        ((STARTED,), "2026-01-31T08:59:59Z", False),
        ((STARTED,), "not a time", True),
        ((STARTED, FINISHED), "2026-01-31T09:00:01Z", False),
        ((), "2026-01-31T09:00:01Z", False),
    ],
)
def test_an_effect_is_uncertain_within_an_open_tool(steps: tuple[Step, ...], began_at: str, uncertain: bool) -> None:
    """A call counts if it went out after the tool began whose end nobody stored."""
    call = ProxyCall(call_id=CallId("c"), target="POST https://x/", began_at=began_at, status=None)
    assert is_uncertain(steps, "2026-01-31T09:00:00Z", [call]) is uncertain
    assert not is_uncertain(steps, "2026-01-31T09:00:00Z", [])


def test_the_open_tool_is_found() -> None:
    """The last one that started and has no output."""
    other = Step(index=3, kind="tool_started", call=ToolCall(call_id="call_2", name="shell", arguments={}))
    assert open_tool([STARTED, FINISHED, other]) is other
    assert open_tool([STARTED, FINISHED]) is None


def test_the_first_open_tool_is_one_of_the_last_turn() -> None:
    """What an earlier turn left open was answered as interrupted; of tools that run beside one another the first."""
    turn = Step(index=0, kind="model_turn", entry=Entry(role="assistant"))
    of_sub_agent = Step(index=3, kind="model_turn", entry=Entry(role="assistant"), branch="call_2")
    later = Step(index=4, kind="tool_started", call=ToolCall(call_id="call_2", name="shell", arguments={}))
    assert first_open_tool([turn, STARTED, of_sub_agent, later]) is STARTED
    assert first_open_tool([turn, STARTED, FINISHED, later]) is later
    assert first_open_tool([turn, STARTED, turn]) is None
    assert first_open_tool([STARTED]) is None
