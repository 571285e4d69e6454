"""Rows of what agents send of their own accord: once for a call, counted, and found again by the agent's name for it.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). What may be
sent is decided in `asks/send_rules.py`, what waits for a review in `hold_rows.py`.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from protocol.ids import ChatKey, GroupId, PlatformMessageId, TaskId
from protocol.message import OutboundMessage
from runtime.approvals.records import Taint
from runtime.asks.send_rules import SendCounts, SendKind, check_counts
from runtime.store.database import Transaction, time_text
from runtime.store.inbound_rows import read_message
from runtime.store.outbox_rows import put_outbound
from runtime.store.records import StoredMessage

MINUTE = timedelta(minutes=1)
OutputState = Literal["pending", "sending", "sent", "dead", "held", "refused", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What an agent has sent, and where it is now."""

    send_id: int
    kind: SendKind
    chat: ChatKey
    outbox_key: str
    state: OutputState
    """`gone`: no message of this key is known any more."""
    platform_ids: tuple[PlatformMessageId, ...] = ()

    @property
    def ref(self) -> str:
        """What the agent calls it."""
        return f"s{self.send_id}"


def send(
    transaction: Transaction,
    task_id: TaskId,
    group_id: GroupId,
    call_id: str,
    *,
    kind: SendKind,
    message: OutboundMessage,
    outbox_key: str,
    taint: Taint | None = None,
) -> Sent:
    """Put what a call sends into the outbox, or hold it back for a review; the same call again is what it was. Raises
    OperationRefused where it is too much."""
    known = transaction.one("send_of_call", task_id=task_id, call_id=call_id)
    if known is None:
        now = transaction.now()
        counts = transaction.one("count_sends", task_id=task_id, group_id=group_id, since=time_text(now - MINUTE))
        assert counts is not None  # counts always give a row
        check_counts(kind, SendCounts(**{name: counts[name] for name in counts.keys()}))  # noqa: SIM118 - a row's
        put_outbound(transaction, outbox_key, message, task_id, taint=taint)
        transaction.insert(
            "insert_send",
            task_id=task_id,
            call_id=call_id,
            group_id=group_id,
            kind=kind,
            chat=message.chat,
            outbox_key=outbox_key,
            now=time_text(now),
        )
        known = transaction.one("send_of_call", task_id=task_id, call_id=call_id)
        assert known is not None  # inserted above
    return _sent(transaction, known)


def sent(transaction: Transaction, group_id: GroupId, send_id: int) -> Sent | None:
    """Return what an agent of the group has sent under a number."""
    row = transaction.one("send_by_number", send_id=send_id, group_id=group_id)
    return _sent(transaction, row) if row is not None else None


def received(transaction: Transaction, seq: int) -> StoredMessage | None:
    """Return the message of a number that somebody sent."""
    row = transaction.one("message_by_seq", seq=seq)
    return read_message(row) if row is not None else None


def where_is(transaction: Transaction, outbox_key: str) -> tuple[OutputState, tuple[PlatformMessageId, ...]]:
    """Return where the message of a key is, and what its platform calls it once it is there."""
    row = transaction.one("state_of_output", key=outbox_key)
    if row is None:
        return "gone", ()
    ids = json.loads(row["platform_message_ids"]) if row["platform_message_ids"] is not None else ()
    return row["state"], tuple(PlatformMessageId(each) for each in ids)


def _sent(transaction: Transaction, row: sqlite3.Row) -> Sent:
    state, platform_ids = where_is(transaction, row["outbox_key"])
    return Sent(
        send_id=row["send_id"],
        kind=row["kind"],
        chat=ChatKey(row["chat"]),
        outbox_key=row["outbox_key"],
        state=state,
        platform_ids=platform_ids,
    )
