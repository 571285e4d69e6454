"""What people read of schedules: notices to owners, lines of lists, the prompt of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from protocol.ids import ChatKey
from protocol.message import Button, OutboundMessage
from runtime.envelope import clean_text
from runtime.schedules.calendar import MAX_COUNTED
from runtime.schedules.records import PRE_CHECK_FAILED, PRE_CHECK_SKIPPED, Run, Schedule
from runtime.schedules.timing_text import describe_span, describe_timing

MAX_NAME_CHARS = 60
MAX_REASON_CHARS = 400

_REASONS: Mapping[str, str] = {
    "missed": "missed: nothing could run at that time",
    "overlap": "the run before it was still working",
    "too_many_wait": "too many runs were waiting already",
    "superseded": "the next due time came before another try",
    "paused": "the schedule was paused",
    "removed": "the schedule was removed",
    PRE_CHECK_SKIPPED: "its pre-check found nothing to do: no model was asked",
    PRE_CHECK_FAILED: "its pre-check failed",
}


def schedule_name(schedule: Schedule) -> str:
    """Return what a schedule is called, on one line: its name, or the beginning of its text."""
    text = schedule.text
    shown = " ".join(clean_text((text.name or text.prompt) if text else "(forgotten)").split())
    return shown if len(shown) <= MAX_NAME_CHARS else f"{shown[: MAX_NAME_CHARS - 1]}…"


def run_prompt(schedule: Schedule, run: Run, zone: tzinfo) -> str:
    """Return what the agent is asked in a run: the schedule's text, and what is special about this time."""
    assert schedule.text is not None  # a forgotten schedule runs no more
    facts = [f"[This is the schedule {schedule.schedule_id}, due {local(run.due_at, zone)} ({schedule.zone})."]
    if run.origin == "missed":
        facts.append("That time was missed, and is made up for now.")
    if run.gone_by and run.origin in ("due", "missed", "retry"):
        facts.append(f"It stands for {_times(run.gone_by)} before it that went by, too.")
    if run.origin == "manual":
        facts.append("A person asked for this run.")
    if run.number > 1:
        facts.append(f"It is try {run.number}: the one before failed, and may have done a part.")
    return f"{schedule.text.prompt}\n\n{' '.join(facts)}]"


def failed_notice(
    schedule: Schedule,
    chat: ChatKey,
    *,
    run: Run,
    reason: str,
    failures: int,
    next_due_at: datetime | None,
    zone: tzinfo,
) -> OutboundMessage:
    """Return what an owner is told of a run that failed."""
    often = f" ({failures} times in a row)" if failures > 1 else ""
    further = f"It is due again {local(next_due_at, zone)}." if next_due_at else "Nothing more is due of it."
    said = " ".join(clean_text(reason).split())[:MAX_REASON_CHARS].rstrip(".") or "no reason was given"
    text = (
        f"The schedule {schedule.schedule_id} of {schedule.group_id} failed{often}: {said}.\n"
        f"{schedule_name(schedule)} (due {local(run.due_at, zone)})\n{further}"
    )
    return OutboundMessage(chat=chat, text=text, buttons=_buttons(schedule, can_pause=next_due_at is not None))


def recovered_notice(schedule: Schedule, chat: ChatKey) -> OutboundMessage:
    text = f"The schedule {schedule.schedule_id} of {schedule.group_id} works again: {schedule_name(schedule)}"
    return OutboundMessage(chat=chat, text=text)


def undelivered_notice(schedule: Schedule, chat: ChatKey, *, run: Run, reason: str, zone: tzinfo) -> OutboundMessage:
    """Return what an owner is told where a run did its work, and its chat did not get the answer."""
    text = (
        f"The schedule {schedule.schedule_id} of {schedule.group_id} ran, but its chat {schedule.chat} did not get the "
        f"answer: {' '.join(clean_text(reason).split())[:MAX_REASON_CHARS]}.\n"
        f"{schedule_name(schedule)} (due {local(run.due_at, zone)})"
    )
    return OutboundMessage(chat=chat, text=text, buttons=_buttons(schedule, can_pause=schedule.state == "active"))


def _buttons(schedule: Schedule, *, can_pause: bool) -> tuple[Button, ...]:
    number = schedule.schedule_id
    run = Button(label="Run it now", value=f"/schedule run {number}")
    history = Button(label="History", value=f"/schedule history {number}")
    pause = Button(label="Pause it", value=f"/schedule pause {number}")
    return (run, history, pause) if can_pause else (run, history)


