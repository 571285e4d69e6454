"""The rows of the store as records: what `Store` takes and gives. Pure.

Times are ISO 8601 UTC text of one width (`2026-01-31T09:00:00.000000Z`), so that text order is time order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from protocol.ids import (
    AttemptId,
    ChannelId,
    ChatKey,
    DoorId,
    GroupId,
    MessageId,
    PersonKey,
    PlatformMessageId,
    SessionId,
    SubmissionId,
    TaskId,
)
from protocol.message import InboundMessage, OutboundMessage, Receipt
from protocol.task import Task, TaskResult
from protocol.transcript import Entry, Step
from runtime.submission import NewSubmission

if TYPE_CHECKING:
    from runtime.money.payers import PayerDay

Role = Literal["owner", "admin", "member", "guest"]
ROLES: tuple[Role, ...] = ("guest", "member", "admin", "owner")
"""Each has the rights of those before it."""
When = Literal["always", "mention", "pattern", "sticky"]
"""Which of a bound chat's messages are meant for the agent: all; those that mention it, name it first or press a
button; also those that its pattern is found in; also those that follow a mention in the same thread, for a while."""
Whom = Literal["known", "roles", "persons"]
"""Whose: everybody's with the right to ask, those of some roles, or some persons'. An owner may always ask."""
Rest = Literal["drop", "context"]
"""What happens to the messages that are not."""
SessionScope = Literal["chat", "thread", "shared"]
"""`chat`: the bound chat has its own session of the group; `thread`: each thread of it; `shared`: all chats so bound
share one, direct ones apart from those with many people."""
QueueMode = Literal["steer", "follow_up", "collect", "interrupt"]
"""What becomes of a message that comes while the agent works: it is told at once, waits its turn, waits for those that
follow it, or ends what goes on."""
STICKY_MINUTES = 30


class MessageState(enum.StrEnum):
    """received → queued | context | refused | command; queued → claimed | dead; claimed → answered | dead."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    CONTEXT = "context"
    REFUSED = "refused"
    COMMAND = "command"
    DEAD = "dead"


FiledState = Literal[MessageState.QUEUED, MessageState.CONTEXT, MessageState.REFUSED, MessageState.COMMAND]
"""What a decoded message can be filed as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawUpdate:
    """What a platform sent, as it came, not yet decoded."""

    raw_id: int
    channel_id: ChannelId
    event_id: str
    raw: bytes
    received_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """An inbound message as the store keeps it."""

    message_id: MessageId
    seq: int
    """The order in which messages were stored, over all chats."""
    state: MessageState
    group_id: GroupId | None
    """None only where no group was bound: refused, or a command in an unbound chat."""
    session_id: SessionId | None
    inbound: InboundMessage
    """`attachments` are the files fetched; `pending_files` is empty."""
    received_at: str
    note: str = ""
    """What the host adds for the model: a file that could not be fetched."""
    task_id: TaskId | None = None
    """The task that claimed it (for context: the first task that was shown it)."""
    end_reason: str = ""
    mode: QueueMode = "steer"
    """As its binding says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    message: StoredMessage
    first: bool
    """False: this raw update had been filed before; nothing was changed."""
    begun: Begun | None = None
    """What came of the offer that it was filed with; None: it waits for the dispatcher, if for anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    task_id: TaskId
    group_id: GroupId
    session_id: SessionId | None
    submitter: str
    chat: ChatKey | None
    """Where the reply goes."""
    reply_to: PlatformMessageId | None
    """The newest message it answers."""
    state: str
    """`running`, `suspended`, or a TaskStatus."""
    created_at: str
    ended_at: str | None = None
    spec: Task | None = None
    """What the host built and handed over; None until its first attempt runs."""
    result: TaskResult | None = None
    submission_id: SubmissionId | None = None
    """What it came of, where no message brought it."""
    payer: PersonKey | Literal[""] = ""
    """Whose limits it counts for; empty: nobody's."""


