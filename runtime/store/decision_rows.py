"""Rows of people's words about approvals: counted, and the last one carried out.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). Whose word
counts is `approvals/rules.py`'s; what is asked and how it ends, `approval_rows.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.approvals import cards, rules
from runtime.approvals.records import LASTING_KINDS, Approval, Decision, Scope
from runtime.approvals.reviews import takes_words
from runtime.approvals.scopes import expires_at
from runtime.journal import JournalKind
from runtime.refusal import OperationRefused
from runtime.store import approval_rows, remembered_rows
from runtime.store.database import Transaction
from runtime.store.decider_rows import Decider, decider_of
from runtime.store.journal_rows import append

CarryOut = Callable[[Transaction], object]
"""Does what was approved; raises where that cannot be, and then nothing is decided."""


def decide(
    transaction: Transaction,
    approval_id: str,
    by: str,
    *,
    is_yes: bool,
    remember: Scope | None,
    edited: str | None,
    because: str,
    zone_name: str,
    carry_out: CarryOut | None = None,
) -> Decision:
    """Count somebody's word; raise OperationRefused where it does not count, and then nothing is changed. `edited`:
    what a reviewer wants said instead. `carry_out`: what a last yes does, in the same transaction."""
    asked = _asked(transaction, approval_id)
    if edited is not None and not (is_yes and takes_words(asked)) and not cards.is_sent(asked):
        message = f"{approval_id} is no output of which one person could change the words"
        raise OperationRefused("cannot_edit", message)
    decider, judged = _judge(transaction, asked, by, is_yes=is_yes)
    now = transaction.now_text()
    scope = remember or Scope(until="once" if is_yes else "day")
    if asked.kind in LASTING_KINDS and (remember is None or remember.until == "once"):
        scope = Scope(word=scope.word, until="always")
    remembered_rows.reach(asked, scope)  # raises where there is none, before anything is counted
    if edited is not None and cards.is_sent(asked):
        raise OperationRefused("cannot_edit", f"{approval_id} has been sent: other words come too late")
    if is_yes and asked.quorum > 1 and scope.until != "once":
        message = (
            f"{approval_id} wants {asked.quorum} persons each time: one's yes cannot be remembered for all of them"
        )
        raise OperationRefused("scope_unknown", message, f"/approve {approval_id}")
    transaction.run("insert_vote", approval_id=approval_id, voter=decider.voter, by=by, is_yes=is_yes, voted_at=now)
    refs = {"approval": approval_id, "group": asked.group_id, "task": asked.task_id}
    append(transaction, JournalKind.APPROVAL_VOTED, f"{by} {'yes' if is_yes else 'no'}", **refs)
    if because and not is_yes:
        transaction.run("approval_because", approval_id=approval_id, because=because[: rules.MAX_BECAUSE_CHARS])
    if isinstance(judged, rules.Counted):
        return Decision(approval=approval_rows.again(transaction, approval_id), is_final=False, missing=judged.missing)
    approval_rows.end(transaction, asked, "approved" if judged.is_approved else "denied", "", edited=edited)
    if judged.is_approved and carry_out is not None:
        carry_out(transaction)
    until = expires_at(scope.until, transaction.now(), zone_name)
    if until is not None:
        remembered_rows.remember(transaction, asked, scope, is_yes=is_yes, by=by, until=until)
    remembered = scope if until is not None else None
    return Decision(approval=approval_rows.again(transaction, approval_id), is_final=True, remembered=remembered)


def check_vote(transaction: Transaction, approval_id: str, by: str) -> None:
    """Raise OperationRefused unless somebody's yes would count now."""
    _judge(transaction, _asked(transaction, approval_id), by, is_yes=True)


def _asked(transaction: Transaction, approval_id: str) -> Approval:
    asked = approval_rows.approval(transaction, approval_id)
    if asked is None:
        raise approval_rows.unknown(approval_id)
    return asked


def _judge(
    transaction: Transaction, asked: Approval, by: str, *, is_yes: bool
) -> tuple[Decider, rules.Counted | rules.Ended]:
    decider, now = decider_of(transaction, by, asked.group_id), transaction.now_text()
    judged = rules.judge_vote(asked, by, decider.voter, decider.role, decider.identities, is_yes=is_yes, now=now)
    if isinstance(judged, rules.Refused):
        raise OperationRefused(judged.code, judged.message, "./nightyard approvals")
    return decider, judged
