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
from runtime.store.database import Transaction
from runtime.store.inbound_rows import file_message, store_raw
from runtime.store.overview_rows import FROZEN
from runtime.store.people_rows import sender_facts
from runtime.store.records import Begun, MessageState, SenderFacts, StartOffer, StoredMessage, TakenIn
from runtime.store.task_rows import make_task, run_attempt, set_spec
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
    filed = file_message(transaction, update.raw_id, inbound, state=MessageState.QUEUED, group_id=group_id)
    if _may_begin(transaction, filed.message, offer):
        filed = replace(filed, begun=_begin(transaction, filed.message, offer))
    return TakenIn(update=update, filed=filed)


def _may_begin(transaction: Transaction, message: StoredMessage, offer: StartOffer) -> bool:
    """Return whether nothing is before the message, and no more of it is waited for: its session neither works nor has
    older messages waiting."""
    if message.state is not MessageState.QUEUED or message.group_id != offer.group_id or hold_s(message):
        return False
    before = transaction.one("found_before", frozen=FROZEN, session_id=message.session_id, seq=message.seq)
    return before is None


def _begin(transaction: Transaction, message: StoredMessage, offer: StartOffer) -> Begun:
    claim = make_task(transaction, (message,), offer.task_id, offer.attempt_id)
    people = dict.fromkeys(each.inbound.person for each in (*claim.context, *claim.messages))
    beginning = beginning_of(transaction, claim.task, people)
    task = offer.build(claim, beginning)
    if task is not None:
        place = {"door_id": offer.door_id, "container_id": offer.container_id}
        run_attempt(transaction, claim.attempt, nonce_hash=offer.nonce_hash, **place)
        set_spec(transaction, task)
    return Begun(claim=claim, beginning=beginning, task=task)
