"""An update stored, its message filed and its task begun in one transaction: one wait for the disk, not four.

For a message that nothing is in the way of; whoever has a container waiting offers it (`StartOffer`). Each function is
one job: it runs inside a transaction of the writer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protocol.ids import ChannelId, GroupId
from protocol.message import InboundMessage
from runtime.bursts import hold_s
from runtime.journal import JournalKind
from runtime.store.database import Transaction
from runtime.store.inbound_rows import MessageDraft, draft_message, insert_message, store_raw
from runtime.store.journal_rows import append
from runtime.store.overview_rows import FROZEN
from runtime.store.people_rows import sender_facts
from runtime.store.records import Begun, Filed, MessageState, SenderFacts, StartOffer, StoredMessage, TakenIn
from runtime.store.task_rows import draft_claim, insert_attempt, note_task, put_task, take_context
from runtime.store.task_views import beginning_of


def take_in_and_begin(
    transaction: Transaction,
    channel_id: ChannelId,
    event_id: str,
    raw: bytes,
    inbound: InboundMessage,
    decide: Callable[[SenderFacts], GroupId | None],
    offer: StartOffer,
) -> TakenIn:
    update = store_raw(transaction, channel_id, event_id, raw)
    group_id = decide(sender_facts(transaction, inbound.person, inbound.chat)) if update is not None else None
    if update is None or group_id is None:
        return TakenIn(update=update, filed=None)
    draft = draft_message(transaction, inbound, state=MessageState.QUEUED, group_id=group_id)
    # All that is read comes before all that is written: the agent begins to think while the rest is stored.
    begun = _plan(transaction, draft.message, offer) if _may_begin(transaction, draft.message, offer) else None
    transaction.run("end_raw", raw_id=update.raw_id, state="decoded")
    if begun is None:
        message = insert_message(transaction, update.raw_id, draft)
    else:
        message, begun = _begin(transaction, update.raw_id, draft, begun, offer)
    return TakenIn(update=update, filed=Filed(message=message, first=True, begun=begun))


def _may_begin(transaction: Transaction, message: StoredMessage, offer: StartOffer) -> bool:
    """Return whether nothing is before the message, and no more of it is waited for: its session neither works nor has
    older messages waiting."""
    if message.state is not MessageState.QUEUED or message.group_id != offer.group_id or hold_s(message):
        return False
    before = transaction.one("found_before", frozen=FROZEN, session_id=message.session_id, seq=message.seq)
    return before is None


def _plan(transaction: Transaction, message: StoredMessage, offer: StartOffer) -> Begun:
    """Return what begins with the message; whoever made the offer hears of it now, and of its storing later."""
    claim = draft_claim(transaction, (message,), offer.task_id, offer.attempt_id)
    people = dict.fromkeys(each.inbound.person for each in (*claim.context, *claim.messages))
    beginning = beginning_of(transaction, claim.task, people)
    begun = Begun(claim=claim, beginning=beginning, task=offer.build(claim, beginning))
    if begun.task is not None:
        offer.when_planned(begun)
    return begun


def _begin(
    transaction: Transaction, raw_id: int, draft: MessageDraft, planned: Begun, offer: StartOffer
) -> tuple[StoredMessage, Begun]:
    """Store each row once, as it is in the end."""
    row = planned.claim.task
    put_task(transaction, row, planned.task)
    message = insert_message(transaction, raw_id, draft, row.task_id)
    note_task(transaction, row)
    append(transaction, JournalKind.MESSAGE_CLAIMED, message=message.message_id, task=row.task_id)
    claimed = replace(planned.claim.messages[0], seq=message.seq)
    claim = replace(planned.claim, messages=(claimed,))
    take_context(transaction, claim)
    insert_attempt(transaction, claim.attempt, offer if planned.task is not None else None)
    return message, replace(planned, claim=claim)