def made_text(schedule: Schedule, zone: tzinfo) -> str:
    """Return the answer to who made a schedule."""
    number = schedule.schedule_id
    due = local(schedule.next_due_at, zone) if schedule.next_due_at else "never"
    first = f"Schedule {number}: {describe_timing(schedule.timing, schedule.zone, zone)}, first {due}."
    return f"{first} `/schedule pause {number}` holds it, `/schedule remove {number}` ends it."


def list_text(schedules: Sequence[Schedule], zones: Mapping[str, tzinfo]) -> str:
    """Return a chat's list: a line each."""
    if not schedules:
        return "There are no schedules here. `/schedule every day 08:00 TEXT` makes one."
    return "\n".join(_line(schedule, zones[schedule.zone]) for schedule in schedules)


def _line(schedule: Schedule, zone: tzinfo) -> str:
    when = describe_timing(schedule.timing, schedule.zone, zone)
    failing = f", failed {schedule.failures}×" if schedule.failures else ""
    return f"{schedule.schedule_id}: {schedule_name(schedule)} – {when}{state_text(schedule, zone)}{failing}"


def state_text(schedule: Schedule, zone: tzinfo) -> str:
    """Return `, next 2026-12-01 09:00`, or why there is no next time."""
    if schedule.state == "active" and schedule.next_due_at is not None:
        return f", next {local(schedule.next_due_at, zone)}"
    return f", {schedule.state}"


def show_text(schedule: Schedule, zone: tzinfo) -> str:
    """Return all of a schedule."""
    text = schedule.text
    missed = {"run_once": "are made up for by one run", "skip": "are skipped", "run_all": "are made up for, each"}
    overlap = {"skip": "is skipped", "queue": "waits"}
    lines = [
        _line(schedule, zone),
        f"Agent {schedule.group_id}, answers to {schedule.chat or 'nobody'}, conversation: {schedule.session}.",
        f"Missed times {missed[schedule.missed]}; a time that comes while a run works {overlap[schedule.overlap]}.",
    ]
    if schedule.jitter_s:
        lines.append(f"Starts up to {describe_span(schedule.jitter_s)} late, so that not everything begins at once.")
    if schedule.retries:
        lines.append(f"A failed run is tried {schedule.retries} more times.")
    if schedule.limits:
        lines.append("Limits: " + ", ".join(f"{key} {value:g}" for key, value in schedule.limits.items()) + ".")
    lines.append(f"Made by {_maker(schedule.made_by)} at {schedule.made_at[:16].replace('T', ' ')} UTC.")
    if text is not None:
        lines += ["", clean_text(text.prompt)]
        if text.pre_check:
            lines += ["", "Pre-check:", f"```\n{clean_text(text.pre_check)}\n```"]
    return "\n".join(lines)


def _maker(made_by: str) -> str:
    """Return who made it, without an id that others in a chat need not see."""
    kind, _, name = made_by.partition(":")
    return {"person": "a person", "group": f"the agent {name}"}.get(kind, "the operator")


def history_text(schedule: Schedule, runs: Sequence[tuple[Run, str]], zone: tzinfo) -> str:
    """Return the newest runs, each with how far its answer came (empty: it has none)."""
    if not runs:
        return f"The schedule {schedule.schedule_id} has not run yet{state_text(schedule, zone)}."
    head = f"Schedule {schedule.schedule_id}: {schedule_name(schedule)}{state_text(schedule, zone)}"
    return "\n".join([head, *(f"- {run_line(run, delivery, zone)}" for run, delivery in runs)])


def run_line(run: Run, delivery: str, zone: tzinfo) -> str:
    """Return one run on a line: when it was due, what became of it, and why."""
    facts = [f"{run.due_at.astimezone(zone):%Y-%m-%d %H:%M %Z} {'running' if run.state == 'submitted' else run.state}"]
    if run.origin != "due":
        facts.append({"missed": "late", "manual": "asked for", "retry": f"try {run.number}"}[run.origin])
    if run.reason:
        facts.append(_REASONS.get(run.reason, run.reason))
    if run.gone_by:
        facts.append(f"and {_times(run.gone_by)} before it")
    if delivery:
        facts.append(delivery)
    if run.task_id:
        facts.append(f"`{run.task_id}`")
    return ", ".join(facts)


def delivery_text(states: Mapping[str, int]) -> str:
    """Return how far a task's messages have come: `delivered` only with the platform's receipt."""
    if states.get("dead"):
        return "not delivered"
    if states.get("pending") or states.get("sending"):
        return "on its way"
    return "delivered" if states.get("sent") else ""


def local(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _times(count: int) -> str:
    if count >= MAX_COUNTED - 1:
        return f"{MAX_COUNTED} times or more"
    return "one time" if count == 1 else f"{count} times"
