"""Rows of what comes in: raw updates, messages, and the sessions they join.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace

from protocol.codec import from_json
from protocol.ids import ChannelId, ChatKey, GroupId, MessageId, PlatformMessageId, SessionId, TaskId, mint
from protocol.message import InboundMessage, OutboundMessage
from runtime.journal import JournalKind
from runtime.store import access_rows, outbox_rows
from runtime.store.database import Transaction
from runtime.store.errors import UnknownRow
from runtime.store.journal_rows import append
from runtime.store.payload_text import to_text
from runtime.store.records import Filed, MessageState, Original, QueueMode, RawUpdate, Said, StoredMessage

SHARED_CHAT = ChatKey("")
"""The chat of the session that all direct chats with a `shared` binding have in common."""
SHARED_MANY = ChatKey("many")
"""The same for chats of many people: what was said directly to the agent is not theirs to hear."""
FRESH_NOTICE = "🌱 A fresh conversation: the last one was long ago. /sessions lists the earlier ones."
"""Said where a conversation has begun by itself, to whoever speaks first in it."""
BEHIND_ALL = (1 << 63) - 1
"""The `seq` of a message that is not stored yet."""
REACTED_WITHIN = 2_000
"""A reaction finds our own message among so many of the newest: what the platform calls them is in no index."""
_NOWHERE: tuple[None, QueueMode, bool] = (None, "steer", False)


def store_raw(transaction: Transaction, channel_id: ChannelId, event_id: str, raw: bytes) -> RawUpdate | None:
    row = transaction.one(
        "insert_raw",
        channel_id=channel_id,
        event_id=event_id,
        sealed=sealed_event(transaction.key, channel_id, event_id),
        raw=raw,
        received_at=transaction.now_text(),
    )
    return _raw(row) if row else None


def sealed_event(key: bytes, channel_id: str, event_id: str) -> str:
    """Return what stands for an event of somebody forgotten: it is known again, and says nothing."""
    return f"forgotten:{hmac.digest(key, f'event{chr(0)}{channel_id}{chr(0)}{event_id}'.encode(), 'sha256').hex()}"


def pending_raws(transaction: Transaction, channels: tuple[ChannelId, ...], limit: int) -> tuple[RawUpdate, ...]:
    rows = transaction.all("pending_raws", channels=json.dumps(channels), limit=limit)
    return tuple(_raw(row) for row in rows)


def file_nothing(transaction: Transaction, raw_id: int) -> None:
    transaction.run("end_raw", raw_id=raw_id, state="nothing")


def file_dead_letter(transaction: Transaction, raw_id: int, reason: str) -> None:
    if transaction.run("kill_raw", raw_id=raw_id, reason=reason):
        append(transaction, JournalKind.RAW_DEAD, reason, raw=str(raw_id))


def file_message(
    transaction: Transaction,
    raw_id: int,
    inbound: InboundMessage,
    *,
    state: MessageState,
    group_id: GroupId | None,
    end_reason: str = "",
    note: str = "",
    notice: OutboundMessage | None = None,
    refusal: str = "",
) -> Filed:
    if not transaction.run("end_raw", raw_id=raw_id, state="decoded"):
        filed = transaction.one("message_of_raw", raw_id=raw_id)
        if filed is None:
            raise UnknownRow("pending raw update", str(raw_id))
        return Filed(message=read_message(filed), first=False)
    draft = draft_message(transaction, inbound, state=state, group_id=group_id, end_reason=end_reason, note=note)
    stored = insert_message(transaction, raw_id, draft)
    if notice is not None:
        outbox_rows.put_outbound(transaction, f"{stored.message_id}/notice", notice, None)
        if state is MessageState.REFUSED:
            transaction.run("note_refusal", person=inbound.person, chat=inbound.chat, refused_at=transaction.now_text())
    if refusal:
        access_rows.count_refusal(transaction, inbound.person, inbound.chat, refusal)
    return Filed(message=stored, first=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDraft:
    """A message as it will be stored, in a session that is there already."""

    message: StoredMessage
    """As it would be read, but for its `seq`: behind all that is stored."""
    payload: str
    is_untold: bool
    """Its session has begun by itself, and nobody has been told."""


def draft_message(
    transaction: Transaction,
    inbound: InboundMessage,
    *,
    state: MessageState,
    group_id: GroupId | None,
    end_reason: str = "",
    note: str = "",
) -> MessageDraft:
    """Return a message as it is to be stored: what is to be built from it can be built before."""
    joins = group_id is not None and state in (MessageState.QUEUED, MessageState.CONTEXT)
    session_id, mode, is_untold = _join(transaction, group_id, inbound.chat) if group_id and joins else _NOWHERE
    payload = to_text({"inbound": inbound, "note": note})
    message = StoredMessage(
        message_id=MessageId(mint("msg")),
        seq=BEHIND_ALL,
        state=state,
        group_id=group_id,
        session_id=session_id,
        inbound=_read_inbound(json.loads(payload)),
        received_at=transaction.now_text(),
        note=note,
        end_reason=end_reason,
        mode=mode,
    )
    return MessageDraft(message=message, payload=payload, is_untold=is_untold)


def insert_message(
    transaction: Transaction, raw_id: int, draft: MessageDraft, task_id: TaskId | None = None
) -> StoredMessage:
    """Store a draft; return it as it would be read: who waits for an agent waits for each statement. `task_id`: of the
    task that claims it at once; what is returned is as before that."""
    message, inbound, is_queued = draft.message, draft.message.inbound, draft.message.state is MessageState.QUEUED
    if draft.is_untold and message.session_id is not None and is_queued:
        _tell_fresh(transaction, message.session_id, inbound.chat)
    payload_id = transaction.insert("insert_payload", subject=inbound.person, body=draft.payload)
    transaction.run(
        "see_chat",
        chat=inbound.chat,
        channel_id=inbound.channel_id,
        chat_kind=inbound.chat_kind,
        person=inbound.person,
        seen_at=message.received_at,
    )
    seq = transaction.insert(
        "insert_message",
        message_id=message.message_id,
        raw_id=raw_id,
        state=message.state if task_id is None else MessageState.CLAIMED,
        task_id=task_id,
        end_reason=message.end_reason,
        channel_id=inbound.channel_id,
        chat=inbound.chat,
        person=inbound.person,
        kind=inbound.kind,
        platform_message_id=inbound.platform_message_id,
        group_id=message.group_id,
        session_id=message.session_id,
        mode=message.mode,
        payload_id=payload_id,
        received_at=message.received_at,
        ended_at=message.received_at if message.end_reason else None,
    )
    ids = {"message": message.message_id, "group": message.group_id, "session": message.session_id}
    append(transaction, JournalKind(f"message_{message.state}"), draft.payload, **ids)
    if is_queued and inbound.chat_kind == "many":
        _follow(transaction, inbound.chat, message.group_id, message.received_at)
    return replace(message, seq=seq)


def _follow(transaction: Transaction, chat: ChatKey, group_id: GroupId | None, now: str) -> None:
    """Note that an agent was spoken to, if its binding to the chat is one that follows."""
    transaction.run("follow", chat=chat, parent=parent_chat(chat), group_id=group_id, spoken_at=now)


def requeue_message(
    transaction: Transaction,
    message_id: MessageId,
    inbound: InboundMessage,
    *,
    state: MessageState,
    group_id: GroupId | None,
    end_reason: str,
    note: str,
) -> StoredMessage | None:
    """File a refused message anew, as it was decided now that its sender or chat was let in; None if it is not refused
    any more."""
    joins = group_id is not None and state in (MessageState.QUEUED, MessageState.CONTEXT)
    session_id, mode, _ = _join(transaction, group_id, inbound.chat) if group_id and joins else _NOWHERE
    now = transaction.now_text()
    changed = transaction.run(
        "requeue_message",
        message_id=message_id,
        state=state,
        reason=end_reason,
        ended_at=now if end_reason else None,
        group_id=group_id,
        session_id=session_id,
        mode=mode,
    )
    if not changed:
        return None
    payload = to_text({"inbound": inbound, "note": note})
    transaction.run("replace_payload", message_id=message_id, body=payload)
    append(
        transaction, JournalKind(f"message_{state}"), payload, message=message_id, group=group_id, session=session_id
    )
    if state is MessageState.QUEUED and inbound.chat_kind == "many":
        _follow(transaction, inbound.chat, group_id, now)
    return message(transaction, message_id)


def original_of(transaction: Transaction, inbound: InboundMessage) -> Original | None:
    """Return the message that an edit or a deletion is about."""
    row = transaction.one("original_of", platform_message_id=inbound.platform_message_id, chat=inbound.chat)
    if row is None:
        return None
    found = read_message(row)
    return Original(
        message_id=found.message_id,
        state=found.state,
        person=found.inbound.person,
        group_id=found.group_id,
        session_id=found.session_id,
        task_id=found.task_id,
        text=found.inbound.text,
        waits_for_owner=bool(row["waits_for_owner"]) and found.state is MessageState.REFUSED,
    )


def said_there(transaction: Transaction, chat: ChatKey, platform_message_id: PlatformMessageId) -> Said | None:
    """Return what a message says that somebody reacted to; None for one that is not known, or long past."""
    where = {"chat": chat, "platform_message_id": platform_message_id}
    row = transaction.one("said_by_us", **where, newest=REACTED_WITHIN) or transaction.one("said_to_us", **where)
    return Said(text=row["text"] or "", by=GroupId(row["by"]) if row["by"] else None) if row else None


def replace_waiting(transaction: Transaction, message_id: MessageId, text: str) -> bool:
    """Have a message that waits for a task say something else; False if it does not wait any more."""
    return _rewrite_waiting(transaction, message_id, lambda inbound: replace(inbound, text=text))


def withdraw_waiting(transaction: Transaction, message_id: MessageId) -> bool:
    """End a waiting message that was taken back, and keep nothing of what it said; False if it waits no more."""
    emptied = _rewrite_waiting(transaction, message_id, lambda said: replace(said, text="", quote="", attachments=()))
    return emptied and end_message(transaction, message_id, MessageState.REFUSED, "taken back by its sender")


def _rewrite_waiting(
    transaction: Transaction, message_id: MessageId, rewrite: Callable[[InboundMessage], InboundMessage]
) -> bool:
    found = message(transaction, message_id)
    if found is None or found.state is not MessageState.QUEUED:
        return False
    payload = to_text({"inbound": rewrite(found.inbound), "note": found.note})
    transaction.run("replace_payload", message_id=message_id, body=payload)
    append(transaction, JournalKind.MESSAGE_REPLACED, payload, message=message_id)
    return True


def end_message(transaction: Transaction, message_id: MessageId, state: MessageState, reason: str) -> bool:
    now = transaction.now_text()
    ended = transaction.run("end_queued_message", message_id=message_id, state=state, reason=reason, ended_at=now)
    if ended:
        append(transaction, JournalKind(f"message_{state}"), reason, message=message_id)
    return ended > 0


def end_command(transaction: Transaction, message_id: MessageId, reason: str) -> None:
    if transaction.run("end_command", message_id=message_id, reason=reason, ended_at=transaction.now_text()):
        append(transaction, JournalKind.COMMAND_DONE, reason, message=message_id)


def open_commands(transaction: Transaction) -> tuple[StoredMessage, ...]:
    return tuple(read_message(row) for row in transaction.all("open_commands"))


def message(transaction: Transaction, message_id: MessageId) -> StoredMessage | None:
    row = transaction.one("message_by_id", message_id=message_id)
    return read_message(row) if row else None


def waiting_messages(transaction: Transaction, limit: int) -> tuple[StoredMessage, ...]:
    return tuple(read_message(row) for row in transaction.all("waiting_messages", limit=limit))


def parent_chat(chat: ChatKey) -> ChatKey:
    """Return the chat that a chat is a thread of; itself, if it is none. Its bindings hold for the thread too."""
    return ChatKey(":".join(chat.split(":")[:2]))


def current_session(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> SessionId | None:
    row = _session_row(transaction, group_id, chat)
    return SessionId(row["session_id"]) if row["session_id"] is not None else None


def find_or_make_session(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> SessionId:
    """Return the current session of a group in a chat, made if there is none."""
    return _join(transaction, group_id, chat)[0]


def _join(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> tuple[SessionId, QueueMode, bool]:
    """Return the session that a message joins, made if there is none, how it is queued there, and whether somebody is
    to be told that the session has begun by itself."""
    row = _session_row(transaction, group_id, chat)
    if row["session_id"] is not None:
        return SessionId(row["session_id"]), row["mode"], bool(row["untold"])
    return _start_session(transaction, group_id, ChatKey(row["session_chat"])), row["mode"], False


def _tell_fresh(transaction: Transaction, session_id: SessionId, chat: ChatKey) -> None:
    transaction.run("told_fresh", session_id=session_id)
    outbox_rows.put_outbound(transaction, f"{session_id}/fresh", OutboundMessage(chat=chat, text=FRESH_NOTICE), None)


def new_session(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> SessionId:
    where = session_chat(transaction, group_id, chat)
    now = transaction.now_text()
    transaction.run("retire_session", group_id=group_id, chat=where, ended_by="new", ended_at=now)
    return _start_session(transaction, group_id, where)


def session_chat(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> ChatKey:
    """Return the chat whose session a chat's messages to a group join."""
    return ChatKey(_session_row(transaction, group_id, chat)["session_chat"])


