"""Rows of choices of models: who had what answered by which.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import ChatKey, GroupId
from runtime.journal import JournalKind
from runtime.store.database import Transaction
from runtime.store.journal_rows import append

WHOLE_GROUP = ChatKey("")
"""The chat of a choice for all chats of a group that have none of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model that somebody chose, instead of the one in the settings."""

    group_id: GroupId
    chat: ChatKey
    model: str
    """`route/model-name`."""
    chosen_by: str
    chosen_at: str


def model_choices(transaction: Transaction) -> tuple[ModelChoice, ...]:
    return tuple(ModelChoice(**dict(row)) for row in transaction.all("model_choices"))


def choose_model(transaction: Transaction, group_id: GroupId, chat: ChatKey, model: str, by: str) -> None:
    """Have a chat, or a group, answered by a model; an empty one: by that of the settings again."""
    if not model:
        changed = transaction.run("drop_model_choice", group_id=group_id, chat=chat)
    else:
        now = transaction.now_text()
        changed = transaction.run(
            "set_model_choice", group_id=group_id, chat=chat, model=model, chosen_by=by, chosen_at=now
        )
    if changed:
        append(transaction, JournalKind.MODEL_CHOSEN, f"{chat} {model} {by}", group=group_id)
