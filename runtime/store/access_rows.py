"""Rows of who asks to be let in, of what was refused, and of where agents may send.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). What is
refused is access.py's business; a request with its cards is filed by request_rows.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import timedelta

from protocol.ids import ChatKey, GroupId, MessageId, PersonKey
from protocol.message import InboundMessage
from runtime.approvals.records import Approval
from runtime.journal import JournalKind
from runtime.people.records import AccessRequest, Destination, Refusal, Refusals, RequestKind, RequestState, Waiting
from runtime.store import inbound_rows
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append
from runtime.store.payload_text import to_text
from runtime.store.records import StoredMessage

MAX_REFUSAL_LINES = 10_000
"""Lines of refusals that are kept: one for each person, chat and reason."""
MAX_SHOWN = 200
REQUEST_LIFE: Mapping[RequestKind, timedelta] = {"person": timedelta(hours=1), "chat": timedelta(hours=24)}
MAX_PENDING_REQUESTS = 10
"""More than these of a kind do not reach an owner: a flood of strangers must not become a flood of cards."""
MAX_KEPT_CHARS = 8_000
"""What is kept whole of a message that waits for an owner's word: more than most platforms let people write."""
MAX_WAITING_MESSAGES = 20
"""So many messages of a request are kept for a yes, the last ones; those beyond are counted."""
WAITING_LIFE = timedelta(hours=24)
"""What was said longer ago than this is not answered after a yes."""


def count_refusal(transaction: Transaction, person: PersonKey, chat: ChatKey, code: str) -> None:
    """Count one refusal; a line beyond those that are kept ends the oldest."""
    line = transaction.one("count_refusal", person=person, chat=chat, code=code, now=transaction.now_text())
    if line is not None and line["refusals"] == 1:
        prune_refusals(transaction, MAX_REFUSAL_LINES)


def prune_refusals(transaction: Transaction, keep: int) -> None:
    transaction.run("drop_oldest_refusals", keep=keep)


def refusals(transaction: Transaction, limit: int) -> Refusals:
    return Refusals(
        lines=tuple(_refusal(row) for row in transaction.all("refusals", limit=min(limit, MAX_SHOWN))),
        by_code=tuple((row["code"], row["refusals"], row["last_at"]) for row in transaction.all("refusals_in_all")),
        requests=requests(transaction),
    )


def requests(transaction: Transaction) -> tuple[AccessRequest, ...]:
    """Return the requests that wait or were denied; one that has expired waits no more."""
    now = transaction.now_text()
    found = (_request(row) for row in transaction.all("requests"))
    return tuple(each for each in found if each.state != "pending" or each.expires_at > now)


def granted_requests(transaction: Transaction) -> tuple[AccessRequest, ...]:
    return tuple(_request(row) for row in transaction.all("granted_requests"))


def request_by_code(transaction: Transaction, code: str) -> AccessRequest | None:
    """Return a request that has not expired."""
    row = transaction.one("request_by_code", code=code)
    request = _request(row) if row else None
    is_over = request is not None and request.state == "pending" and request.expires_at <= transaction.now_text()
    return None if is_over else request


def request_of(transaction: Transaction, kind: RequestKind, subject: PersonKey | ChatKey) -> AccessRequest | None:
    row = transaction.one("request_by_subject", kind=kind, subject=subject)
    return _request(row) if row else None


def has_room(transaction: Transaction, kind: RequestKind) -> bool:
    """Return whether one more request may wait; those that nobody decided in time go."""
    now = transaction.now_text()
    transaction.run("drop_expired_requests", now=now)
    row = transaction.one("count_requests", kind=kind, now=now)
    return row is None or row["pending"] < MAX_PENDING_REQUESTS


def add_request(
    transaction: Transaction, asked: Approval, inbound: InboundMessage, message_id: MessageId
) -> AccessRequest:
    """Add what an owner was asked; the approval's code is the request's. A chat's request is about the chat with all
    its threads: where each question begins a thread, as on Slack, an owner is asked once."""
    transaction.run(
        "insert_request",
        code=asked.approval_id,
        kind=asked.kind,
        subject=inbound.person if asked.kind == "person" else inbound_rows.parent_chat(inbound.chat),
        person=inbound.person,
        name=inbound.sender_name,
        chat=inbound.chat,
        chat_kind=inbound.chat_kind,
        message_id=message_id,
        created_at=asked.asked_at,
        expires_at=asked.deadline_at,
    )
    payload = f"{asked.kind} {inbound.person} {inbound.chat}"
    append(transaction, JournalKind.ACCESS_ASKED, payload, message=message_id, approval=asked.approval_id)
    request = request_by_code(transaction, asked.approval_id)
    assert request is not None  # inserted above
    return request


