"""Rows of approvals: what people are asked, by which cards, and how it ended.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). The rules
are `approvals/rules.py`'s; a card goes to the outbox in the transaction that asks. Whom it asks is `decider_rows.py`'s,
what they say `decision_rows.py`'s, what is remembered of that `remembered_rows.py`'s.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from protocol.ids import ChatKey, GroupId, PersonKey, TaskId
from runtime.approvals import cards, rules
from runtime.approvals.records import (
    DOOR_KINDS,
    OUTPUT_KINDS,
    Approval,
    NewApproval,
    Remembered,
    State,
    Vote,
    Who,
)
from runtime.journal import JournalKind
from runtime.refusal import OperationRefused
from runtime.store import remembered_rows
from runtime.store.database import Transaction, time_of, time_text
from runtime.store.decider_rows import chats_to_ask, may_decide
from runtime.store.journal_rows import append
from runtime.store.outbox_rows import close_cards, put_outbound
from runtime.store.payload_text import to_text

ENDS: Mapping[State, JournalKind] = {
    "approved": JournalKind.APPROVAL_APPROVED,
    "denied": JournalKind.APPROVAL_DENIED,
    "expired": JournalKind.APPROVAL_EXPIRED,
    "withdrawn": JournalKind.APPROVAL_WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An approval that the clock has reached."""

    approval: Approval
    has_run_out: bool
    """False: those asked are to be reminded."""


# --- Asking


def ask(transaction: Transaction, new: NewApproval, zone_name: str, file_path: str | None = None) -> Approval:
    """Ask, and put a card into each chat where it can be decided; or return what was asked or decided before."""
    digest = rules.digest_of(new.kind, new.group_id, new.payload)
    known = _known(transaction, new, digest)
    if known is not None:
        return known
    remembered = remembered_rows.remembered_for(transaction, new.kind, new.group_id, new.payload)
    is_flooded = remembered is None and new.kind not in DOOR_KINDS and _is_flooded(transaction, new)
    approval = _insert(transaction, new, digest, remembered)
    if remembered is None and not is_flooded:
        for chat in new.chats or chats_to_ask(transaction, approval):
            transaction.run("insert_approval_chat", approval_id=approval.approval_id, chat=chat)
            for number, card in enumerate(cards.build_card(approval, chat, zone_name, file_path)):
                put_outbound(transaction, f"approval:{approval.approval_id}:{chat}:{number}", card, None)
    return approval


def refuse(transaction: Transaction, new: NewApproval, reason: str) -> Approval:
    """Note that something was wanted that is never done, for the host's own `reason`; nobody is asked."""
    known = transaction.one("approval_by_asker_key", asker_key=new.key) if new.key else None
    if known is not None:
        return read_approval(transaction, known)
    asked = _insert(transaction, new, rules.digest_of(new.kind, new.group_id, new.payload), None)
    end(transaction, asked, "denied", reason)
    return again(transaction, asked.approval_id)


def _known(transaction: Transaction, new: NewApproval, digest: str) -> Approval | None:
    """Return the approval that this question already is: asked under the same key, waiting, or given and not used."""
    if new.key:
        row = transaction.one("approval_by_asker_key", asker_key=new.key)
        if row is not None:
            return read_approval(transaction, row)
    row = transaction.one("live_approval", digest=digest, now=transaction.now_text())
    if row is None:
        return None
    if new.origin and row["origin"] != new.origin:
        transaction.run("approval_asked_again", approval_id=row["approval_id"], origin=new.origin)
    found = read_approval(transaction, row)
    if not found.is_approved:
        return dataclasses.replace(found, origin=new.origin or found.origin)
    use(transaction, found.approval_id)
    return dataclasses.replace(found, used_at=transaction.now_text(), origin=new.origin or found.origin)


def _is_flooded(transaction: Transaction, new: NewApproval) -> bool:
    """Whether as many questions wait as a person can look at; raises OperationRefused where this one can be refused. An
    output that waits for a review cannot: it is kept without a card, and people are reminded of it."""
    row = transaction.one("waiting_in_group", group_id=new.group_id or "")
    waiting = row["waiting"] if row else 0
    if waiting < rules.MAX_WAITING_IN_GROUP:
        return False
    if new.kind in OUTPUT_KINDS:
        return True
    message = f"{waiting} questions of {new.group_id or 'this house'} wait for a decision already"
    raise OperationRefused("too_many_approvals", message, "./nightyard approvals")


