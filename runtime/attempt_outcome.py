"""How an attempt can end, and what follows: another attempt, or the task's end. Pure.

`attempt.py` makes the outcomes, `task_run.py` performs what is decided; the words for people are `task_words.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from protocol.proxy_admin import ProxyCall
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Step
from runtime.container_session import CannotStart
from runtime.open_tool import open_tool
from runtime.retry import GiveUp, crash_wait_s, decide_start
from runtime.store.records import AttemptRow, LastStep

MAX_ATTEMPTS_IN_ALL = 100
"""Even attempts that ended for no fault of the agent's are not made for ever."""
START_PATIENCE_S = 120.0
"""How long a task waits for an engine, a proxy or some memory that is away just now."""
PASSING = frozenset({"engine_away", "proxy_away", "no_memory", "disk_floor"})
"""Reasons not to start that may go by themselves."""
FREE_DISK = (
    "tell the agent to delete what it does not need, or raise containers.disk_mb in nightyard.yaml and restart "
    "(`nightyard down`, `nightyard up`)"
)
FREE_SPACE = (
    "tell an agent that may write there to delete what nobody needs, or raise quota_mb or max_files in the space.yaml "
    "of that folder (`nightyard space quota`)"
)
FREE_MACHINE_DISK = (
    "tell the agent to delete what it does not need, or make room on the machine; a smaller containers.disk_mb in "
    "nightyard.yaml ends it sooner"
)
WRITE_FILES = "tell the agent to write long output to a file and to send that"
TAKEN_BY_CRASH = frozenset({"crashed", "silent", "did_not_start"})
"""The end reasons of attempts that count against `max_attempts`: the agent's own doing, not the host's going away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The agent said its last word."""

    result: TaskResult
    seq: int
    last_step: LastStep | None = None
    """A step right before it that is not stored yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """The container ended without a last word."""

    exit_code: int | None
    out_of_memory: bool
    stderr_tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """No sign of life for too long."""

    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaved:
    """The agent broke the rules of its link, or filled its disk."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTime:
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedBy:
    """Somebody stopped the task."""

    reason: str
    seq: int | None = None
    """The `seq` of the agent's last word, where it still said one."""
    last_step: LastStep | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverStarted:
    """The host died before this attempt's agent got its task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The host was shut down and ended the agent at its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """It waits for a person, and no container is held for that."""


AttemptOutcome = (
    Done | Crashed | Silent | Misbehaved | OverTime | StoppedBy | NeverStarted | Interrupted | Suspended | CannotStart
)
LOST = (Crashed, Silent, NeverStarted, Interrupted, Suspended)
"""Outcomes after which a task may wait for its answer as well without a container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherAttempt:
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTask:
    result: TaskResult
    mend: str = ""
    said: str = ""
    """What the chat reads, where it is more than the reason and the mend."""
    seq: int | None = None
    """The `seq` of the agent's last word, where it said one."""
    last_step: LastStep | None = None
    """A step that is to be stored with the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHistory:
    """What has happened to a task before it is decided."""

    crashes: int
    """Attempts that count, the last one included."""
    max_attempts: int
    attempts: int
    """All there were."""
    is_uncertain: bool
    """The dead attempt made a call that may have had an effect, inside a tool whose end is not known."""
    failed_starts: int = 0
    """In a row, the last one included."""
    waited_s: float = 0.0
    """Since the first of those."""
    chance: float = 0.0
    """In [0, 1): spreads the waits."""


def end_reason(outcome: AttemptOutcome) -> str:
    """Return the word that the store keeps for how an attempt ended."""
    match outcome:
        case Done(result=result):
            return result.status.value
        case Crashed(out_of_memory=True):
            return "crashed:out_of_memory"
        case Crashed(exit_code=code):
            return f"crashed:{'gone' if code is None else code}"
        case Silent():
            return "silent"
        case Misbehaved(code=code):
            return f"misbehaved:{code}"
        case OverTime():
            return "over_time"
        case StoppedBy():
            return "stopped"
        case NeverStarted():
            return "never_started"
        case Interrupted():
            return "shutdown"
        case Suspended():
            return "suspended"
        case CannotStart(code="agent_did_not_start"):
            return "did_not_start"
        case CannotStart(code=code):
            return f"cannot_start:{code}"


def count_crashes(attempts: Sequence[AttemptRow]) -> int:
    """Return how many attempts count against `max_attempts`."""
    return sum(attempt.end_reason.partition(":")[0] in TAKEN_BY_CRASH for attempt in attempts)


def is_uncertain(steps: Sequence[Step], started_at: str | None, calls: Sequence[ProxyCall]) -> bool:
    """Return whether repeating the open tool could do a thing twice: it had started, its end is not stored, and a call
    that changes something went out after it began. `started_at` is when its start was stored, None: not known."""
    if open_tool(steps) is None or not calls:
        return False
    began = _moment(started_at)
    return began is None or any((at := _moment(call.began_at)) is None or at >= began for call in calls)


def decide_next(outcome: AttemptOutcome, history: TaskHistory) -> AnotherAttempt | EndTask:
    """Return what follows from an attempt's end."""
    match outcome:
        case Done(result=result, seq=seq):
            return EndTask(result=result, seq=seq)
        case StoppedBy(reason=reason, seq=seq):
            return EndTask(result=TaskResult(status=TaskStatus.STOPPED, reason=reason), seq=seq)
        case OverTime(wall_s=wall_s):
            reason = f"The agent was still working after {wall_s:g} s, the limit for one task."
            return _failed("wall_limit", reason, "raise limits.wall_s in nightyard.yaml or group.yaml")
        case Misbehaved(code=code, detail=detail):
            return misbehaved(code, detail)
        case _ if history.attempts >= MAX_ATTEMPTS_IN_ALL:
            return _failed("agent_did_not_start", f"No agent got through {history.attempts} attempts.", "")
        case Interrupted() if history.is_uncertain:
            return _uncertain("The agent was ended by a shutdown of Nightyard.")
        case NeverStarted() | Interrupted() | Suspended():
            return AnotherAttempt(after_s=0.0)
        case CannotStart() if outcome.code in PASSING:
            decision = decide_start(
                history.failed_starts, history.waited_s, START_PATIENCE_S, outcome.message, history.chance
            )
            if isinstance(decision, GiveUp):
                return _failed(outcome.code, f"No agent could be started: {outcome.message}", outcome.mend)
            return AnotherAttempt(after_s=decision.after_s)
        case CannotStart() if outcome.code != "agent_did_not_start":
            return _failed(outcome.code, f"No agent could be started: {outcome.message}", outcome.mend)
        case Crashed() | Silent() | CannotStart():
            return _after_crash(outcome, history)


