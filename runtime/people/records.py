"""The nouns of people and access beside those in store/records.py: requests, refusals, destinations. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.ids import ChatKey, GroupId, MessageId, PersonKey
from runtime.store.records import (
    Person,
    PersonLimits,
    QueueMode,
    Rest,
    Role,
    SessionScope,
    StoredMessage,
    When,
    Whom,
)

RequestKind = Literal["person", "chat"]
RequestState = Literal["pending", "granted", "denied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """Somebody who wants to be let in, or a chat that wants an agent: an owner decides."""

    code: str
    """Names the request, as an approval of the kind `kind`; opens nothing by itself."""
    kind: RequestKind
    person: PersonKey
    """Who spoke."""
    name: str
    """What they call themselves."""
    chat: ChatKey
    chat_kind: Literal["direct", "many"]
    message_id: MessageId
    """What was said first; it and what followed are taken up again after a yes."""
    beyond: int
    """Messages that were too many to keep for that."""
    state: RequestState
    created_at: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskOwner:
    """A refused message whose sender, or chat, an owner is asked about."""

    kind: RequestKind
    groups: tuple[GroupId, ...]
    """The agents that can be chosen, the likeliest first."""
    zone_name: str
    """Of the times on its card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A refused message that is taken up again after a yes."""

    message: StoredMessage
    raw_id: int
    """Of its update; files that are fetched for it are named by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPerson:
    """All that is set for one person."""

    person: Person
    identities: tuple[PersonKey, ...]
    """Their further keys."""
    roles: tuple[tuple[GroupId, Role], ...]
    """With single agents."""
    limits: PersonLimits | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How often somebody was refused for one reason in one chat."""

    person: PersonKey
    name: str
    """Empty: nobody known."""
    chat: ChatKey
    code: str
    count: int
    first_at: str
    last_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    lines: tuple[Refusal, ...]
    """The newest."""
    by_code: tuple[tuple[str, int, str], ...]
    """(reason, how often, last time), of all that are kept."""
    requests: tuple[AccessRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A chat to which a group may send, under a name."""

    group_id: GroupId
    name: str
    chat: ChatKey
    added_at: str = ""
    added_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingChange:
    """What of a binding is to be otherwise; None: as it is."""

    when: When | None = None
    pattern: str | None = None
    sticky_minutes: int | None = None
    whom: Whom | None = None
    whom_names: tuple[str, ...] | None = None
    rest: Rest | None = None
    session: SessionScope | None = None
    mode: QueueMode | None = None
    default: bool | None = None
