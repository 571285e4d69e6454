"""From claimed messages and a group to what an agent is handed: Task, instructions, Assignment, Lease. Pure.

What people said becomes text in `envelope.py`; who hands it over is `task_run.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from protocol.ids import PersonKey
from protocol.link import AgentCard, Assignment, SkillCard
from protocol.pre_check import prompt_with_output
from protocol.record import replace
from protocol.summary import is_summary
from protocol.task import Lease, Limits, ModelRoute, Purse, Task
from protocol.transcript import Entry, Step, ToolOutput
from runtime.access import role_of
from runtime.approvals.constraint_terms import Constraint, egress_rules, tool_rules
from runtime.config import RouteSettings, resolve_model, task_limits
from runtime.envelope import Envelope, LongText, build_envelope, build_submission
from runtime.group import Group
from runtime.instructions import build_instructions
from runtime.store.records import (
    AttemptRow,
    MessageState,
    OwnSummary,
    Person,
    Role,
    StoredMessage,
    TaskBeginning,
    TaskRow,
)
from runtime.submission import NewSubmission, tighten

MAX_TRANSCRIPT_CHARS = 400_000
"""How much of the session's past is handed over: about 100,000 tokens. Older turns stay in the store."""
MAX_CARDS_CHARS = 20_000


def build_task(row: TaskRow, envelope: Envelope, limits: Limits, new: NewSubmission | None = None) -> Task:
    """Return the Task of a claim, as its first attempt is given it and every later one again."""
    task = Task(
        task_id=row.task_id,
        group_id=row.group_id,
        submitter=row.submitter,
        session_id=row.session_id,
        prompt=envelope.text,
        limits=limits,
    )
    if new is None:
        return task
    return replace(
        task,
        effects=new.effects,
        max_attempts=new.max_attempts,
        model_hint=new.model_hint,
        result_schema=new.result_schema,
        pre_check=new.pre_check,
        labels=new.labels,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task, and the texts that must be in the group's inbox before it begins."""

    task: Task
    long_texts: tuple[LongText, ...]


def plan_task(
    row: TaskRow,
    messages: Sequence[StoredMessage],
    beginning: TaskBeginning,
    group: Group,
    *,
    zone: tzinfo,
    submission: NewSubmission | None = None,
) -> PlannedTask:
    """Return the task of claimed messages (those of context among them), or of a submission."""
    limits = tighten(task_limits(group.limits), submission.limits if submission else None)
    context = [message for message in messages if message.state is MessageState.CONTEXT]
    roles = _roles(messages, beginning.people)
    if submission is not None and row.submission_id is not None:
        envelope = build_submission(row.submission_id, submission, row.created_at, context, roles, zone)
    else:
        asked = [message for message in messages if message.state is not MessageState.CONTEXT]
        envelope = build_envelope(asked, context, roles, zone)
    task = replace(build_task(row, envelope, limits, submission), files=inbox_paths(messages))
    return PlannedTask(task=task, long_texts=envelope.long_texts)


def inbox_paths(messages: Sequence[StoredMessage]) -> tuple[str, ...]:
    """Return where in the container the files of messages are: context's too, which people may point at."""
    return tuple(f"/inbox/{each.stored_name}" for message in messages for each in message.inbound.attachments)


def build_told(message: StoredMessage, people: Mapping[PersonKey, Person], zone: tzinfo) -> Envelope:
    """Return a message that came while its task runs, as the model reads it."""
    return build_envelope([message], [], _roles([message], people), zone)


def build_assignment(
    task: Task,
    attempt: AttemptRow,
    group: Group,
    model: ModelRoute,
    *,
    transcript: Sequence[Entry],
    cards: Sequence[SkillCard],
    delegates: Sequence[AgentCard] = (),
    steps: Sequence[Step],
    notes: str = "",
    constraints: Sequence[Constraint] = (),
    destinations: Sequence[str] = (),
    without: Sequence[str] = (),
    approved: Sequence[str] = (),
) -> Assignment:
    """Return what one attempt needs to begin, or to go on where the last one was cut off."""
    return Assignment(
        attempt_id=attempt.attempt_id,
        attempt_number=attempt.number,
        task=task,
        instructions=build_instructions(group, destinations),
        notes=notes,
        model=replace(model, effort=group.effort),
        fallbacks=tuple(replace(each, effort=group.effort) for each in fallbacks_of(task, group, model)),
        transcript=tuple(recent_entries(transcript, MAX_TRANSCRIPT_CHARS)),
        skills=tuple(recent_cards(cards)),
        delegates=tuple(delegates),
        steps=tuple(steps),
        constraints=tool_rules(constraints),
        destinations=tuple(destinations),
        without=tuple(without),
        search=group.web_search if group.has_grants else "",
        approved=tuple(approved),
    )


def build_lease(
    task: Task,
    attempt: AttemptRow,
    models: Sequence[ModelRoute],
    purses: tuple[Purse, ...] = (),
    constraints: Sequence[Constraint] = (),
    unsettled_since: str = "",
) -> Lease:
    """Return what the attempt's sockets may do: this task, under its limits, over the routes of its models."""
    return Lease(
        task_id=task.task_id,
        attempt_id=attempt.attempt_id,
        group_id=task.group_id,
        effects=task.effects,
        limits=task.limits,
        routes=tuple(dict.fromkeys(model.route for model in models)),
        labels=task.labels,
        purses=purses,
        constraints=egress_rules(constraints),
        unsettled_since=unsettled_since,
    )


def fallbacks_of(task: Task, group: Group, model: ModelRoute) -> tuple[ModelRoute, ...]:
    """Return who answers where a task's model fails: nobody, for structured work, whose result says who made it."""
    if task.result_schema is not None:
        return ()
    return tuple(each for each in group.fallbacks if each.full_name != model.full_name)


def model_of(task: Task, usual: ModelRoute, routes: Mapping[str, RouteSettings]) -> ModelRoute:
    """Return the model that a task is answered by: the one it names, if there is a route for it still."""
    return (resolve_model(task.model_hint, routes) if task.model_hint else None) or usual


def recent_entries(entries: Sequence[Entry], max_chars: int) -> Sequence[Entry]:
    """Return the newest entries that fit, beginning with a person's turn: providers refuse a conversation that begins
    with an answer, and outputs without their calls. A summary of what came before them stays."""
    if entries and is_summary(entries[0]):
        return (entries[0], *recent_entries(entries[1:], max_chars - _entry_chars(entries[0])))
    chars = 0
    first = len(entries)
    for index in range(len(entries) - 1, -1, -1):
        chars += _entry_chars(entries[index])
        if chars > max_chars:
            break
        if entries[index].role == "user":
            first = index
    return entries[first:]


def recent_cards(cards: Sequence[SkillCard]) -> Sequence[SkillCard]:
    """Return the first cards that fit their share of the prompt."""
    chars = 0
    for index, card in enumerate(cards):
        chars += len(card.name) + len(card.description)
        if chars > MAX_CARDS_CHARS:
            return cards[:index]
    return cards


def build_entries(task: Task, steps: Sequence[Step], reply: str) -> tuple[Entry, ...]:
    """Return what a finished task adds to its session: the prompt, every turn, every tool's output.

    A call whose output was never stored gets one that says so; providers refuse a call without its output.
    """
    entries = [Entry(role="user", text=prompt_with_output(task.prompt, steps))]
    outputs = {step.output.call_id: step.output for step in steps if step.output is not None}
    for step in steps:
        if step.entry is None or step.branch or step.kind == "compacted":
            continue
        entries.append(step.entry)
        if step.entry.calls:
            answered = tuple(outputs.get(call.call_id) or _no_output(call.call_id) for call in step.entry.calls)
            entries.append(Entry(role="tool", outputs=answered))
    if entries[-1].role != "assistant" or (reply and entries[-1].text != reply):
        entries.append(Entry(role="assistant", text=reply or "[no reply was given]"))
    return tuple(entries)


def own_summary(steps: Sequence[Step]) -> OwnSummary | None:
    """Return the last summary that the task's agent made, placed among the turns that `build_entries` gives."""
    found, turns = None, 1
    for step in steps:
        if step.entry is None or step.branch:
            continue
        if step.kind == "compacted":
            found = OwnSummary(entry=step.entry, from_offset=turns - step.kept)
        else:
            turns += 2 if step.entry.calls else 1
    return found


def _no_output(call_id: str) -> ToolOutput:
    return ToolOutput(call_id=call_id, text="[interrupted: this call may have happened]", is_error=True)


def _entry_chars(entry: Entry) -> int:
    called = sum(len(str(call.arguments)) + len(call.name) for call in entry.calls)
    return len(entry.text) + called + sum(len(output.text) for output in entry.outputs)


def _roles(messages: Sequence[StoredMessage], people: Mapping[PersonKey, Person]) -> dict[PersonKey, Role]:
    speaking = {message.inbound.person: message.inbound for message in messages}
    roles = {person: role_of(inbound, people.get(person)) for person, inbound in speaking.items()}
    return {person: role for person, role in roles.items() if role}


def speakers(messages: Sequence[StoredMessage]) -> tuple[PersonKey, ...]:
    """Return everybody who speaks in the messages, once."""
    return tuple(dict.fromkeys(message.inbound.person for message in messages))