AttemptState = Literal["starting", "running", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    attempt_id: AttemptId
    task_id: TaskId
    number: int
    """From 1."""
    state: AttemptState
    started_at: str
    door_id: DoorId | None = None
    container_id: str = ""
    container_name: str = ""
    nonce_hash: str = ""
    stored_seq: int = 0
    """The highest link `seq` that is stored."""
    ended_at: str | None = None
    end_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task that has just been made of waiting messages or a submission, with its first attempt."""

    task: TaskRow
    attempt: AttemptRow
    messages: tuple[StoredMessage, ...]
    """Those it answers, in order."""
    context: tuple[StoredMessage, ...]
    """Those of the session kept as context since its last task, in order."""
    submission: NewSubmission | None = None
    """What it does, where no message brought it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOffer:
    """A started container that waits for a message of this group, if it is for that group and nothing is before it."""

    group_id: GroupId
    task_id: TaskId
    attempt_id: AttemptId
    """The ids that the task and its first attempt get, if it begins."""
    door_id: DoorId
    container_id: str
    nonce_hash: str
    build: Callable[[Claim, TaskBeginning], Task | None]
    """Pure, called in the store's thread. None: the task cannot be built from this alone."""
    when_planned: Callable[[Begun], None] = lambda _: None
    """Called in the store's thread with a task that is about to be stored: nothing may come of it but what can be
    undone until the store says that it is. Returns at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A message's task, made with the message. With `task` its first attempt is recorded as running at the offer's
    door; without, the claim is as any other and the container was not used."""

    claim: Claim
    beginning: TaskBeginning
    task: Task | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What became of an update for which a container was waiting."""

    update: RawUpdate | None
    """None: this event had been stored before, and nothing was changed."""
    filed: Filed | None
    """None: the update still waits to be filed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBeginning:
    """What a task is built from beside its messages, as one state of the store."""

    transcript: tuple[Entry, ...]
    people: Mapping[PersonKey, Person]
    """Of the keys asked for, the known persons', with the role that they have to the task's group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnding:
    """What a task's end is made of, as one state of the store."""

    steps: tuple[Step, ...]
    spec: Task | None
    attempts: tuple[AttemptRow, ...]
    messages: tuple[StoredMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStep:
    """A step that is stored with its task's end."""

    attempt_id: AttemptId
    seq: int
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSummary:
    """A summary that a task's agent made by itself, and stands for what came before a turn of the session."""

    entry: Entry
    from_offset: int
    """The first turn that is shown in full beside it, counted from the task's first; below 0: of earlier tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """All that the end of a task changes."""

    result: TaskResult
    seq: int | None
    """Of the agent's last word, if it said one: counts as stored."""
    outbound: tuple[NewOutbound, ...]
    entries: tuple[Entry, ...]
    """What the session's transcript gets."""
    message_state: Literal[MessageState.ANSWERED, MessageState.DEAD]
    end_reason: str
    """Of its messages; empty: the status."""
    summary: OwnSummary | None = None
    """What its agent has made of the conversation, if that filled the model's window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutbound:
    """A message to put in the outbox."""

    step: str
    """With the task it is the idempotency key: `reply`, `file:<call id>`, `failed`."""
    message: OutboundMessage


OutboxState = Literal["pending", "sending", "sent", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    outbox_id: int
    idempotency_key: str
    task_id: TaskId | None
    message: OutboundMessage
    """Its `idempotency_key` is filled in."""
    channel_id: ChannelId
    state: OutboxState
    attempts: int
    """Deliveries begun."""
    next_try_at: str
    created_at: str
    maybe_sent: bool
    """True: the host died between handing it to the platform and storing the receipt."""
    reason: str = ""
    """Why the last delivery failed."""
    ended_at: str | None = None
    """When it was sent or given up."""
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    person: PersonKey
    name: str
    role: Role
    added_at: str
    added_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One agent of a chat. A chat's bindings hold for its threads, but for threads with bindings of their own."""

    chat: ChatKey
    chat_kind: Literal["direct", "many"]
    group_id: GroupId
    when: When = "always"
    pattern: str = ""
    """What `people/pattern.py` reads; only where `when` is `pattern`."""
    sticky_minutes: int = STICKY_MINUTES
    whom: Whom = "known"
    whom_names: tuple[str, ...] = ()
    """The roles or person keys."""
    rest: Rest = "drop"
    session: SessionScope = "chat"
    mode: QueueMode = "steer"
    is_default: bool = True
    """Whether it answers what names no agent of the chat; true for exactly one of them."""
    added_at: str = ""
    added_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLimits:
    """How much one person may ask of agents; None: as much as the agent's settings allow."""

    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    """Messages to agents in the last 24 hours; the others are counted alike."""
    model_calls_per_day: int | None = None
    cost_usd_per_day: float | None = None
    """Of the current day (UTC), as the proxy counted them for the person's tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many messages of a person went to agents of late."""

    minute: int = 0
    hour: int = 0
    day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a person's tasks have used today."""

    model_calls: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An agent that was spoken to in this very chat or thread, and follows what is said there."""

    group_id: GroupId
    spoken_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The message that an edit or a deletion is about."""

    message_id: MessageId
    state: MessageState
    person: PersonKey
    group_id: GroupId | None
    session_id: SessionId | None
    task_id: TaskId | None
    text: str
    waits_for_owner: bool = False
    """Refused, and taken up again if an owner lets its sender or its chat in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message that somebody reacted to."""

    text: str
    by: GroupId | None = None
    """The agent whose words it is; None: a person's, or the host's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderFacts:
    """What the store knows of who speaks, where: the ground on which access.py decides."""

    person: Person | None
    """The person whose identity speaks; None: a stranger. Their `role` holds everywhere."""
    bindings: tuple[Binding, ...]
    """The agents of the chat, the default one first."""
    pairing_pending: bool
    """A pairing code is waiting, so a text that looks like one may be it."""
    refused_at: str | None
    """When this person was last told no in this chat."""
    granted: str = ""
    """The code of a request of this chat that an owner has said yes to: what waited for that goes first."""
    roles: Mapping[GroupId, Role] = field(default_factory=dict)
    """What the person is to agents of the chat, where that is more than everywhere."""
    followed: tuple[Followed, ...] = ()
    limits: PersonLimits | None = None
    """The person's own; None: none were set."""
    asked: Asked = Asked()
    """Not counted (nothing) for strangers, and for owners without limits of their own."""
    spent: PayerDay | None = None
    """None: not looked up; `access.wants_spent` says when it must be."""
    original: Original | None = None
    """For an edit or a deletion; None: the chat has no such message."""
    about: Said | None = None
    """For a reaction; None: the chat has no such message."""

    @property
    def binding(self) -> Binding | None:
        """The chat's default agent."""
        return self.bindings[0] if self.bindings else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingOutcome:
    kind: Literal["paired", "linked", "wrong", "locked", "silent"]
    """`wrong`: unknown, used or expired. `locked`: too many wrong codes, from this person or in all; `silent`: they
    have been told so."""
    filed: Filed | None = None
    """The message with the code, filed as a command that has been carried out; only where it was right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    seq: int
    at: str
    kind: str
    refs: Mapping[str, str]
    """Ids made by the host, never text."""
    digest: str
    """Keyed digest of the payload, hex; empty where there is none."""
    hash: str
    by: str = ""
    """Who did it, where that is kept: a person's key, `cli`, `file`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalCheck:
    entries: int
    broken_at: int | None
    """The first `seq` that does not follow from those before it; None: the chain is whole."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSummary:
    index: int
    kind: str
    stored_at: str
    label: str
    """The tool's name, or the model turn's size in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All that happened to one message or task."""

    messages: tuple[StoredMessage, ...]
    task: TaskRow | None
    attempts: tuple[AttemptRow, ...]
    steps: tuple[StepSummary, ...]
    outbox: tuple[OutboxRow, ...]
    journal: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    queued: int
    claimed: int
    running_tasks: int
    outbox_waiting: int
    outbox_dead: int
    dead_letters: int
    approvals: int
    """What waits for a person's word."""
    oldest_queued_at: str | None
    frozen: bool
    file_bytes: int
