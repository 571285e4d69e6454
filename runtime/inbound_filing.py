"""From a decoded message to a filed one: its sender is looked up, access.py decides, and that is carried out.

In what order messages are filed is intake.py's business. What is taken up again after an owner's yes comes through here
too, and is decided on as if it were new.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from channels.channel import Channel
from protocol.ids import ChannelId, ChatKey, GroupId, TaskId
from protocol.message import Attachment, InboundMessage, OutboundMessage
from runtime.access import (
    STRANGER,
    Admission,
    TryCode,
    decide_access,
    decide_after_code,
    wants_spent,
)
from runtime.inbound_files import Fetched, fetch_files
from runtime.inbound_text import shorten
from runtime.insist import insist
from runtime.people.cards import OTHERS_THERE, TOO_MANY_WAITED
from runtime.people.records import AccessRequest, AskOwner, Waiting
from runtime.store import access_rows, admit_rows, change_rows, inbound_rows, request_rows, usage_rows
from runtime.store.records import Filed, MessageState, Original, PersonLimits, RawUpdate, SenderFacts, StoredMessage
from runtime.store.store import Store
from runtime.voice.heard import Heard

log = logging.getLogger(__name__)

QUOTED_CHARS = 300
"""What an edit, a deletion or a reaction shows the agent of the message that it is about."""

T = TypeVar("T")


class Patience(Protocol):
    """Waits for something; None: something more urgent came."""

    async def __call__(self, work: Callable[[], Awaitable[T]], /) -> T | None: ...


class AnswerDesk(Protocol):
    """The part of `asks.questions.UserQuestions` that messages come to."""

    def waits_in(self, chat: ChatKey) -> bool:
        """Return whether a message of this chat may be an answer."""

    async def file(self, raw_id: int, inbound: InboundMessage, group_id: GroupId, note: str) -> Filed | None:
        """File a message to an agent as the answer that it is; None for one that is none."""


class VoiceDesk(Protocol):
    """The part of `voice.transcriber.Transcriber` that voice notes come to."""

    def listens(self, group_id: GroupId) -> bool: ...
    async def hear(
        self, group_id: GroupId, inbound: InboundMessage, inbox: Path, voices: Sequence[Attachment]
    ) -> Heard: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FilingDesk:
    """What filing takes from the rest of the host."""

    store: Store
    channels: Callable[[], Mapping[ChannelId, Channel]]
    groups: Callable[[], Mapping[GroupId, PersonLimits]]
    """The agents that there are, with what each takes from one person."""
    inbox: Callable[[GroupId], Path]
    max_file_bytes: Callable[[], int]
    rehearsing: Callable[[], Collection[GroupId]]
    outbox: Callable[[], None]
    """Something was put into the outbox."""
    changed: Callable[[TaskId, StoredMessage], None]
    """A message that a running task works on was edited or taken back; the one given says so, as context."""
    replaced: Callable[[Original], None]
    """A waiting message says something else now."""
    withdrawn: Callable[[Original], None]
    """A waiting message was taken back: it is not queued any more."""
    queued: Callable[[StoredMessage], None]
    """A message that waited for an owner's yes is queued now."""
    usual_group: Callable[[ChannelId], GroupId | None] = lambda _: None
    """The agent that a channel's settings name."""
    answers: AnswerDesk | None = None
    """Who takes messages that answer an agent's question; None: nobody."""
    voices: VoiceDesk | None = None
    """Who has voice notes transcribed; None: nobody."""
    zone_name: Callable[[], str] = lambda: "UTC"
    """Of the times on owners' cards."""
    fetch_timeout_s: float = 120.0


