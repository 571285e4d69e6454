"""Rows of people's answers to agents: a message that is one is its task's at once, and never waits for another.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protocol.ids import GroupId, PersonKey, TaskId
from protocol.link import Answered
from protocol.message import InboundMessage
from runtime.access import TERMINAL
from runtime.asks.answers import Answerer
from runtime.journal import JournalKind
from runtime.store import inbound_rows, people_rows, question_rows, task_rows
from runtime.store.database import Transaction
from runtime.store.journal_rows import append
from runtime.store.records import Filed, MessageState, StoredMessage

KIND = "question"
"""The kind of an agent's question that a person answers."""


def file_answer(
    transaction: Transaction,
    raw_id: int,
    inbound: InboundMessage,
    group_id: GroupId,
    *,
    note: str,
    task_id: TaskId,
    call_id: str,
    words: Callable[[StoredMessage], str],
) -> tuple[Filed, Answered] | None:
    """File a message as the answer to an open question; None if that waits no more, and nothing was changed."""
    known, row = question_rows.question(transaction, task_id, call_id), task_rows.task(transaction, task_id)
    if known is None or known.state != "open" or row is None or row.state not in ("running", "suspended"):
        return None
    filed = inbound_rows.file_message(
        transaction, raw_id, inbound, state=MessageState.QUEUED, group_id=group_id, note=note
    )
    answered = Answered(call_id=call_id, answer=words(filed.message))
    if not filed.first:
        return filed, answered
    message_id = filed.message.message_id
    transaction.run("claim_message", message_id=message_id, task_id=task_id)
    append(transaction, JournalKind.MESSAGE_CLAIMED, message=message_id, task=task_id)
    question_rows.answer(transaction, task_id, answered)
    claimed = replace(filed.message, state=MessageState.CLAIMED, task_id=task_id)
    return replace(filed, message=claimed), answered


def answerer(transaction: Transaction, by: PersonKey) -> Answerer:
    """Return somebody as far as answering concerns them."""
    known = people_rows.person(transaction, by)
    is_owner = by.startswith(f"{TERMINAL}:") or (known is not None and known.role == "owner")
    return Answerer(person=known.person if known is not None else by, is_owner=is_owner)


def askers_of(transaction: Transaction, task_id: TaskId) -> frozenset[PersonKey]:
    """Return whose task it is: who wrote the messages that it answers."""
    said = (each for each in task_rows.messages_of(transaction, task_id) if each.state is MessageState.CLAIMED)
    return frozenset(answerer(transaction, each.inbound.person).person for each in said)


def asked_before(transaction: Transaction, task_id: TaskId) -> int:
    """Return how many questions a task has asked people, the open one too."""
    return sum(each.ask.kind == KIND for each in question_rows.questions_of(transaction, task_id))
