"""Rows of results that wait for a review: what a copilot's task gives back to a program or to another agent.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). What waits
is decided in `approvals/reviews.py`; what is said in chats is held in `hold_rows.py`.
"""

from __future__ import annotations

from protocol.ids import SubmissionId, TaskId
from protocol.task import TaskResult
from runtime.approvals.records import Approval, Taint
from runtime.approvals.reviews import build_result_review, decide_review, has_output, result_of
from runtime.store import approval_rows
from runtime.store.database import Transaction
from runtime.store.delegation_rows import handed_files_of
from runtime.store.hold_rows import read_rule
from runtime.store.records import TaskRow


def review_result(transaction: Transaction, task_id: TaskId, result: TaskResult) -> None:
    """Ask about what a task gives back, where its group's rule says so: in the transaction that ends it. An answer that
    goes to a chat, too, is asked about there, once for both."""
    found = transaction.one("review_of_result", task_id=task_id)
    if found is None or not has_output(result):
        return
    rule = read_rule(found)
    review = decide_review(rule, None, task_id=task_id, began_in=None, to=None, taint=Taint())
    if review == "go":
        return
    output = result_of(result, found["submitter"], handed_files_of(transaction, task_id))
    new = build_result_review(rule, task_id, found["submitter"], output, is_sent=review == "sample")
    approval_rows.ask(transaction, new, rule.zone)


def review_of(transaction: Transaction, task: TaskRow) -> Approval | None:
    """Return the question whether a task's result may be given back; None where nobody is asked."""
    steps = ("result", task.result.status) if task.result is not None else ()
    for step in steps:
        row = transaction.one("approval_by_asker_key", asker_key=f"review:{task.task_id}/{step}")
        if row is not None:
            return approval_rows.read_approval(transaction, row)
    return None


def withdraw(transaction: Transaction, submission_id: SubmissionId, reason: str) -> bool:
    """End the question about what a submission would give back: nobody waits for it any more."""
    row = transaction.one("open_review_of_submission", submission_id=submission_id)
    return row is not None and approval_rows.withdraw(transaction, row["approval_id"], reason)