class Filing:
    """Decides on messages and files them."""

    def __init__(self, desk: FilingDesk) -> None:
        self._desk = desk

    def group_at_once(self, inbound: InboundMessage, facts: SenderFacts) -> GroupId | None:
        """Return the group that a message is queued for, None if anything else becomes of it. Waits for nothing."""
        groups = self._desk.groups()
        if (
            facts.granted
            or wants_spent(inbound, facts, groups)
            or (self._desk.answers and self._desk.answers.waits_in(inbound.chat))
        ):
            return None
        decision = decide_access(inbound, facts, now=datetime.now(UTC), groups=groups)
        if isinstance(decision, TryCode) or decision.state is not MessageState.QUEUED or decision.notice:
            return None
        return decision.group_id

    async def file(self, update: RawUpdate, inbound: InboundMessage, patience: Patience | None = None) -> Filed:
        """Decide on a message and file it."""
        while True:
            facts = await self._facts(inbound)
            decision = decide_access(inbound, facts, now=datetime.now(UTC), groups=self._desk.groups())
            if isinstance(decision, TryCode):
                return await self._try_code(update, inbound, facts, decision.code, patience)
            if facts.granted and decision.state in (MessageState.QUEUED, MessageState.CONTEXT):
                await self._take_up_first(facts.granted)
                continue
            filed = await self._carry_out(update, inbound, facts, decision, patience)
            if filed is not None:
                return filed

    async def _facts(self, inbound: InboundMessage) -> SenderFacts:
        facts = await self._desk.store.sender_facts(inbound.person, inbound.chat)
        if inbound.kind in ("edit", "delete"):
            facts = replace(facts, original=await self._desk.store.read(inbound_rows.original_of, inbound))
        if inbound.kind == "reaction" and inbound.reply_to is not None and facts.person is not None:
            about = await self._desk.store.read(inbound_rows.said_there, inbound.chat, inbound.reply_to)
            facts = replace(facts, about=about)
        if facts.person is not None and wants_spent(inbound, facts, self._desk.groups()):
            spent = await self._desk.store.read(usage_rows.payer_day, facts.person.person)
            facts = replace(facts, spent=spent)
        return facts

    async def _try_code(
        self, update: RawUpdate, inbound: InboundMessage, facts: SenderFacts, code: str, patience: Patience | None
    ) -> Filed:
        rehearsing = self._desk.rehearsing()
        outcome = await insist(
            lambda: self._desk.store.redeem_pairing_code(code, update.raw_id, inbound, rehearsing), "a pairing"
        )
        if outcome.filed is not None:
            self._desk.outbox()
            return outcome.filed
        groups = self._desk.groups()
        decision = decide_after_code(outcome.kind, inbound, facts, now=datetime.now(UTC), groups=groups)
        return await self._carry_out(update, inbound, facts, decision, patience) or await self.file(update, inbound)

    async def _carry_out(
        self,
        update: RawUpdate,
        inbound: InboundMessage,
        facts: SenderFacts,
        decision: Admission,
        patience: Patience | None,
    ) -> Filed | None:
        """File a message as it was decided; None: what it changes is not as it was, and it must be decided anew."""
        if decision.asks is not None:
            return await self._ask(update, inbound, decision)
        if decision.change:
            return await self._change(update, inbound, facts, decision)
        if facts.about is not None and not inbound.quote:
            inbound = replace(inbound, quote=shorten(replace(inbound, text=facts.about.text), QUOTED_CHARS).text)
        note = ""
        if inbound.pending_files:
            inbound, note = await self._with_files(update.raw_id, inbound, decision, patience)
        if decision.state is MessageState.QUEUED and decision.group_id is not None and self._desk.answers is not None:
            answer = await self._desk.answers.file(update.raw_id, inbound, decision.group_id, note)
            if answer is not None:
                return answer
        if decision.state is MessageState.REFUSED:
            inbound = shorten(inbound, request_rows.MAX_REFUSED_CHARS)
        notice = OutboundMessage(chat=inbound.chat, text=decision.notice) if decision.notice else None
        filed = await insist(
            lambda: self._desk.store.file_message(
                update.raw_id,
                inbound,
                state=decision.state,
                group_id=decision.group_id,
                end_reason=decision.reason,
                note=note,
                notice=notice,
                refusal=decision.refusal,
            ),
            "a message",
        )
        if notice is not None:
            self._desk.outbox()
        return filed

    async def _change(
        self, update: RawUpdate, inbound: InboundMessage, facts: SenderFacts, decision: Admission
    ) -> Filed | None:
        """File an edit or a deletion, with what it does to the message that it is about."""
        original = facts.original
        assert original is not None  # nothing else is changed by a message
        quote = inbound.quote or shorten(replace(inbound, text=original.text), QUOTED_CHARS).text
        said = replace(inbound, quote=quote, pending_files=())
        filed = await insist(
            lambda: self._desk.store.write(
                change_rows.file_change,
                update.raw_id,
                said,
                original,
                change=decision.change,
                state=decision.state,
                end_reason=decision.reason,
            ),
            "a change of a message",
        )
        if filed is None or not filed.first:
            return filed
        if original.waits_for_owner:
            return filed
        if decision.change == "replace":
            self._desk.replaced(original)
        elif decision.change == "withdraw":
            self._desk.withdrawn(original)
        elif decision.change == "tell" and original.task_id is not None:
            self._desk.changed(original.task_id, filed.message)
        return filed

    async def _ask(self, update: RawUpdate, inbound: InboundMessage, decision: Admission) -> Filed | None:
        """File a refused message and ask the owners about it; None: they have said yes meanwhile. Its files stay with
        the platform until there is a yes."""
        assert decision.asks is not None
        groups = self._choices(inbound.channel_id)
        ask = AskOwner(kind=decision.asks, groups=groups, zone_name=self._desk.zone_name())
        filed = await insist(
            lambda: self._desk.store.write(
                request_rows.file_and_ask,
                update.raw_id,
                inbound,
                ask,
                group_id=decision.group_id,
                end_reason=decision.reason,
                notice=decision.notice,
                refusal=decision.refusal,
            ),
            "a message",
        )
        self._desk.outbox()
        return filed

    def _choices(self, channel_id: ChannelId) -> tuple[GroupId, ...]:
        """Return the agents that there are, the one that the channel's settings name first."""
        usual = self._desk.usual_group(channel_id)
        return tuple(sorted(self._desk.groups(), key=lambda group_id: (group_id != usual, group_id)))

    async def _take_up_first(self, code: str) -> None:
        """File what waited for a yes that was said a moment ago, before what is said after it. Its own turn in the lane
        comes behind the message at hand, and finds nothing left."""
        request = await self._desk.store.read(access_rows.request_by_code, code)
        if request is not None and request.state == "granted":
            for message in await self.take_up(request):
                self._desk.queued(message)

    async def take_up(self, request: AccessRequest) -> tuple[StoredMessage, ...]:
        """Decide anew on the messages that waited for a request that was granted, and file them so, oldest first;
        return those that are queued now.

        Harmless to do twice. The request is over with it.
        """
        store = self._desk.store
        queued, refused = [], ""
        for waiting in await store.read(access_rows.waiting_of, request.code):
            decision = await self._decide_again(waiting)
            if decision.state in (MessageState.QUEUED, MessageState.CONTEXT):
                taken_up = await self._requeue(waiting.message, decision, waiting.raw_id)
                queued += [taken_up] if taken_up is not None and taken_up.state is MessageState.QUEUED else []
            elif decision.state is MessageState.REFUSED:
                refused = refused or decision.refusal
        words = TOO_MANY_WAITED.format(count=request.beyond) if request.beyond else ""
        if refused == STRANGER:
            words = f"{words}\n{OTHERS_THERE}".strip()
        told = OutboundMessage(chat=request.chat, text=words) if words else None
        await insist(partial(store.write, admit_rows.end_request, request, told), "a request")
        self._desk.outbox()
        return tuple(queued)

    async def _decide_again(self, waiting: Waiting) -> Admission:
        inbound = waiting.message.inbound
        facts = replace(await self._facts(inbound), pairing_pending=False, refused_at=None)
        decision = decide_access(inbound, facts, now=datetime.now(UTC), groups=self._desk.groups())
        assert isinstance(decision, Admission)  # a code needs a pending one
        return decision

    async def _requeue(self, message: StoredMessage, decision: Admission, raw_id: int) -> StoredMessage | None:
        inbound, note = message.inbound, ""
        if inbound.pending_files:
            inbound, note = await self._with_files(raw_id, inbound, decision, None)
        return await insist(
            partial(
                self._desk.store.write,
                inbound_rows.requeue_message,
                message.message_id,
                inbound,
                state=decision.state,
                group_id=decision.group_id,
                end_reason=decision.reason,
                note=note,
            ),
            "a message",
        )

    async def _with_files(
        self, raw_id: int, inbound: InboundMessage, decision: Admission, patience: Patience | None
    ) -> tuple[InboundMessage, str]:
        """Return the message with its files fetched, and the note on those that are missing."""
        channel = self._desk.channels().get(inbound.channel_id)
        is_wanted = decision.state in (MessageState.QUEUED, MessageState.CONTEXT)
        if not is_wanted or decision.group_id is None or channel is None:
            return replace(inbound, pending_files=()), ""
        fetching = partial(
            fetch_files,
            channel,
            inbound.pending_files,
            self._desk.inbox(decision.group_id),
            raw_id=raw_id,
            max_bytes=self._desk.max_file_bytes(),
            timeout_s=self._desk.fetch_timeout_s,
        )
        fetched = await (patience(fetching) if patience is not None else fetching())
        if fetched is None:
            return replace(inbound, pending_files=()), "Its files were not fetched: /stop came after it."
        attachments = (*inbound.attachments, *fetched.attachments)
        words, note = await self._words_of(fetched, inbound, decision, patience)
        text = "\n\n".join(filter(None, (inbound.text, words)))
        return replace(inbound, text=text, attachments=attachments, pending_files=()), note

    async def _words_of(
        self, fetched: Fetched, inbound: InboundMessage, decision: Admission, patience: Patience | None
    ) -> tuple[str, str]:
        """Return what voice notes say that are meant for an agent, and the note on its files. What is only overheard
        is not sent to anybody."""
        desk, group_id = self._desk.voices, decision.group_id
        is_asked = decision.state is MessageState.QUEUED and group_id is not None
        if not fetched.voices or desk is None or not is_asked or group_id is None or not desk.listens(group_id):
            return "", fetched.note
        hearing = partial(desk.hear, group_id, inbound, self._desk.inbox(group_id), fetched.voices)
        heard = await (patience(hearing) if patience is not None else hearing())
        if heard is None:
            heard = Heard(words="", note="Its voice note was not transcribed: /stop came after it.")
        return heard.words, "\n".join(filter(None, (fetched.note, heard.note)))