def decide_request(transaction: Transaction, request: AccessRequest, state: RequestState, by: str) -> None:
    """Note the decision on a request; a granted one stays until its message has been taken up again."""
    transaction.run("decide_request", code=request.code, state=state)
    kind = JournalKind.ACCESS_GRANTED if state == "granted" else JournalKind.ACCESS_DENIED
    append(transaction, kind, f"{request.kind} {request.person} {request.chat} {by}", message=request.message_id)


def settle_request(transaction: Transaction, approval: Approval) -> None:
    """Note the end of the approval that a request is decided by; one that nobody decided may be made again."""
    row = transaction.one("request_by_code", code=approval.approval_id)
    if row is None:
        return
    if approval.state in ("approved", "denied"):
        state: RequestState = "granted" if approval.is_approved else "denied"
        decide_request(transaction, _request(row), state, approval.decided_by)
    else:
        drop_request(transaction, approval.approval_id)


def drop_request(transaction: Transaction, code: str) -> None:
    transaction.run("drop_request", code=code)


def drop_granted(transaction: Transaction, code: str) -> bool:
    """End a request that was granted; False if it had ended."""
    return transaction.run("drop_granted", code=code) > 0


def wait_for(transaction: Transaction, code: str, message_id: MessageId) -> tuple[StoredMessage, ...]:
    """Have a refused message wait for a request's yes; return those that do not any more, because too many do."""
    transaction.run("insert_wait", code=code, message_id=message_id)
    beyond = transaction.all("waits_beyond", code=code, keep=MAX_WAITING_MESSAGES)
    for row in beyond:
        transaction.run("drop_wait", message_id=row["message_id"])
    if beyond:
        transaction.run("count_beyond", code=code, more=len(beyond))
    return tuple(inbound_rows.read_message(row) for row in beyond)


def drop_wait(transaction: Transaction, message_id: MessageId) -> None:
    transaction.run("drop_wait", message_id=message_id)


def rewrite(transaction: Transaction, message: StoredMessage, inbound: InboundMessage) -> None:
    """Have a refused message say something else."""
    body = to_text({"inbound": inbound, "note": message.note})
    transaction.run("replace_payload", message_id=message.message_id, body=body)
    append(transaction, JournalKind.MESSAGE_REPLACED, body, message=message.message_id)


def waiting_of(transaction: Transaction, code: str) -> tuple[Waiting, ...]:
    """Return the messages that wait for a request's yes, oldest first."""
    after = time_text(transaction.now() - WAITING_LIFE)
    rows = transaction.all("waiting_of_request", code=code, after=after)
    return tuple(Waiting(message=inbound_rows.read_message(row), raw_id=row["raw_id"]) for row in rows)


def save_destination(transaction: Transaction, destination: Destination) -> Destination:
    values = {"group_id": destination.group_id, "name": destination.name, "chat": destination.chat}
    transaction.run("save_destination", **values, added_at=transaction.now_text(), added_by=destination.added_by)
    payload = f"{destination.name} {destination.chat} {destination.added_by}"
    append(transaction, JournalKind.DESTINATION_ADDED, payload, group=destination.group_id)
    return next(
        each
        for each in destinations(transaction)
        if (each.group_id, each.name) == (destination.group_id, destination.name)
    )


def remove_destination(transaction: Transaction, group_id: GroupId, name: str) -> bool:
    removed = transaction.run("remove_destination", group_id=group_id, name=name) > 0
    if removed:
        append(transaction, JournalKind.DESTINATION_REMOVED, name, group=group_id)
    return removed


def destinations(transaction: Transaction) -> tuple[Destination, ...]:
    return tuple(
        Destination(
            group_id=GroupId(row["group_id"]),
            name=row["name"],
            chat=ChatKey(row["chat"]),
            added_at=row["added_at"],
            added_by=row["added_by"],
        )
        for row in transaction.all("destinations")
    )


def chat_kind_of(transaction: Transaction, chat: ChatKey) -> str | None:
    """Return whether a chat is `direct` or one of `many`; None for one that nothing has come from."""
    row = transaction.one("chat_by_key", chat=chat)
    return row["chat_kind"] if row else None


def known_chats(transaction: Transaction, limit: int) -> tuple[ChatKey, ...]:
    """Return chats that something has come from, the newest first."""
    return tuple(ChatKey(row["chat"]) for row in transaction.all("known_chats", limit=limit))


def _request(row: sqlite3.Row) -> AccessRequest:
    return AccessRequest(
        code=row["code"],
        kind=row["kind"],
        person=PersonKey(row["person"]),
        name=row["name"],
        chat=ChatKey(row["chat"]),
        chat_kind=row["chat_kind"],
        message_id=MessageId(row["message_id"]),
        beyond=row["beyond"],
        state=row["state"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _refusal(row: sqlite3.Row) -> Refusal:
    return Refusal(
        person=PersonKey(row["person"]),
        name=row["name"],
        chat=ChatKey(row["chat"]),
        code=row["code"],
        count=row["refusals"],
        first_at=row["first_at"],
        last_at=row["last_at"],
    )
