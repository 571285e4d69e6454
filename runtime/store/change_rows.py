"""Rows of edits and deletions: filed together with what they do to the message that they are about.

Each function is one job: it runs inside a transaction of the writer. What becomes of them is access.py's business.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from protocol.message import InboundMessage
from runtime.inbound_text import shorten
from runtime.store import access_rows
from runtime.store.database import Transaction
from runtime.store.inbound_rows import file_message, message, original_of, replace_waiting, withdraw_waiting
from runtime.store.records import Filed, FiledState, Original


def file_change(
    transaction: Transaction,
    raw_id: int,
    inbound: InboundMessage,
    original: Original,
    *,
    change: Literal["", "replace", "withdraw", "tell", "keep"],
    state: FiledState,
    end_reason: str,
) -> Filed | None:
    """File an edit or a deletion of a message that is still as it was when that was decided; None if it is not."""
    now = original_of(transaction, inbound)
    if now is None or (now.message_id, now.state, now.waits_for_owner) != (
        original.message_id,
        original.state,
        original.waits_for_owner,
    ):
        return None
    filed = file_message(transaction, raw_id, inbound, state=state, group_id=original.group_id, end_reason=end_reason)
    if filed.first and original.waits_for_owner:
        _change_refused(transaction, original, inbound.text if change == "replace" else None)
    elif filed.first and change == "replace":
        replace_waiting(transaction, original.message_id, inbound.text)
    elif filed.first and change == "withdraw":
        withdraw_waiting(transaction, original.message_id)
    return filed


def _change_refused(transaction: Transaction, original: Original, text: str | None) -> None:
    """Have a message that waits for an owner's yes say something else; None: it was taken back."""
    found = message(transaction, original.message_id)
    assert found is not None  # read in this transaction
    if text is None:
        access_rows.drop_wait(transaction, original.message_id)
    rewritten = replace(found.inbound, text=text or "")
    if text is None:
        rewritten = replace(rewritten, quote="", pending_files=())
    access_rows.rewrite(transaction, found, shorten(rewritten, access_rows.MAX_KEPT_CHARS))
