"""What a hook brings: the update that was stored becomes a submission, in one transaction."""

from __future__ import annotations

from runtime.store.database import Transaction
from runtime.store.submission_rows import MAX_QUEUED, NotTaken, StoredSubmission, take_in
from runtime.submission import NewSubmission


def file_work(transaction: Transaction, raw_id: int, new: NewSubmission) -> tuple[StoredSubmission, bool] | str:
    """Store the submission and end the update; return it and whether it is new, or why it was not taken."""
    taken = take_in(transaction, new)
    if isinstance(taken, NotTaken):
        is_full = taken.code == "queue_full"
        return f"{MAX_QUEUED} submissions wait already" if is_full else f"it is refused: {taken.code}"
    transaction.run("end_raw", raw_id=raw_id, state="decoded")
    return taken
