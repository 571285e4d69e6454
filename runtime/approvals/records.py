"""The nouns of decisions: what a person is asked, by whom it may be decided, what came of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PersonKey, TaskId

Kind = Literal[
    "tool", "egress", "send", "package", "mcp", "agent", "chat", "person", "spending", "review", "memory", "skill",
    "schedule",
]  # fmt: skip
"""What is decided: a tool's call, a request out, a message to elsewhere, a package, an MCP server, another agent, a
chat's connection, who may speak, money, an output before it goes, and what was made of untrusted text."""
DOOR_KINDS: tuple[Kind, ...] = ("chat", "person")
"""What strangers bring about: capped by itself, so that no flood of theirs keeps an agent's questions away."""
Who = Literal["owner", "admin", "member"] | tuple[PersonKey, ...]
"""Everybody with the rights of a role, or these persons alone."""
State = Literal["waiting", "approved", "denied", "expired", "withdrawn"]
CLI = "cli"
"""Who decides at the machine itself: may decide everything, and counts as one person."""

LASTING_KINDS: tuple[Kind, ...] = ("mcp",)
"""What is decided for good, unless whoever decides says for how long."""
OUTPUT_KINDS: tuple[Kind, ...] = ("review", "send")
"""What is held back until it is decided, and then goes, or does not."""
ScopeWord = Literal["exact", "command", "folder", "host", "tool", "chat"]
"""How far a decision reaches: this very thing, this command, this folder, this host and method, this tool, what is sent
to this chat."""
Until = Literal["once", "hour", "day", "tonight", "week", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How a decision is remembered."""

    word: ScopeWord = "exact"
    until: Until = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """What a room wants decided."""

    kind: Kind
    group_id: GroupId | None
    """None: it concerns the whole house."""
    payload: Json
    """Exactly what will happen, a JSON object: the digest is over it, and an approval covers nothing else."""
    summary: str
    """What is wanted, in one line of the host's words; an agent's words in it are shown cleaned."""
    task_id: TaskId | None = None
    who: Who = "owner"
    quorum: int = 1
    """So many different persons must say yes; one no is a no."""
    deadline_s: float = 86_400.0
    scope_offers: tuple[ScopeWord, ...] = ()
    """What the card offers to remember besides this one time; each must be readable from the payload (`scopes.py`)."""
    chats: tuple[ChatKey, ...] = ()
    """Where the card is shown; empty: in the direct chats of those who may decide."""
    lines: tuple[str, ...] = ()
    """What the card shows in the payload's place, fit for eyes already; empty: the payload itself."""
    key: str = ""
    """The asker's own: the same key again is the same approval."""
    origin: str = ""
    """What another process knows it by."""
    subject: str = ""
    """Whose words these are, so that they can be forgotten; empty: the group's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    voter: str
    """A person, all linked identities as one; or `cli`."""
    by: str
    """The identity that spoke."""
    is_yes: bool
    voted_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A decision that is asked for, or was made."""

    approval_id: str
    kind: Kind
    group_id: GroupId | None
    task_id: TaskId | None
    digest: str
    """SHA-256 (hex) over kind, group and payload."""
    payload: Json
    summary: str
    lines: tuple[str, ...]
    who: Who
    quorum: int
    scope_offers: tuple[ScopeWord, ...]
    origin: str
    state: State
    reason: str
    """Why it was withdrawn, or from which decision it was remembered."""
    asked_at: str
    deadline_at: str
    ended_at: str | None = None
    because: str = ""
    """What whoever said no gave as the reason."""
    votes: tuple[Vote, ...] = ()
    used_at: str | None = None
    edited: str | None = None
    """What a reviewer has had said instead."""

    @property
    def is_open(self) -> bool:
        return self.state == "waiting"

    @property
    def is_approved(self) -> bool:
        return self.state == "approved"

    @property
    def decided_by(self) -> str:
        """Who said the last word, as they are known; empty where nobody did."""
        return self.votes[-1].by if self.votes and self.state in ("approved", "denied") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A decision that holds for more than one thing, or for longer."""

    decision_id: int
    kind: Kind
    group_id: GroupId | None
    scope: ScopeWord
    is_yes: bool
    by: str
    approval_id: str
    decided_at: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came of somebody's word."""

    approval: Approval
    is_final: bool
    """False: more persons must agree."""
    missing: int = 0
    """So many more."""
    remembered: Scope | None = None
    """How far it holds besides this once."""


TaintSource = Literal["web", "grant", "person", "program", "unknown"]
"""The open web, a granted host whose answers are others' words (mail), somebody who is no member, a program's input;
or it could not be found out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """What text of anybody's a task has read."""

    sources: tuple[tuple[TaintSource, str], ...] = ()
    """(source, where from), sorted."""

    @property
    def is_tainted(self) -> bool:
        return bool(self.sources)
