"""Delegation, its request and its answer: the nouns of this room. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

from protocol.ids import FileId, GroupId, SubmissionId, TaskId
from protocol.record import Record

DelegationId = NewType("DelegationId", str)
DelegationState = Literal["asked", "submitted", "ended", "answered"]
"""`ended`: the other agent is done; `answered`: the asking task has its answer on disk."""

KIND = "delegate"
"""The kind of an agent's question that is a delegation."""


class DelegationRequest(Record):
    """What an agent asks of another, as its question's payload says it."""

    to: str
    """The name of the group."""
    prompt: str
    files: tuple[str, ...] = ()
    """Call ids under which the agent has sent files to the host for this."""
    deliver: bool = False
    """Whether the other agent's answer is shown in the asking task's chat, too."""


class DelegationAnswer(Record):
    """What came of it, as the asking agent is told."""

    is_done: bool
    text: str
    """The other agent's reply, or why there is none."""
    files: tuple[str, ...] = ()
    """Their paths in the asking agent's container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A piece of work that one agent handed to another."""

    delegation_id: DelegationId
    from_group: GroupId
    from_task: TaskId
    call_id: str
    to_group: GroupId
    ancestors: tuple[GroupId, ...]
    """The groups behind it, the first asker first, `from_group` last."""
    state: DelegationState
    submission_id: SubmissionId | None
    request: DelegationRequest
    answer: DelegationAnswer | None
    asked_at: str
    ended_at: str | None

    @property
    def depth(self) -> int:
        """1 for what a person's, a schedule's or a program's task asks."""
        return len(self.ancestors)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedFile:
    """A file that an agent sent to the host for another agent."""

    task_id: TaskId
    call_id: str
    file_id: FileId
    """Its name in the sending group's outbox, made by the host."""
    name: str
    """What the sender calls it: shown, never a path."""
    size_bytes: int
    sha256: str = ""
    """Of its bytes; empty for one of an earlier version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingFacts:
    """What the store knows of who asks."""

    ancestors: tuple[GroupId, ...]
    """Of the asking task: empty unless it is delegated work itself."""
    asked_by_task: int
    asked_last_hour: int
    """By this group of that one."""
    open_of_group: int
    """Delegations of the asking group that have not ended."""
