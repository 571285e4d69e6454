"""Rows of search in past conversations: ended tasks as turns, and for whom a search is made.

Each function is one job of the reader.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.ids import ChatKey, GroupId, PersonKey, TaskId
from protocol.task import Effects
from runtime.recall.records import Looker, Turn
from runtime.store import task_rows
from runtime.store.database import Transaction
from runtime.store.decider_rows import decider_of

STRETCH = 20_000
"""Entries of the journal looked through at once: a few milliseconds."""
DIRECT = "direct"


def turns_after(transaction: Transaction, seq: int) -> tuple[tuple[Turn, ...], int, bool]:
    """Return what was said in tasks that ended after an entry of the journal, up to which entry that is, and whether
    there is more."""
    end = transaction.one("journal_end")
    newest = int(end["seq"]) if end else 0
    last = min(newest, seq + STRETCH)
    ended = [TaskId(row["task_id"]) for row in transaction.all("tasks_ended_after", seq=seq, last=last)]
    turns = (turn_of(transaction, task_id) for task_id in dict.fromkeys(ended))
    return tuple(turn for turn in turns if turn is not None), last, last < newest


def turn_of(transaction: Transaction, task_id: TaskId) -> Turn | None:
    """Return what was asked and answered in a task; None where nobody would look for it: a rehearsal, a summary, or one
    whose words are forgotten."""
    task = task_rows.task(transaction, task_id)
    if task is None or task.ended_at is None or transaction.one("is_summing_up", task_id=task_id) is not None:
        return None
    if task.spec is not None and task.spec.effects is not Effects.LIVE:
        return None
    said = [
        f"{message.inbound.sender_name}: {message.inbound.text}"
        for message in task_rows.messages_of(transaction, task_id)
        if message.inbound.text
    ]
    if not said and task.spec is not None and task.submission_id is not None:
        said = [task.spec.prompt]
    answer = task.result.text if task.result is not None else ""
    text = "\n\n".join(part for part in (*said, answer) if part)
    if not text:
        return None
    return Turn(task_id=task_id, group_id=task.group_id, chat=task.chat, at=task.ended_at, text=text)


def looker(transaction: Transaction, group_id: GroupId, chat: ChatKey | None) -> Looker:
    """Return who is present in the chat of a task, None: it has no chat."""
    if chat is None:
        return Looker(chats=frozenset(), sees_chatless=True)
    row = transaction.one("recall_chat", chat=chat)
    if row is None or row["chat_kind"] != DIRECT or not row["person"]:
        return Looker(chats=frozenset({chat}))
    person = PersonKey(row["person"])
    somebody = decider_of(transaction, person, None)
    if somebody.role == "owner":
        return Looker(chats=frozenset({chat}), sees_all=True)
    return Looker(chats=frozenset({chat, *_chats_of(transaction, group_id, somebody.identities or (person,))}))


def _chats_of(transaction: Transaction, group_id: GroupId, keys: Iterable[str]) -> list[ChatKey]:
    return [
        ChatKey(row["chat"]) for key in keys for row in transaction.all("chats_heard", person=key, group_id=group_id)
    ]
