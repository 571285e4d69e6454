"""What the store tells of conversations, and of what goes on in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import ChatKey, GroupId, SessionId, SubmissionId, TaskId
from protocol.task import TaskResult
from runtime.store.records import StoredMessage, TaskRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    """A conversation in a list."""

    session_id: SessionId
    is_current: bool
    started_at: str
    last_at: str
    """When something was last said in it."""
    messages: int
    first_words: str
    """Somebody's, as they were said."""
    ended_by: str
    """`new`, `resumed`, `idle`, `daily`; empty while it is current."""
    is_archived: bool = False
    """It ended long ago, and is packed until somebody goes on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHead:
    """Whose a conversation is."""

    session_id: SessionId
    group_id: GroupId
    chat: ChatKey
    """Of the chat whose messages join it; one of SHARED_CHAT and SHARED_MANY where several do."""
    is_current: bool
    started_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTurn:
    """One task of a conversation: what was said, which tools were used, what was answered (in the task's result)."""

    task: TaskRow
    messages: tuple[StoredMessage, ...]
    tools: tuple[str, ...]
    is_summary: bool = False
    """Nobody asked for it in the conversation: it sums up what came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentSession:
    """A conversation that messages join, and when it was last used."""

    session_id: SessionId
    chat: ChatKey
    used_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCompaction:
    """A conversation that is being summed up."""

    submission_id: SubmissionId
    session_id: SessionId
    chat: ChatKey
    task_id: TaskId | None
    """None: its task has not ended."""
    result: TaskResult | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """A task in a list."""

    task_id: TaskId
    group_id: GroupId
    chat: ChatKey | None
    submitter: str
    state: str
    code: str
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLine:
    """What waits to become a task."""

    work: str
    """A message's or submission's id."""
    chat: ChatKey
    since: str
