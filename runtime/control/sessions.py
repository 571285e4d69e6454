"""The verbs of conversations themselves: listing, taking up again, summing up, writing out."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, SessionId, mint
from runtime.control.verb import BY, VerbTable, verb
from runtime.refusal import OperationRefused
from runtime.sessions.desk import SessionDesk
from runtime.sessions.records import SessionLine
from runtime.sessions.words import first_words

MAX_LISTED = 100


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


def session_verbs(sessions: SessionDesk) -> VerbTable:
    """Return the verbs of conversations."""

    async def session_list(given: ChatArguments) -> Json:
        group = await sessions.group_of(given.chat, given.group)
        lines = await sessions.list(group, given.chat, MAX_LISTED)
        return {"group": group, "sessions": [_view(line) for line in lines]}

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

    return {
        "session_list": verb(ChatArguments, session_list),
        "session_resume": verb(ResumeSessionArguments, session_resume),
        "session_compact": verb(ChatArguments, session_compact),
        "session_export": verb(ExportArguments, session_export),
    }


def _view(line: SessionLine) -> Json:
    return {
        "session": line.session_id,
        "is_current": line.is_current,
        "started_at": line.started_at,
        "last_at": line.last_at,
        "messages": line.messages,
        "first_words": first_words(line),
        "ended_by": line.ended_by,
        "is_archived": line.is_archived,
    }
