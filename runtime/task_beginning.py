"""What a task begins with: built from its messages or its submission, with the files that long texts become."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.task import Task
from protocol.transcript import Entry
from runtime.envelope import LongText
from runtime.group import Group
from runtime.store.records import Claim, TaskRow
from runtime.store.submission_rows import submission
from runtime.submission import NewSubmission
from runtime.task_builder import plan_task, speakers
from runtime.task_desk import TaskDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A task, and what belongs to it."""

    task: Task
    transcript: tuple[Entry, ...]
    """The conversation before it."""
    long_texts: tuple[LongText, ...]
    """To be written into the inbox before an agent is given the task."""


async def build_task(desk: TaskDesk, row: TaskRow, claim: Claim | None, group: Group) -> Beginning:
    """Return the task as all its attempts are given it. Without its claim the store is asked for what it answers."""
    messages = (*claim.context, *claim.messages) if claim else await desk.store.messages_of(row.task_id)
    beginning = await desk.store.beginning_of(row, speakers(messages))
    planned = plan_task(row, messages, beginning, group, zone=desk.zone, submission=await _submission(desk, row, claim))
    return Beginning(task=planned.task, transcript=beginning.transcript, long_texts=planned.long_texts)


async def _submission(desk: TaskDesk, row: TaskRow, claim: Claim | None) -> NewSubmission | None:
    """Return what the task came of, where no message brought it."""
    if row.submission_id is None or (claim and claim.submission):
        return claim.submission if claim else None
    stored = await desk.store.read(submission, row.submission_id)
    return stored.new if stored else None


async def write_long_texts(inbox: Path, long_texts: Sequence[LongText]) -> None:
    """Write texts into an inbox, each replaced as a whole: a restart may write it again."""
    for long_text in long_texts:
        await asyncio.to_thread(_write_long_text, inbox, long_text)


def _write_long_text(inbox: Path, long_text: LongText) -> None:
    inbox.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = inbox / f".{long_text.name}.part"
    part.write_text(long_text.text, "utf-8")
    part.chmod(0o644)
    part.replace(inbox / long_text.name)
