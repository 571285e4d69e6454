"""The verbs of conversations and of what goes on in them: sessions, models, skills, tasks, memory, pauses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, SessionId, mint
from protocol.plain_text import escape
from runtime.commands.pauses import clean_reason
from runtime.commands.work import pick_tasks, skills_of
from runtime.control.verb import BY, VerbTable, verb
from runtime.memory_desk import MemoryDesk
from runtime.model_book import Answering, ModelBook
from runtime.pauses import Pauses
from runtime.refusal import OperationRefused
from runtime.sessions.desk import SessionDesk
from runtime.sessions.words import first_words
from runtime.store import session_rows
from runtime.store.store import Store
from runtime.task_desk import Surroundings

MAX_TASKS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatArguments:
    chat: ChatKey
    group: GroupId | None = None
    """Of several agents in the chat; without it, the chat's default one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSessionArguments:
    chat: ChatKey
    session: str
    """Its id, or its number in the list."""
    group: GroupId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArguments:
    session: SessionId | None = None
    chat: ChatKey | None = None
    """Its current conversation; one of the two is given."""
    group: GroupId | None = None


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

    def known(group: GroupId) -> GroupId:
        if group not in around.groups.ready and group not in around.groups.suspended:
            names = ", ".join([*around.groups.ready, *around.groups.suspended]) or "none"
            message = f"there is no group {group[:40]!r} (known: {names})"
            raise OperationRefused("unknown_group", message, "./nightyard group list")
        return group

    async def session_list(given: ChatArguments) -> Json:
        group = await sessions.group_of(given.chat, given.group)
        lines = await sessions.list(group, given.chat, 100)
        return {
            "group": group,
            "sessions": [
                {
                    "session": line.session_id,
                    "is_current": line.is_current,
                    "started_at": line.started_at,
                    "last_at": line.last_at,
                    "messages": line.messages,
                    "first_words": first_words(line),
                    "ended_by": line.ended_by,
                    "is_archived": line.is_archived,
                }
                for line in lines
            ],
        }

    async def session_resume(given: ResumeSessionArguments) -> Json:
        group = await sessions.group_of(given.chat, given.group)
        line = await sessions.resume(group, given.chat, given.session)
        return {"group": group, "session": line.session_id, "first_words": first_words(line)}

    async def session_compact(given: ChatArguments) -> Json:
        group = await sessions.group_of(given.chat, given.group)
        return {"group": group, "turns": await sessions.compact(group, given.chat, BY, mint("compaction"))}

    async def session_export(given: ExportArguments) -> Json:
        if (given.session is None) == (given.chat is None):
            raise OperationRefused("usage", "name a session or a chat, and not both")
        if given.session is not None:
            path, name = await sessions.export_session(given.session)
        else:
            assert given.chat is not None  # one of the two
            path, name = await sessions.export(await sessions.group_of(given.chat, given.group), given.chat)
        return {"file": str(path), "name": name}

    async def model_show(given: ModelArguments) -> Json:
        answering = models.answering(known(given.group), given.chat)
        return {**_view(answering), "offered": list(models.offered()), "routes": list(models.routes())}

    async def model_choose(given: ChooseArguments) -> Json:
        return _view(await models.choose(known(given.group), given.chat, given.model, BY))

    async def skills(given: GroupArguments) -> Json:
        cards = await skills_of(around, fork, given.group)
        return {"skills": [{"skill": card.name, "description": escape(card.description)} for card in cards]}

    async def tasks(given: GroupArguments) -> Json:
        found = await store.read(session_rows.tasks_of_group, known(given.group), MAX_TASKS)
        waiting = await store.read(session_rows.waiting_of_group, given.group, MAX_TASKS)
        return {
            "paused": list(pauses.reasons(given.group)),
            "waiting": [{"work": each.work, "chat": each.chat, "since": each.since} for each in waiting],
            "tasks": [
                {
                    "task": each.task_id,
                    "chat": each.chat,
                    "submitter": each.submitter,
                    "state": each.state,
                    "code": each.code,
                    "created_at": each.created_at,
                    "ended_at": each.ended_at,
                }
                for each in pick_tasks(found)
            ],
        }

    async def memory_list(given: GroupArguments) -> Json:
        files = await asyncio.to_thread(memory.files.list, known(given.group))
        return {"files": [{"file": escape(file.path), "bytes": file.size_bytes} for file in files]}

    async def memory_show(given: MemoryArguments) -> Json:
        return {"text": await asyncio.to_thread(memory.files.read, known(given.group), given.file)}

    async def memory_forget(given: MemoryArguments) -> Json:
        await memory.forget(known(given.group), given.file, BY)
        return {}

    async def pause(given: PauseArguments) -> Json:
        reason = clean_reason(given.reason)
        return {"is_new": await pauses.pause(known(given.group), by=BY, reason=reason)}

    async def resume(given: GroupArguments) -> Json:
        is_lifted = await pauses.resume(known(given.group))
        return {"is_lifted": is_lifted, "left": [each.reason or each.cause for each in pauses.of(given.group)]}

    return {
        "session_list": verb(ChatArguments, session_list),
        "session_resume": verb(ResumeSessionArguments, session_resume),
        "session_compact": verb(ChatArguments, session_compact),
        "session_export": verb(ExportArguments, session_export),
        "model_show": verb(ModelArguments, model_show),
        "model_choose": verb(ChooseArguments, model_choose),
        "skills": verb(GroupArguments, skills),
        "tasks": verb(GroupArguments, tasks),
        "memory_list": verb(GroupArguments, memory_list),
        "memory_show": verb(MemoryArguments, memory_show),
        "memory_forget": verb(MemoryArguments, memory_forget),
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
