"""The door of the store: every question to it and every change of it, as one async method each.

A room with tables of its own has its jobs in `<room>_rows.py` and brings them here with `write` and `read`. No SQL here
(sql/) and no decisions (access.py, session_queue.py). A method that changes something returns when
it is on disk, together with its journal entry; raises StoreFull, StoreBusy or StoreBroken and has then changed
nothing. Cancelled while waiting: it may or may not be stored; all changes can be asked for again without harm.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

from protocol.ids import AttemptId, ChannelId, ChatKey, DoorId, GroupId, MessageId, PersonKey, SessionId, TaskId
from protocol.message import InboundMessage, OutboundMessage, Receipt
from protocol.task import Task, TaskResult
from protocol.transcript import Entry, Step
from runtime.store import (
    begin_rows,
    end_rows,
    inbound_rows,
    journal_rows,
    outbox_rows,
    overview_rows,
    pairing_rows,
    people_rows,
    question_rows,
    task_rows,
    task_views,
    usage_rows,
)
from runtime.store.database import BUSY_TIMEOUT_S, Transaction, open_database, utc_now
from runtime.store.reader import Reader
from runtime.store.records import (
    AttemptRow,
    Binding,
    Claim,
    Filed,
    FiledState,
    JournalCheck,
    JournalEntry,
    LastStep,
    MessageState,
    NewOutbound,
    OutboxRow,
    PairingOutcome,
    Person,
    RawUpdate,
    Role,
    SenderFacts,
    StartOffer,
    StoredMessage,
    StoreStatus,
    TakenIn,
    TaskBeginning,
    TaskEnd,
    TaskEnding,
    TaskRow,
    Trace,
)
from runtime.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.asynccontextmanager
async def open_store(
    home: Path, *, clock: Callable[[], datetime] = utc_now, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> AsyncIterator[Store]:
    """Open `store.db` in the home (made and migrated as needed, with `journal.key` beside it); close it at the end.

    Raises StoreTooNew, StoreBroken, StoreFull. Only one process may hold it: the home's lock is the caller's.
    """
    database = open_database(home, clock, busy_timeout_s)
    with contextlib.closing(Writer(database)) as writer, contextlib.closing(Reader(database)) as reader:
        yield Store(writer, reader)


class Store:
    """Everything the host must not forget."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._watching: set[asyncio.Event] = set()

    async def write(self, job: Callable[Concatenate[Transaction, P], T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a room's job in a transaction; return its value once that is on disk."""
        done = await self._writer.run(lambda transaction: job(transaction, *arguments, **options))
        for event in self._watching:
            event.set()
        return done

    async def read(self, job: Callable[Concatenate[Transaction, P], T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a room's question on one state of the file."""
        return await self._reader.run(lambda transaction: job(transaction, *arguments, **options))

    @contextlib.contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something was stored: for whoever follows what happens."""
        event = asyncio.Event()
        self._watching.add(event)
        try:
            yield event
        finally:
            self._watching.discard(event)

    # --- What comes in

    async def store_raw(self, channel_id: ChannelId, event_id: str, raw: bytes) -> RawUpdate | None:
        """Store a platform's update as it came; None if this event is stored already."""
        return await self.write(inbound_rows.store_raw, channel_id, event_id, raw)

    async def pending_raws(self, channels: Sequence[ChannelId], limit: int = 1000) -> tuple[RawUpdate, ...]:
        """Return the oldest raw updates of these channels that have not been filed: what a crash left, first."""
        return await self.read(inbound_rows.pending_raws, tuple(channels), limit)

    async def file_nothing(self, raw_id: int) -> None:
        """Mark a raw update as one that says nothing to us."""
        await self.write(inbound_rows.file_nothing, raw_id)

    async def file_dead_letter(self, raw_id: int, reason: str) -> None:
        """Mark a raw update as one that could not be decoded; its bytes are kept."""
        await self.write(inbound_rows.file_dead_letter, raw_id, reason)

    async def file_message(
        self,
        raw_id: int,
        inbound: InboundMessage,
        *,
        state: FiledState,
        group_id: GroupId | None,
        end_reason: str = "",
        note: str = "",
        notice: OutboundMessage | None = None,
        refusal: str = "",
    ) -> Filed:
        """File a decoded message in the state that was decided; find or make its session; forget the raw bytes.

        `notice` goes to the outbox in the same transaction, `refusal` (a word of access.py's) is counted. A command
        with an `end_reason` is carried out already. Idempotent by raw update.
        """
        return await self.write(
            inbound_rows.file_message,
            raw_id,
            inbound,
            state=state,
            group_id=group_id,
            end_reason=end_reason,
            note=note,
            notice=notice,
            refusal=refusal,
        )

    async def take_in_and_begin(
        self,
        channel_id: ChannelId,
        event_id: str,
        raw: bytes,
        inbound: InboundMessage,
        decide: Callable[[SenderFacts], GroupId | None],
        offer: StartOffer,
    ) -> TakenIn:
        """Store an update that says `inbound`, queue it for the group that `decide` says, and where nothing is before
        it begin its task in the offered container: all in one transaction.

        `decide` is pure and called in the store's thread; None from it: the update is stored and waits to be filed.
        """
        return await self.write(begin_rows.take_in_and_begin, channel_id, event_id, raw, inbound, decide, offer)

    async def end_message(
        self, message_id: MessageId, state: Literal[MessageState.DEAD, MessageState.REFUSED], reason: str
    ) -> bool:
        """End a queued message that will never become part of a task; False if it is not queued any more."""
        return await self.write(inbound_rows.end_message, message_id, state, reason)

    async def end_command(self, message_id: MessageId, reason: str = "done") -> None:
        """Note that a command has been carried out, so that a restart does not do it again."""
        await self.write(inbound_rows.end_command, message_id, reason)

    async def open_commands(self) -> tuple[StoredMessage, ...]:
        """Return the commands that were stored and not yet carried out, oldest first."""
        return await self.read(inbound_rows.open_commands)

    async def message(self, message_id: MessageId) -> StoredMessage | None:
        """Return one inbound message."""
        return await self.read(inbound_rows.message, message_id)

    async def waiting_messages(self, limit: int = 10_000) -> tuple[StoredMessage, ...]:
        """Return the queued messages, oldest first: what the session queue is rebuilt from."""
        return await self.read(inbound_rows.waiting_messages, limit)

    # --- Tasks and attempts

    async def claim_messages(self, message_ids: Sequence[MessageId]) -> Claim:
        """Make one task, with its first attempt (state `starting`), of queued messages of one session.

        Raises ClaimRefused if one of them is not queued, or they are of several sessions.
        """
        return await self.write(task_rows.claim_messages, tuple(message_ids))

    async def begin_attempt(self, task_id: TaskId) -> AttemptRow:
        """Add the next attempt of a running task, in state `starting`; ends one that had not ended (`superseded`). The
        answer to what that one asked is among its steps."""
        return await self.write(question_rows.begin_attempt, task_id)

    async def attempt_running(
        self,
        attempt_id: AttemptId,
        *,
        door_id: DoorId,
        container_id: str,
        container_name: str = "",
        nonce_hash: str = "",
        spec: Task | None = None,
    ) -> None:
        """Record where an attempt runs, before its task is handed over; `spec` is the task as handed over."""
        await self.write(
            task_rows.attempt_running,
            attempt_id,
            door_id=door_id,
            container_id=container_id,
            container_name=container_name,
            nonce_hash=nonce_hash,
            spec=spec,
        )

    async def attempt_ended(self, attempt_id: AttemptId, reason: str) -> None:
        """Record that an attempt is over, and why. Idempotent: the first reason stays."""
        await self.write(task_rows.attempt_ended, attempt_id, reason)

    async def store_step(self, attempt_id: AttemptId, seq: int, step: Step) -> int:
        """Store a step; return the highest stored `seq` of the attempt: a step that is stored already changes nothing.

        Raises StepOutOfOrder if its index is not the next of the task, UnknownRow for an unknown attempt.
        """
        return await self.write(task_rows.store_step, attempt_id, seq, step)

    async def steps_of(self, task_id: TaskId) -> tuple[Step, ...]:
        """Return the steps of all attempts of a task, by index."""
        return await self.read(task_rows.steps_of, task_id)

    async def transcript_of(self, session_id: SessionId) -> tuple[Entry, ...]:
        """Return a session's conversation so far, in order."""
        return await self.read(task_rows.transcript_of, session_id)

    async def task(self, task_id: TaskId) -> TaskRow | None:
        """Return one task."""
        return await self.read(task_rows.task, task_id)

    async def beginning_of(self, row: TaskRow, people: Collection[PersonKey]) -> TaskBeginning:
        """Return what a task of these speakers is built from."""
        return await self.read(task_views.beginning_of, row, people)

    async def ending_of(self, task_id: TaskId) -> TaskEnding:
        """Return what a task's end is made of."""
        return await self.read(task_views.ending_of, task_id)

    async def messages_of(self, task_id: TaskId) -> tuple[StoredMessage, ...]:
        """Return the messages that a task answers (any state but context) and was shown (context), in order."""
        return await self.read(task_rows.messages_of, task_id)

    async def attempts_of(self, task_id: TaskId) -> tuple[AttemptRow, ...]:
        """Return a task's attempts, by number."""
        return await self.read(task_rows.attempts_of, task_id)

    async def running_tasks(self) -> tuple[TaskRow, ...]:
        """Return the tasks that have not ended, oldest first: what a restart must go on with."""
        return await self.read(task_rows.running_tasks)

    async def open_attempts(self) -> tuple[AttemptRow, ...]:
        """Return the attempts that have not ended (starting or running), oldest first."""
        return await self.read(task_rows.open_attempts)

    async def finish_task(
        self,
        task_id: TaskId,
        result: TaskResult,
        *,
        attempt_id: AttemptId | None = None,
        seq: int | None = None,
        outbound: Sequence[NewOutbound] = (),
        entries: Sequence[Entry] = (),
        message_state: Literal[MessageState.ANSWERED, MessageState.DEAD] = MessageState.ANSWERED,
        end_reason: str = "",
    ) -> bool:
        """End a task: result, outbound messages, transcript entries and the end of its messages, in one transaction.

        With `attempt_id` the attempt ends too (its `seq` counts as stored). `end_reason` defaults to the status.
        False: the task had ended before and nothing was changed.
        """
        return await self.write(
            task_rows.finish_task,
            task_id,
            result,
            attempt_id=attempt_id,
            seq=seq,
            outbound=tuple(outbound),
            entries=tuple(entries),
            message_state=message_state,
            end_reason=end_reason,
        )

    async def end_task(
        self,
        task_id: TaskId,
        build: Callable[[TaskEnding], TaskEnd],
        *,
        last_step: LastStep | None = None,
        deliveries: int = 0,
    ) -> tuple[OutboxRow, ...]:
        """Store a task's last step, end it as `build` says, and return at most so many messages that are due, claimed
        as by `claim_outbox`: all in one transaction. A task that has ended stays as it is.

        `build` is pure and called in the store's thread. Raises StepOutOfOrder, and has then changed nothing.
        """
        return await self.write(end_rows.end_task, task_id, last_step, build, deliveries)

    async def current_session(self, group_id: GroupId, chat: ChatKey) -> SessionId | None:
        """Return the session that a message in this chat would join now; None if there is none yet."""
        return await self.read(inbound_rows.current_session, group_id, chat)

    async def new_session(self, group_id: GroupId, chat: ChatKey) -> SessionId:
        """Start another session (`/new`): later messages of the chat join it, waiting ones stay in the old one."""
        return await self.write(inbound_rows.new_session, group_id, chat)

    # --- What goes out

    async def put_outbound(self, idempotency_key: str, message: OutboundMessage, task_id: TaskId | None = None) -> bool:
        """Put one message in the outbox (a notice, an answer to a command, a file while a task runs).

        False: this key had been put before and nothing was changed.
        """
        return await self.write(outbox_rows.put_outbound, idempotency_key, message, task_id)

    async def claim_outbox(self, limit: int = 100) -> tuple[OutboxRow, ...]:
        """Take what is due, at most one per chat and always its oldest, and mark it `sending` (attempts + 1)."""
        return await self.write(outbox_rows.claim_outbox, limit)

    async def next_outbox_at(self) -> datetime | None:
        """Return when the next pending row that no earlier row of its chat holds up is due; None: nothing waits."""
        return await self.read(outbox_rows.next_outbox_at)

    async def outbox_sent(self, outbox_id: int, receipt: Receipt) -> None:
        """Store the platform's receipt; the row is `sent`."""
        await self.write(outbox_rows.outbox_sent, outbox_id, receipt)

    async def outbox_failed(self, outbox_id: int, reason: str, next_try_at: datetime) -> None:
        """Put a row back to `pending` until the time given; later rows of its chat wait behind it."""
        await self.write(outbox_rows.outbox_failed, outbox_id, reason, next_try_at)

    async def outbox_dead(self, outbox_id: int, reason: str) -> None:
        """Give a row up; later rows of its chat go on."""
        await self.write(outbox_rows.outbox_dead, outbox_id, reason)

    async def recover_outbox(self) -> tuple[OutboxRow, ...]:
        """At start: put rows that were `sending` back to pending, marked `maybe_sent`; return them."""
        return await self.write(outbox_rows.recover_outbox)

    async def outbox_of(self, task_id: TaskId) -> tuple[OutboxRow, ...]:
        """Return what a task has put in the outbox, in order."""
        return await self.read(outbox_rows.outbox_of, task_id)

    # --- People, chats, pairing

    async def sender_facts(self, person: PersonKey, chat: ChatKey) -> SenderFacts:
        """Return what is known of who speaks, where."""
        return await self.read(people_rows.sender_facts, person, chat)

    async def people(self) -> tuple[Person, ...]:
        """Return all known persons, oldest first."""
        return await self.read(people_rows.people)

    async def person(self, person: PersonKey) -> Person | None:
        """Return one known person."""
        return await self.read(people_rows.person, person)

    async def save_person(self, person: PersonKey, name: str, role: Role, added_by: str) -> Person:
        """Add a person, or change name and role of one."""
        return await self.write(people_rows.save_person, person, name, role, added_by)

    async def remove_person(self, person: PersonKey) -> bool:
        """Take a person's right to speak away; False if they had none."""
        return await self.write(people_rows.remove_person, person)

    async def bind(self, binding: Binding) -> Binding:
        """Bind a chat to an agent, or change how it is bound; the time is filled in. As `is_default` it takes the place
        of the chat's default agent so far, which stays bound."""
        return await self.write(people_rows.bind, binding)

    async def unbind(self, chat: ChatKey, group_id: GroupId | None = None) -> bool:
        """Take an agent, or every agent, from a chat; False if it had none."""
        return await self.write(people_rows.unbind, chat, group_id)

    async def bindings(self, group_id: GroupId | None = None) -> tuple[Binding, ...]:
        """Return all bindings, or those of one group, oldest first."""
        return await self.read(people_rows.bindings, group_id)

    async def binding_of(self, chat: ChatKey, group_id: GroupId | None = None) -> Binding | None:
        """Return the binding that holds in a chat or thread for an agent, without one for its default agent."""
        return await self.read(people_rows.binding_of, chat, group_id)

    async def add_pairing_code(
        self, code: str, group_id: GroupId, added_by: str, *, person: PersonKey | None = None, role: Role = "owner"
    ) -> datetime:
        """Store the hash of a pairing code for one hour; return when it expires. At most `pairing.MAX_PENDING_CODES`
        wait at once: a further one ends the oldest. Who sends it gets the role; with `person`, it is that person under
        another identity."""
        return await self.write(pairing_rows.add_pairing_code, code, group_id, added_by, person=person, role=role)

    async def redeem_pairing_code(
        self, code: str, raw_id: int, inbound: InboundMessage, rehearsing: Collection[GroupId] = ()
    ) -> PairingOutcome:
        """Try a code that a person sent in a direct chat: if right, they get the code's role (or are the person who
        made it), the chat is bound, and the message is filed with an answer, all in one transaction.

        Wrong ones are counted, per person and in all; past the caps every answer is `locked`. Of the groups that are
        `rehearsing` the answer says so.
        """
        return await self.write(pairing_rows.redeem_pairing_code, code, raw_id, inbound, rehearsing)

    # --- Flags and counters

    async def is_frozen(self) -> bool:
        """Return whether everything is stopped until lifted."""
        return await self.read(overview_rows.is_frozen)

    async def needed_files(self) -> frozenset[str]:
        """Return the names of the files in inboxes and outboxes that must not go: somebody waits for them."""
        return await self.read(overview_rows.needed_files)

    async def set_frozen(self, frozen: bool, by: str) -> None:
        """Freeze or unfreeze; `by` is who asked (`cli`, a person key)."""
        await self.write(overview_rows.set_frozen, frozen, by)

    async def model_calls(self, day: str) -> Mapping[GroupId, int]:
        """Return a day's model calls by group."""
        return await self.read(usage_rows.model_calls, day)

    # --- Looking back

    async def trace(self, reference: str) -> Trace | None:
        """Return all that happened to a message or task, by its id or by the platform's id of the message."""
        return await self.read(overview_rows.trace, reference)

    async def recent_messages(self, limit: int = 20) -> tuple[StoredMessage, ...]:
        """Return the newest inbound messages, newest first."""
        return await self.read(overview_rows.recent_messages, limit)

    async def status(self) -> StoreStatus:
        """Return the counts that `/status` and `nightyard status` show."""
        return await self.read(overview_rows.status)

    async def journal_tail(self, limit: int = 100) -> tuple[JournalEntry, ...]:
        """Return the newest journal entries, oldest of them first."""
        return await self.read(journal_rows.journal_tail, limit)

    async def verify_journal(self) -> JournalCheck:
        """Check the journal's chain from its first entry to its last. Reads in pieces: others are served between."""
        check = journal_rows.ChainCheck()
        while await self.read(check.advance):
            pass
        return check.result()
