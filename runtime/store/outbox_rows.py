"""Rows of what goes out: the outbox and the receipts.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from datetime import datetime, timedelta

from protocol.ids import ChannelId, ChatKey, PlatformMessageId, TaskId
from protocol.message import OutboundMessage, Receipt
from runtime.approvals.records import Taint
from runtime.chat_key import moved_key
from runtime.journal import JournalKind
from runtime.store.database import Transaction, time_of, time_text
from runtime.store.journal_rows import append, journal_tail
from runtime.store.payload_text import from_text, to_text
from runtime.store.records import OutboxRow

NOTICE = "undelivered:"
"""What keys of the host's own words about a delivery begin with."""


def put_outbound(
    transaction: Transaction,
    idempotency_key: str,
    message: OutboundMessage,
    task_id: TaskId | None,
    subject: str | None = None,
    *,
    taint: Taint | None = None,
) -> bool:
    """Put a message in the outbox; `subject` (default: the chat) is whose text it is. What a task says elsewhere than
    in the chat where it began may be held back first, for a review. `taint`: what the task has read, where that was
    asked for; None: as far as the store knows."""
    if transaction.one("outbox_key", idempotency_key=idempotency_key) is not None:
        return False
    message = _placed(transaction, message)
    if task_id is not None and not idempotency_key.startswith(NOTICE):
        review = transaction.one("review_of_output", task_id=task_id, chat=message.chat)
        if review is not None:
            from runtime.store.hold_rows import review_output  # late: few outputs are reviewed

            if review_output(transaction, review, idempotency_key, message, subject or message.chat, taint):
                return True
    _insert(transaction, idempotency_key, message, task_id, subject)
    return True


def is_put(transaction: Transaction, idempotency_key: str) -> bool:
    """Say whether a message of this key was put into the outbox, sent since or not."""
    return transaction.one("outbox_key", idempotency_key=idempotency_key) is not None


def insert_outbound(
    transaction: Transaction,
    idempotency_key: str,
    message: OutboundMessage,
    task_id: TaskId | None,
    subject: str | None = None,
) -> None:
    """Put a message in the outbox that nobody need look at any more."""
    _insert(transaction, idempotency_key, _placed(transaction, message), task_id, subject)


def _placed(transaction: Transaction, message: OutboundMessage) -> OutboundMessage:
    """Return a message for the chat's key as it is now: a task may have begun before its chat had another."""
    chat = chat_now(transaction, message.chat)
    return message if chat == message.chat else dataclasses.replace(message, chat=chat)


def chat_now(transaction: Transaction, chat: ChatKey) -> ChatKey:
    """Return the key that a chat has now."""
    moved = transaction.one("chat_now", chat=chat, parent=":".join(chat.split(":")[:2]))
    return moved_key(chat, ChatKey(moved["former"]), ChatKey(moved["chat"])) if moved else chat


def _insert(
    transaction: Transaction,
    idempotency_key: str,
    message: OutboundMessage,
    task_id: TaskId | None,
    subject: str | None,
) -> None:
    payload = to_text(dataclasses.replace(message, idempotency_key=idempotency_key))
    outbox_id = transaction.insert(
        "insert_outbox",
        idempotency_key=idempotency_key,
        task_id=task_id,
        channel_id=message.chat.split(":", 1)[0],
        chat=message.chat,
        payload_id=transaction.insert("insert_payload", subject=subject or message.chat, body=payload),
        now=transaction.now_text(),
    )
    append(transaction, JournalKind.OUTBOX_PENDING, payload, outbox=str(outbox_id), task=task_id)


def close_cards(transaction: Transaction, key: str) -> int:
    """Have the buttons go of what was put into chats under a key, or under keys that go on after it with a colon: what
    they were for is settled. Return of how many."""
    closed = 0
    for row in transaction.all("cards_of_key", key=key, last=f"{key}:~"):
        card, chat = row["idempotency_key"], ChatKey(row["chat"])
        if not is_put(transaction, f"{card}:close"):
            insert_outbound(transaction, f"{card}:close", OutboundMessage(chat=chat, act="close", about_key=card), None)
            closed += 1
    return closed


def claim_outbox(transaction: Transaction, limit: int) -> tuple[OutboxRow, ...]:
    rows = transaction.all("due_outbox", now=transaction.now_text(), limit=limit)
    for row in rows:
        transaction.run("take_outbox", outbox_id=row["outbox_id"])
        _note(transaction, JournalKind.OUTBOX_SENDING, row["outbox_id"])
    taken = (read_outbox(row) for row in rows)
    return tuple(dataclasses.replace(row, state="sending", attempts=row.attempts + 1) for row in taken)


def next_outbox_at(transaction: Transaction) -> datetime | None:
    row = transaction.one("next_outbox_at")
    return time_of(row["at"]) if row and row["at"] else None


