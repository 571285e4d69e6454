"""The verbs of what goes on in conversations: models, skills, tasks, memory, pauses. `sessions.py` has their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId
from protocol.plain_text import escape
from runtime.commands.pauses import clean_reason
from runtime.commands.work import pick_tasks, skills_of
from runtime.control.sessions import session_verbs
from runtime.control.verb import BY, VerbTable, verb
from runtime.memory_desk import MemoryDesk
from runtime.model_book import Answering, ModelBook
from runtime.pauses import Pauses
from runtime.sessions.desk import SessionDesk
from runtime.sessions.records import TaskLine
from runtime.store import session_rows
from runtime.store.store import Store
from runtime.task_desk import Surroundings

MAX_TASKS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArguments:
    group: GroupId
    chat: ChatKey | None = None
    """None: for all chats without a choice of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseArguments:
    group: GroupId
    model: str
    """`route/model-name`; empty: as the settings say."""
    chat: ChatKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArguments:
    group: GroupId


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryArguments:
    group: GroupId
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseArguments:
    group: GroupId
    reason: str = ""


def conversation_verbs(
    store: Store,
    around: Surroundings,
    fork: Path,
    *,
    sessions: SessionDesk,
    models: ModelBook,
    memory: MemoryDesk,
    pauses: Pauses,
) -> VerbTable:
    """Return the verbs of this room."""
    return {
        **session_verbs(sessions),
        **model_verbs(around, models),
        **work_verbs(store, around, fork, pauses),
        **memory_verbs(around, memory),
        **pause_verbs(around, pauses),
    }


def model_verbs(around: Surroundings, models: ModelBook) -> VerbTable:
    async def model_show(given: ModelArguments) -> Json:
        answering = models.answering(around.groups.checked(given.group), given.chat)
        return {**_view(answering), "offered": list(models.offered()), "routes": list(models.routes())}

    async def model_choose(given: ChooseArguments) -> Json:
        return _view(await models.choose(around.groups.checked(given.group), given.chat, given.model, BY))

    return {
        "model_show": verb(ModelArguments, model_show),
        "model_choose": verb(ChooseArguments, model_choose),
    }


def work_verbs(store: Store, around: Surroundings, fork: Path, pauses: Pauses) -> VerbTable:
    async def skills(given: GroupArguments) -> Json:
        cards = await skills_of(around, fork, given.group)
        return {"skills": [{"skill": card.name, "description": escape(card.description)} for card in cards]}

    async def tasks(given: GroupArguments) -> Json:
        found = await store.read(session_rows.tasks_of_group, around.groups.checked(given.group), MAX_TASKS)
        waiting = await store.read(session_rows.waiting_of_group, given.group, MAX_TASKS)
        return {
            "paused": list(pauses.reasons(given.group)),
            "waiting": [{"work": each.work, "chat": each.chat, "since": each.since} for each in waiting],
            "tasks": [_view_task(each) for each in pick_tasks(found)],
        }

    return {
        "skills": verb(GroupArguments, skills),
        "tasks": verb(GroupArguments, tasks),
    }


def memory_verbs(around: Surroundings, memory: MemoryDesk) -> VerbTable:
    async def memory_list(given: GroupArguments) -> Json:
        files = await asyncio.to_thread(memory.files.list, around.groups.checked(given.group))
        return {"files": [{"file": escape(file.path), "bytes": file.size_bytes} for file in files]}

    async def memory_show(given: MemoryArguments) -> Json:
        return {"text": await asyncio.to_thread(memory.files.read, around.groups.checked(given.group), given.file)}

    async def memory_forget(given: MemoryArguments) -> Json:
        await memory.forget(around.groups.checked(given.group), given.file, BY)
        return {}

    return {
        "memory_list": verb(GroupArguments, memory_list),
        "memory_show": verb(MemoryArguments, memory_show),
        "memory_forget": verb(MemoryArguments, memory_forget),
    }


def pause_verbs(around: Surroundings, pauses: Pauses) -> VerbTable:
    async def pause(given: PauseArguments) -> Json:
        reason = clean_reason(given.reason)
        return {"is_new": await pauses.pause(around.groups.checked(given.group), by=BY, reason=reason)}

    async def resume(given: GroupArguments) -> Json:
        is_lifted = await pauses.resume(around.groups.checked(given.group))
        return {"is_lifted": is_lifted, "left": [each.reason or each.cause for each in pauses.of(given.group)]}

    return {
        "pause": verb(PauseArguments, pause),
        "resume": verb(GroupArguments, resume),
    }


def _view(answering: Answering) -> dict[str, Json]:
    choice = answering.choice
    return {
        "model": answering.model,
        "chosen_by": choice.chosen_by if choice else None,
        "chosen_at": choice.chosen_at if choice else None,
    }


def _view_task(task: TaskLine) -> Json:
    return {
        "task": task.task_id,
        "chat": task.chat,
        "submitter": task.submitter,
        "state": task.state,
        "code": task.code,
        "created_at": task.created_at,
        "ended_at": task.ended_at,
    }
