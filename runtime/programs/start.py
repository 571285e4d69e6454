"""Notes what an attempt of a program's task begins with: what the envelope says was held."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from runtime.group import Group
from runtime.insist import insist
from runtime.skills.content import hash_skill
from runtime.store import program_rows
from runtime.store.records import TaskRow
from runtime.store.store import Store


async def note_start(store: Store, fork: Path, row: TaskRow, group: Group) -> None:
    """Note the mode of the group and the content of the skill that an attempt begins with; of other tasks nothing."""
    noted = await store.read(program_rows.program_task, row.submission_id) if row.submission_id is not None else None
    if noted is None:
        return
    sha256 = await asyncio.to_thread(hash_skill, fork, group.group_id, noted.skill) if noted.skill else ""
    job = partial(store.write, program_rows.note_start, noted.submission_id, group.mode, sha256)
    await insist(job, "a program's task")