def _insert(transaction: Transaction, new: NewApproval, digest: str, remembered: Remembered | None) -> Approval:
    now = transaction.now()
    approval_id = _new_id(transaction)
    deadline_at = now + timedelta(seconds=new.deadline_s)
    remind_at = rules.next_reminder(now, deadline_at, 0) if remembered is None else None
    body = to_text({"payload": new.payload, "summary": new.summary, "lines": list(new.lines)})
    state: State = "waiting" if remembered is None else "approved" if remembered.is_yes else "denied"
    ended_at = None if remembered is None else time_text(now)
    transaction.run(
        "insert_approval",
        approval_id=approval_id,
        kind=new.kind,
        group_id=new.group_id or "",
        task_id=new.task_id,
        digest=digest,
        payload_id=transaction.insert("insert_payload", subject=new.subject or new.group_id or "house", body=body),
        who=json.dumps(new.who),
        quorum=new.quorum,
        scopes=json.dumps(new.scope_offers),
        asker_key=new.key or None,
        origin=new.origin,
        state=state,
        reason="" if remembered is None else f"what {remembered.by} decided in {remembered.approval_id}",
        remind_at=time_text(remind_at) if remind_at else None,
        asked_at=time_text(now),
        deadline_at=time_text(deadline_at),
        ended_at=ended_at,
        told_at=ended_at,
        used_at=ended_at if state == "approved" else None,
    )
    refs = {"approval": approval_id, "group": new.group_id, "task": new.task_id}
    append(transaction, JournalKind.APPROVAL_ASKED, body, **refs)
    if remembered is not None:
        append(transaction, ENDS[state], remembered.by, **refs, remembered_of=remembered.approval_id)
        first = approval(transaction, remembered.approval_id)
        if first is not None and first.because and state == "denied":
            transaction.run("approval_because", approval_id=approval_id, because=first.because)
    stored = approval(transaction, approval_id)
    assert stored is not None  # stored above
    return stored


def _new_id(transaction: Transaction) -> str:
    while True:
        approval_id = rules.make_approval_id(os.urandom(5))
        if transaction.one("approval", approval_id=approval_id) is None:
            return approval_id


# --- Ending


def withdraw(transaction: Transaction, approval_id: str, reason: str) -> bool:
    """End a question that nobody waits for any more; False if it had ended."""
    asked = approval(transaction, approval_id)
    if asked is None or not asked.is_open:
        return False
    end(transaction, asked, "withdrawn", reason)
    return True


def withdraw_of_task(transaction: Transaction, task_id: TaskId, reason: str, *, is_stopped: bool) -> int:
    """Withdraw the open questions that a task's end takes along; return how many there were."""
    rows = transaction.all("waiting_of_task", task_id=task_id, is_stopped=is_stopped)
    waiting = [row["approval_id"] for row in rows]
    return sum(withdraw(transaction, approval_id, reason) for approval_id in waiting)


def use(transaction: Transaction, approval_id: str) -> bool:
    """Let go what was approved; False if it was let go before, or is not approved."""
    used = transaction.run("approval_used", approval_id=approval_id, now=transaction.now_text()) > 0
    if used:
        append(transaction, JournalKind.APPROVAL_USED, "", approval=approval_id)
    return used


def told(transaction: Transaction, approval_id: str) -> None:
    transaction.run("approval_told", approval_id=approval_id, now=transaction.now_text())


def end(transaction: Transaction, asked: Approval, state: State, reason: str, *, edited: str | None = None) -> None:
    """End a question, with what hangs on it. `edited`: what a reviewer wants said instead."""
    transaction.run(
        "end_approval", approval_id=asked.approval_id, state=state, reason=reason, now=transaction.now_text()
    )
    refs = {"approval": asked.approval_id, "group": asked.group_id, "task": asked.task_id}
    append(transaction, ENDS[state], reason, **refs)
    close_cards(transaction, f"approval:{asked.approval_id}")
    if asked.kind in OUTPUT_KINDS:
        from runtime.store.hold_rows import settle  # late: it knows of asking, too

        if edited is not None:
            transaction.run("approval_edited", approval_id=asked.approval_id, edited=edited)
        settle(transaction, again(transaction, asked.approval_id), edited=edited)
    elif asked.kind in DOOR_KINDS:
        from runtime.store.access_rows import settle_request  # late: people's rows know of approvals, too

        settle_request(transaction, again(transaction, asked.approval_id))


# --- The clock


def take_due(transaction: Transaction, zone_name: str) -> tuple[Due, ...]:
    """End what has run out, put reminders into the outbox; return what was done."""
    transaction.run("forget_old_decisions", now=transaction.now_text())
    return tuple(_take_due(transaction, zone_name))


