"""Rows of packed conversations: their turns and steps leave `payloads` and come back when somebody goes on with one.

What is listed, exported, searched and traced (messages, prompts, answers, names of steps) is not packed. Each function
is one job of the writer or, where it only reads, of the reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from protocol.ids import GroupId, SessionId, TaskId
from runtime.journal import JournalKind
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append

Texts = Mapping[int, str]
"""By payload."""


def archivable(transaction: Transaction, group_id: GroupId, before: datetime, limit: int) -> tuple[SessionId, ...]:
    """Return conversations of a group that ended before a time, and that nobody has used since."""
    rows = transaction.all("archivable", group_id=group_id, before=time_text(before), limit=limit)
    return tuple(SessionId(row["session_id"]) for row in rows)


def texts_of(transaction: Transaction, session_id: SessionId) -> Texts:
    """Return what is to be packed of a conversation."""
    found = {}
    for query in ("turn_texts", "step_texts"):
        found.update({row["payload_id"]: row["body"] for row in transaction.all(query, session_id=session_id)})
    return found


def pack(texts: Texts) -> bytes:
    """Return texts in one piece. For a thread."""
    import zlib  # once a day

    return zlib.compress(json.dumps(list(texts.items()), ensure_ascii=False).encode("utf-8"))


def archive(transaction: Transaction, group_id: GroupId, session_id: SessionId, texts: Texts, packed: bytes) -> bool:
    """Put a packed conversation in the place of its texts; False if it was used or changed meanwhile."""
    head = transaction.one("session_by_id", session_id=session_id)
    is_busy = transaction.one("session_is_busy", session_id=session_id) is not None
    is_packed = transaction.one("archive", session_id=session_id) is not None
    if head is None or head["is_current"] or is_busy or is_packed or texts_of(transaction, session_id) != texts:
        return False
    transaction.insert(
        "insert_archive",
        session_id=session_id,
        packed=packed,
        texts=len(texts),
        text_bytes=sum(len(text.encode("utf-8")) for text in texts.values()),
        archived_at=transaction.now_text(),
    )
    for payload_id in texts:
        transaction.run("set_body", payload_id=payload_id, body="")
    append(transaction, JournalKind.SESSION_ARCHIVED, session=session_id, group=group_id)
    return True


def unpack(transaction: Transaction, session_id: SessionId) -> bool:
    """Have a conversation's texts back where they were; False if they are there."""
    row = transaction.one("archive", session_id=session_id)
    if row is None:
        return False
    import zlib  # rare

    for payload_id, body in json.loads(zlib.decompress(row["packed"])):
        transaction.run("set_body", payload_id=payload_id, body=body)
    transaction.run("drop_archive", session_id=session_id)
    return True


def unpack_of_task(transaction: Transaction, task_id: TaskId) -> None:
    """Have the texts of a task's conversation back, before they are changed."""
    for row in transaction.all("archives_of_task", task_id=task_id):
        unpack(transaction, SessionId(row["session_id"]))


def unpack_all(transaction: Transaction) -> None:
    """Have all texts back, before something is taken out of every one."""
    for row in transaction.all("all_archives"):
        unpack(transaction, SessionId(row["session_id"]))
