"""What a home's documented views know of people's chats, for the oracle."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.chaos.oracle import MESSAGE_ID, ChatRecord, Ended, Sent
from tests.chaos.people import People

ENDED = frozenset({"answered", "refused", "dead"})


def ask_store(home: Path, query: str, *values: object) -> list[Any]:
    """Read the store beside its host."""
    with closing(sqlite3.connect(f"file:{home / 'store.db'}?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query, values).fetchall()


def record_of(home: Path, people: People, person: int) -> ChatRecord:
    """Return all that is known of one person's chat."""
    chat = people.chat(person)
    messages = ask_store(
        home, "SELECT text, state, end_reason, task_id FROM v_messages WHERE chat = ? ORDER BY seq", chat
    )
    outbox = ask_store(home, "SELECT text, state, attempts, maybe_sent FROM v_outbox WHERE chat = ?", chat)
    return ChatRecord(
        name=chat,
        typed=list(people.typed(person)),
        seen=list(people.seen(person)),
        ended=[
            Ended(message_id=found[0], state=state, reason=reason or "", task_id=task_id or "")
            for text, state, reason, task_id in messages
            if (found := MESSAGE_ID.search(text or ""))
        ],
        sent=[
            Sent(text=text or "", state=state, attempts=attempts, maybe_sent=bool(maybe_sent))
            for text, state, attempts, maybe_sent in outbox
        ],
    )


def is_settled(home: Path, people: People, count: int) -> bool:
    """Return whether all that was typed has its end, and nothing waits to be sent."""
    if not people.is_done() or ask_store(home, "SELECT 1 FROM v_outbox WHERE state IN ('pending', 'sending') LIMIT 1"):
        return False
    for person in range(count):
        chat = people.chat(person)
        rows = ask_store(home, "SELECT text, state FROM v_messages WHERE chat = ?", chat)
        known = {found[0]: state for text, state in rows if (found := MESSAGE_ID.search(text or ""))}
        if any(state not in ENDED for state in known.values()):
            return False
        if any(typed.is_accepted and typed.message_id not in known for typed in people.typed(person)):
            return False
    return True