def _take_due(transaction: Transaction, zone_name: str) -> Iterator[Due]:
    now = transaction.now_text()
    for row in transaction.all("due_approvals", now=now):
        asked = read_approval(transaction, row)
        if asked.deadline_at <= now:
            end(transaction, asked, "expired", "")
            yield Due(approval=again(transaction, asked.approval_id), has_run_out=True)
            continue
        reminders = row["reminders"] + 1
        following = rules.next_reminder(time_of(asked.asked_at), time_of(asked.deadline_at), reminders)
        transaction.run(
            "approval_reminded",
            approval_id=asked.approval_id,
            remind_at=time_text(following) if following else None,
        )
        for chat in chats_of(transaction, asked.approval_id) or chats_to_ask(transaction, asked):
            reminder = cards.build_reminder(asked, chat, zone_name)
            put_outbound(transaction, f"approval:{asked.approval_id}:{chat}:reminder:{reminders}", reminder, None)
        yield Due(approval=asked, has_run_out=False)


def next_at(transaction: Transaction) -> str | None:
    row = transaction.one("next_approval_at")
    return row["at"] if row else None


# --- Reading


def approval(transaction: Transaction, approval_id: str) -> Approval | None:
    row = transaction.one("approval", approval_id=approval_id)
    return read_approval(transaction, row) if row is not None else None


def find(transaction: Transaction, reference: str) -> Approval | None:
    """Return an approval by its code, as people type it, or by what another process knows it by."""
    found = approval(transaction, rules.normal_id(reference))
    if found is not None:
        return found
    row = transaction.one("approval_by_origin", origin=reference)
    return read_approval(transaction, row) if row is not None else None


def waiting(transaction: Transaction, by: str | None = None) -> tuple[Approval, ...]:
    """Return what waits; `by`: only what this person may decide."""
    found = tuple(read_approval(transaction, row) for row in transaction.all("waiting_approvals"))
    return found if by is None else tuple(each for each in found if may_decide(transaction, each, by))


def ended(transaction: Transaction, limit: int) -> tuple[Approval, ...]:
    return tuple(read_approval(transaction, row) for row in transaction.all("ended_approvals", limit=limit))


def untold(transaction: Transaction) -> tuple[Approval, ...]:
    return tuple(read_approval(transaction, row) for row in transaction.all("untold_approvals"))


def chats_of(transaction: Transaction, approval_id: str) -> tuple[ChatKey, ...]:
    return tuple(ChatKey(row["chat"]) for row in transaction.all("approval_chats", approval_id=approval_id))


def unknown(reference: str) -> OperationRefused:
    message = f"there is no approval {reference[:40]!r}"
    return OperationRefused("approval_unknown", message, "./nightyard approvals")


def again(transaction: Transaction, approval_id: str) -> Approval:
    """Return an approval that there is, as it stands now."""
    found = approval(transaction, approval_id)
    assert found is not None  # approvals are never deleted
    return found


def read_approval(transaction: Transaction, row: sqlite3.Row) -> Approval:
    stored = json.loads(row["body"])
    body: dict[str, Any] = stored if isinstance(stored, dict) else {}  # its texts may have been forgotten
    who: Any = json.loads(row["who"])
    votes = transaction.all("votes_of", approval_id=row["approval_id"])
    return Approval(
        approval_id=row["approval_id"],
        kind=row["kind"],
        group_id=GroupId(row["group_id"]) or None,
        task_id=TaskId(row["task_id"]) if row["task_id"] is not None else None,
        digest=row["digest"],
        payload=body.get("payload"),
        summary=body.get("summary") or "(forgotten)",
        lines=tuple(body.get("lines") or ()),
        because=body.get("because") or "",
        edited=body.get("edited"),
        who=_who(who),
        quorum=row["quorum"],
        scope_offers=tuple(json.loads(row["scopes"])),
        origin=row["origin"],
        state=row["state"],
        reason=row["reason"],
        asked_at=row["asked_at"],
        deadline_at=row["deadline_at"],
        ended_at=row["ended_at"],
        votes=tuple(
            Vote(voter=vote["voter"], by=vote["by"], is_yes=bool(vote["is_yes"]), voted_at=vote["voted_at"])
            for vote in votes
        ),
        used_at=row["used_at"],
    )


def _who(stored: Any) -> Who:
    if isinstance(stored, list):
        return tuple(PersonKey(key) for key in stored)
    who: Who = stored
    return who
