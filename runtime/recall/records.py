"""What can be found again, and what was. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.ids import ChatKey, GroupId, TaskId

PassageKind = Literal["memory", "talk"]

EVERYBODY = "*"
"""The audience of an agent's own notes: its memory folder lies open in each of its containers, whoever it talks to."""
NOBODY = ""
"""The audience of work that no chat saw: a program's, a schedule's without a chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of text of a size that is worth showing, with who may be shown it."""

    group_id: GroupId
    kind: PassageKind
    source: str
    """The file's path below the memory folder, or the task in which it was said."""
    audience: ChatKey | str
    """The chat that saw it; EVERYBODY; NOBODY."""
    at: str
    """ISO 8601 UTC: when it was said or written."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What was asked and answered in one ended task."""

    task_id: TaskId
    group_id: GroupId
    chat: ChatKey | None
    at: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """For whom something is looked up: who all are present, as far as the store knows."""

    chats: frozenset[ChatKey]
    """The chats whose words everybody present has seen, or could have."""
    sees_all: bool = False
    """An owner, alone with the agent."""
    sees_chatless: bool = False
    """Nobody is present: work for no chat."""