def outbox_sent(transaction: Transaction, outbox_id: int, receipt: Receipt) -> None:
    now = transaction.now_text()
    if transaction.run("settle_outbox", outbox_id=outbox_id, state="sent", reason="", ended_at=now):
        transaction.run(
            "insert_receipt",
            outbox_id=outbox_id,
            platform_message_ids=to_text(receipt.platform_message_ids),
            received_at=now,
        )
        _note(transaction, JournalKind.OUTBOX_SENT, outbox_id)


def outbox_failed(transaction: Transaction, outbox_id: int, reason: str, next_try_at: datetime) -> None:
    if transaction.run("delay_outbox", outbox_id=outbox_id, reason=reason, next_try_at=time_text(next_try_at)):
        _note(transaction, JournalKind.OUTBOX_FAILED, outbox_id, reason)


def put_off(transaction: Transaction, outbox_id: int, reason: str, due_at: datetime) -> None:
    """Have a message be due later that was not tried: nothing went to its platform, so nothing is journaled."""
    transaction.run("put_off_outbox", outbox_id=outbox_id, reason=reason, next_try_at=time_text(due_at))


def bring_forward(transaction: Transaction, by: timedelta) -> None:
    """Have what waits for another try wait so much less: the clock was set back meanwhile."""
    for row in transaction.all("waiting_outbox", now=transaction.now_text()):
        next_try_at = time_text(time_of(row["next_try_at"]) - by)
        transaction.run("move_outbox", outbox_id=row["outbox_id"], next_try_at=next_try_at)


def follow_the_clock(transaction: Transaction, longest: timedelta) -> None:
    """Have nothing wait for an hour that comes twice: a clock that shows an earlier time than the journal's last entry
    was set back since. For a start, before anything is written. What would wait for more than `longest` even then is
    due now: no wait is that long."""
    now, last = transaction.now(), journal_tail(transaction, 1)
    if last and (set_back := time_of(last[-1].at) - now) > timedelta(0):
        bring_forward(transaction, set_back)
    for row in transaction.all("waiting_outbox", now=transaction.now_text()):
        if time_of(row["next_try_at"]) > now + longest:
            transaction.run("move_outbox", outbox_id=row["outbox_id"], next_try_at=time_text(now))


def outbox_dead(transaction: Transaction, outbox_id: int, reason: str) -> None:
    now = transaction.now_text()
    if transaction.run("settle_outbox", outbox_id=outbox_id, state="dead", reason=reason, ended_at=now):
        _note(transaction, JournalKind.OUTBOX_DEAD, outbox_id, reason)


def recover_outbox(transaction: Transaction) -> tuple[OutboxRow, ...]:
    now = transaction.now_text()
    rows = transaction.all("sending_outbox")
    for row in rows:
        transaction.run("recover_outbox", outbox_id=row["outbox_id"], now=now)
        _note(transaction, JournalKind.OUTBOX_RECOVERED, row["outbox_id"])
    found = (read_outbox(row) for row in rows)
    return tuple(dataclasses.replace(row, state="pending", maybe_sent=True, next_try_at=now) for row in found)


def outbox_of(transaction: Transaction, task_id: TaskId) -> tuple[OutboxRow, ...]:
    return tuple(read_outbox(row) for row in transaction.all("outbox_of_task", task_id=task_id))


def _note(transaction: Transaction, kind: JournalKind, outbox_id: int, reason: str = "") -> None:
    row = transaction.one("outbox_task", outbox_id=outbox_id)
    append(transaction, kind, reason, outbox=str(outbox_id), task=row["task_id"] if row else None)


def read_outbox(row: sqlite3.Row) -> OutboxRow:
    """Make the record of an outbox row that is joined with its payload and receipt."""
    receipt = None
    if row["platform_message_ids"] is not None:
        ids = tuple(PlatformMessageId(each) for each in json.loads(row["platform_message_ids"]))
        receipt = Receipt(platform_message_ids=ids)
    return OutboxRow(
        outbox_id=row["outbox_id"],
        idempotency_key=row["idempotency_key"],
        task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
        message=_addressed(from_text(OutboundMessage, row["body"]), ChatKey(row["chat"])),
        channel_id=ChannelId(row["channel_id"]),
        state=row["state"],
        attempts=row["attempts"],
        next_try_at=row["next_try_at"],
        created_at=row["created_at"],
        maybe_sent=bool(row["maybe_sent"]),
        reason=row["reason"],
        ended_at=row["ended_at"],
        receipt=receipt,
    )


def _addressed(message: OutboundMessage, chat: ChatKey) -> OutboundMessage:
    """Return a message with its row's chat, which goes before its payload's."""
    return message if message.chat == chat else dataclasses.replace(message, chat=chat)