def _after_crash(outcome: Crashed | Silent | CannotStart, history: TaskHistory) -> AnotherAttempt | EndTask:
    happened, code, mend = _what_happened(outcome)
    if history.is_uncertain:
        return _uncertain(happened)
    if history.crashes >= history.max_attempts:
        return _failed(code, f"{happened} This was attempt {history.crashes} of {history.max_attempts}.", mend)
    return AnotherAttempt(after_s=crash_wait_s(history.crashes, history.chance))


def _uncertain(happened: str) -> EndTask:
    reason = (
        f"{happened} It was in the middle of a call that may have changed something outside, so it was not started "
        "again by itself: look whether it happened, then say what to do."
    )
    return _failed("uncertain_effect", reason, "")


def _what_happened(outcome: Crashed | Silent | CannotStart) -> tuple[str, str, str]:
    match outcome:
        case Crashed(out_of_memory=True):
            raise_it = "raise containers.memory_mb in nightyard.yaml"
            return "The agent ran out of memory.", "agent_crashed", raise_it
        case Crashed(exit_code=None):
            return "The agent's container disappeared.", "agent_crashed", ""
        case Crashed(exit_code=code):
            return f"The agent's container ended unexpectedly (exit code {code}).", "agent_crashed", ""
        case Silent(for_s=for_s):
            return f"The agent gave no sign of life for {for_s:.0f} s and was ended.", "agent_hung", ""
        case CannotStart(message=message, mend=mend):
            return f"The agent did not start: {message}.", "agent_did_not_start", mend


def misbehaved(code: str, detail: str) -> EndTask:
    if code == "disk_full":
        return _failed("disk_full", f"The agent filled its disk and was ended ({detail}).", FREE_DISK)
    if code == "space_full":
        return _failed(code, f"The agent was ended: {detail}.", FREE_SPACE)
    if code == "machine_disk_full":
        return _failed(code, f"The agent filled this machine's disk and was ended ({detail}).", FREE_MACHINE_DISK)
    if code == "too_much_output":
        return _failed("too_much_output", f"The agent sent far too much output and was ended ({detail}).", WRITE_FILES)
    return _failed(
        "agent_misbehaved", f"The agent's process sent what it never should ({code}: {detail}) and was ended.", ""
    )


def _failed(code: str, reason: str, mend: str) -> EndTask:
    return EndTask(result=TaskResult(status=TaskStatus.FAILED, code=code, reason=reason), mend=mend)


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