def _start_session(transaction: Transaction, group_id: GroupId, where: ChatKey) -> SessionId:
    session_id = SessionId(mint("session"))
    transaction.insert(
        "insert_session",
        session_id=session_id,
        group_id=group_id,
        chat=where,
        started_at=transaction.now_text(),
    )
    append(transaction, JournalKind.SESSION_STARTED, session=session_id, group=group_id)
    return session_id


def _session_row(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> sqlite3.Row:
    """Return the chat whose session a chat's messages to a group join, that session if there is one, and their mode."""
    where = {"group_id": group_id, "chat": chat, "parent": parent_chat(chat), "many": SHARED_MANY}
    row = transaction.one("current_session", **where)
    assert row is not None  # the query always gives one
    return row


def read_message(row: sqlite3.Row) -> StoredMessage:
    """Make the record of a message's row that is joined with its payload."""
    body = json.loads(row["body"])
    return StoredMessage(
        message_id=MessageId(row["message_id"]),
        seq=row["seq"],
        state=MessageState(row["state"]),
        group_id=GroupId(row["group_id"]) if row["group_id"] is not None else None,
        session_id=SessionId(row["session_id"]) if row["session_id"] is not None else None,
        inbound=_spoken_in(_read_inbound(body), ChatKey(row["chat"])),
        received_at=row["received_at"],
        note=body["note"],
        task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
        end_reason=row["end_reason"],
        mode=row["mode"],
    )


def _read_inbound(body: dict[str, object]) -> InboundMessage:
    return from_json(InboundMessage, body["inbound"])


def _spoken_in(inbound: InboundMessage, chat: ChatKey) -> InboundMessage:
    """Return a message with its row's chat, which goes before its payload's: the chat may have another key since."""
    return inbound if inbound.chat == chat else replace(inbound, chat=chat)


def _raw(row: sqlite3.Row) -> RawUpdate:
    return RawUpdate(
        raw_id=row["raw_id"],
        channel_id=ChannelId(row["channel_id"]),
        event_id=row["event_id"],
        raw=row["raw"],
        received_at=row["received_at"],
    )
