"""The rows of the store as records: what `Store` takes and gives. Pure.

Times are ISO 8601 UTC text of one width (`2026-01-31T09:00:00.000000Z`), so that text order is time order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

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

Role = Literal["owner", "admin", "member", "guest"]
ROLES: tuple[Role, ...] = ("guest", "member", "admin", "owner")
"""Each has the rights of those before it."""
When = Literal["always", "mention"]
"""Which of a bound chat's messages are meant for the agent: all, or those that mention it or press a button."""
Rest = Literal["drop", "context"]
"""What happens to the messages that are not."""
SessionScope = Literal["chat", "shared"]
"""`chat`: each chat has its own session of the group; `shared`: all chats so bound share one."""
QueueMode = Literal["steer", "follow_up", "collect", "interrupt"]
"""What becomes of a message that comes while the agent works: it is told at once, waits its turn, waits for those that
follow it, or ends what goes on."""


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
    day: str
    """The UTC day whose model calls are counted."""
    build: Callable[[Claim, TaskBeginning], Task | None]
    """Pure, called in the store's thread. None: the task cannot be built from this alone."""


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
    """Of those asked for, the known ones."""
    model_calls: int
    """The group's, of the day asked for."""


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
    chat: ChatKey
    chat_kind: Literal["direct", "many"]
    group_id: GroupId
    when: When = "always"
    rest: Rest = "drop"
    session: SessionScope = "chat"
    added_at: str = ""
    added_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderFacts:
    """What the store knows of who speaks, where: the ground on which access.py decides."""

    person: Person | None
    binding: Binding | None
    pairing_pending: bool
    """A pairing code is waiting, so a text that looks like one may be it."""
    refused_at: str | None
    """When this person was last told no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingOutcome:
    kind: Literal["paired", "wrong", "locked"]
    """`wrong`: unknown, used or expired. `locked`: too many wrong codes, from this person or in all."""
    filed: Filed | None = None
    """The message with the code, filed as a command that has been carried out; only where `paired`."""


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
class ModelCalls:
    """Model calls begun on one day."""

    group: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    queued: int
    claimed: int
    running_tasks: int
    outbox_waiting: int
    outbox_dead: int
    dead_letters: int
    oldest_queued_at: str | None
    frozen: bool
    file_bytes: int
