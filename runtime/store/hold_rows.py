"""Rows of outputs that wait for a review: held back, let go, or not sent.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). What waits
is decided in `approvals/reviews.py`; who decides on it, in `approval_rows.py`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from protocol.ids import ChatKey, GroupId, PersonKey, TaskId
from protocol.message import OutboundMessage
from runtime.approvals.records import Approval, Taint, Who
from runtime.approvals.reviews import ReviewRule, SendRule, build_review, decide_review
from runtime.journal import JournalKind
from runtime.store import approval_rows
from runtime.store.database import Transaction
from runtime.store.journal_rows import append
from runtime.store.outbox_rows import insert_outbound
from runtime.store.payload_text import from_text, to_text
from runtime.store.taint_rows import taint_of

HeldState = Literal["held", "released", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMessage:
    """An output that was held back."""

    held_id: int
    idempotency_key: str
    task_id: TaskId
    message: OutboundMessage
    approval_id: str
    state: HeldState
    held_at: str
    ended_at: str | None


def review_output(
    transaction: Transaction,
    found: sqlite3.Row,
    idempotency_key: str,
    message: OutboundMessage,
    subject: str,
    known: Taint | None,
) -> bool:
    """Hold an output back where its group's rule says so; return whether it was: else it goes. `found`: the row of
    `review_of_output`; `known`: what was found out about what the task has read."""
    rule, task_id = read_rule(found), TaskId(found["task_id"])
    began_in = ChatKey(found["chat"]) if found["chat"] is not None else None
    taint = Taint() if message.chat == began_in else known or taint_of(transaction, task_id)
    constraint = None if message.chat == began_in else _send_rule(transaction, rule.group_id, message.chat)
    review = decide_review(rule, constraint, task_id=task_id, began_in=began_in, to=message.chat, taint=taint)
    if review == "go":
        return False
    is_sent = review == "sample"
    new = build_review(rule, constraint, task_id, found["submitter"], message, idempotency_key, is_sent=is_sent)
    if review == "refuse":
        approval = approval_rows.refuse(transaction, new, f"the constraint {constraint.rule_id if constraint else ''}")
    else:
        approval = approval_rows.ask(transaction, new, rule.zone)
    if review == "sample" or approval.is_approved:
        return False
    _hold(transaction, idempotency_key, message, task_id, subject, approval)
    return True


def _hold(
    transaction: Transaction,
    idempotency_key: str,
    message: OutboundMessage,
    task_id: TaskId,
    subject: str,
    approval: Approval,
) -> None:
    body, now = to_text(message), transaction.now_text()
    state: HeldState = "held" if approval.is_open else "refused"
    transaction.insert(
        "insert_held",
        idempotency_key=idempotency_key,
        task_id=task_id,
        chat=message.chat,
        subject=subject,
        payload_id=transaction.insert("insert_payload", subject=subject, body=body),
        approval_id=approval.approval_id,
        state=state,
        now=now,
        ended_at=None if state == "held" else now,
    )
    kind = JournalKind.OUTPUT_HELD if state == "held" else JournalKind.OUTPUT_REFUSED
    append(transaction, kind, body, task=task_id, approval=approval.approval_id)


def settle(transaction: Transaction, approval: Approval, *, edited: str | None) -> None:
    """Let what a review was about go, or not, in the transaction that decides it. `edited`: words to send instead."""
    is_released = approval.is_approved
    for row in transaction.all("held_of_approval", approval_id=approval.approval_id):
        state: HeldState = "released" if is_released else "refused"
        transaction.run("settle_held", held_id=row["held_id"], state=state, now=transaction.now_text())
        task_id = TaskId(row["task_id"])
        refs = {"task": task_id, "approval": approval.approval_id}
        if not is_released:
            append(transaction, JournalKind.OUTPUT_REFUSED, approval.state, **refs)
            continue
        message = from_text(OutboundMessage, row["body"])
        if edited is not None:
            message = replace(message, text=edited)
        append(transaction, JournalKind.OUTPUT_RELEASED, to_text(message), **refs)
        insert_outbound(transaction, row["idempotency_key"], message, task_id, row["subject"])


def held_of(transaction: Transaction, task_id: TaskId) -> tuple[HeldMessage, ...]:
    """Return what a task has said that was held back, in order."""
    return tuple(_held(row) for row in transaction.all("held_of_task", task_id=task_id))


def set_send_rules(transaction: Transaction, constraints: Sequence[SendRule]) -> None:
    """Go by these constraints on destinations from now on."""
    transaction.run("drop_send_rules")
    for each in constraints:
        transaction.run(
            "insert_send_rule",
            group_id=each.group_id,
            rule_id=each.rule_id,
            name=each.name,
            verdict=each.then,
            who=json.dumps(each.who),
            quorum=each.quorum,
            deadline_s=each.deadline_s,
        )


def _send_rule(transaction: Transaction, group_id: GroupId, chat: ChatKey) -> SendRule | None:
    row = transaction.one("send_rule", group_id=group_id, chat=chat)
    if row is None:
        return None
    return SendRule(
        group_id=group_id,
        rule_id=row["rule_id"],
        name=row["name"],
        then=row["verdict"],
        who=_who(row["who"]),
        quorum=row["quorum"],
        deadline_s=row["deadline_s"],
    )


def set_review_rules(transaction: Transaction, rules: Sequence[ReviewRule]) -> None:
    """Go by these rules from now on: the store itself holds back, so that no room can forget to."""
    transaction.run("drop_review_rules")
    for rule in rules:
        transaction.run(
            "insert_review_rule",
            group_id=rule.group_id,
            mode=rule.mode,
            who=json.dumps(rule.who),
            quorum=rule.quorum,
            deadline_s=rule.deadline_s,
            sample_percent=rule.sample_percent,
            zone=rule.zone,
        )


def read_rule(row: sqlite3.Row) -> ReviewRule:
    return ReviewRule(
        group_id=GroupId(row["group_id"]),
        mode=row["mode"],
        who=_who(row["who"]),
        quorum=row["quorum"],
        deadline_s=row["deadline_s"],
        sample_percent=row["sample_percent"],
        zone=row["zone"],
    )


def _who(text: str) -> Who:
    stored: Any = json.loads(text)
    if isinstance(stored, list):
        return tuple(PersonKey(key) for key in stored)
    who: Who = stored
    return who


def _held(row: sqlite3.Row) -> HeldMessage:
    return HeldMessage(
        held_id=row["held_id"],
        idempotency_key=row["idempotency_key"],
        task_id=TaskId(row["task_id"]),
        message=from_text(OutboundMessage, row["body"]),
        approval_id=row["approval_id"],
        state=row["state"],
        held_at=row["held_at"],
        ended_at=row["ended_at"],
    )
