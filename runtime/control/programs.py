"""The verbs of programs and of what is submitted: what a program may ask, and everybody's work in sight."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json, to_json
from protocol.ids import GroupId
from protocol.tasks import EventsEnd, Follow, Submit, TaskEvent
from runtime.control.verb import BY, NoArguments, VerbTable, verb
from runtime.programs.desk import ProgramDesk
from runtime.programs.records import OPERATOR, Program
from runtime.programs.sent_files import SentFiles
from runtime.store.program_rows import ListedTask

MOST_WAIT_S = 50.0
"""A verb has 60 s."""
MAX_EVENTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAddArguments:
    program: str
    groups: tuple[GroupId, ...]
    attended: bool = False
    """A person waits for its answers."""
    token: bool = True
    """False: whoever can open task.sock may submit under its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramArguments:
    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendArguments:
    group: GroupId
    text: str
    files: tuple[str, ...] = ()
    """Absolute paths: copied into the group's inbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultArguments:
    submission: str
    """Or its task."""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelArguments:
    submission: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArguments:
    program: str = ""
    """Empty: of all."""
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsArguments:
    submission: str
    cursor: int = 0


def program_verbs(desk: ProgramDesk, files: SentFiles) -> VerbTable:
    """Return the verbs that the desk of programs carries out."""

    async def add(given: ProgramAddArguments) -> Json:
        program, token = await desk.programs.add(
            given.program, given.groups, BY, is_attended=given.attended, has_token=given.token
        )
        return {**_view_program(program), "token": token}

    async def list_all(_: NoArguments) -> Json:
        return {"programs": [_view_program(program) for program in await desk.programs.all()]}

    async def revoke(given: ProgramArguments) -> Json:
        await desk.programs.revoke(given.program, BY)
        return {"program": given.program}

    async def send(given: SendArguments) -> Json:
        text = given.text + await files.take_in(given.group, given.files)
        return to_json(await desk.submit(OPERATOR, Submit(group=given.group, input=text)))

    async def submit(given: Submit) -> Json:
        return to_json(await desk.submit(OPERATOR, given))

    async def result(given: ResultArguments) -> Json:
        submission = await desk.find(given.submission)
        return to_json(await desk.result(OPERATOR, submission, min(given.wait_s, MOST_WAIT_S)))

    async def cancel(given: CancelArguments) -> Json:
        return to_json(await desk.cancel(OPERATOR, await desk.find(given.submission), given.reason))

    async def tasks(given: ListArguments) -> Json:
        return {"tasks": [_view_listed(each) for each in await desk.listed(given.program, given.limit)]}

    async def events(given: EventsArguments) -> Json:
        submission, found, cursor = await desk.find(given.submission), list[Json](), given.cursor
        async for event in desk.events(OPERATOR, Follow(cursor=cursor, submission=submission, wait=False)):
            cursor = event.cursor
            if isinstance(event, TaskEvent):
                found.append(to_json(event))
            if isinstance(event, EventsEnd) or len(found) >= MAX_EVENTS:
                break
        return {"events": found, "cursor": cursor}

    return {
        "program_add": verb(ProgramAddArguments, add),
        "program_list": verb(NoArguments, list_all),
        "program_revoke": verb(ProgramArguments, revoke),
        "send": verb(SendArguments, send),
        "task_submit": verb(Submit, submit),
        "task_result": verb(ResultArguments, result),
        "task_cancel": verb(CancelArguments, cancel),
        "task_list": verb(ListArguments, tasks),
        "task_events": verb(EventsArguments, events),
    }


def _view_program(program: Program) -> dict[str, Json]:
    return {
        "program": program.name,
        "groups": list(program.groups),
        "attended": program.is_attended,
        "has_token": program.has_token,
        "added_at": program.added_at,
        "revoked_at": program.revoked_at,
    }


def _view_listed(each: ListedTask) -> Json:
    return {
        "submission": each.noted.submission_id,
        "program": each.noted.program or "cli",
        "group": each.noted.group_id,
        "task": each.task_id,
        "state": each.state,
        "code": each.code,
        "submitted_at": each.noted.submitted_at,
        "ended_at": each.ended_at,
    }
