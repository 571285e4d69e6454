"""Writing out what the store holds, row by row as its documented views show it. Each function is one job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from protocol.ids import PersonKey
from runtime.store.database import Transaction

DECIDED = {
    "people": "v_people",
    "identities": "v_identities",
    "roles": "v_roles",
    "person_limits": "v_person_limits",
    "bindings": "v_bindings",
    "destinations": "v_destinations",
    "decisions": "v_remembered_decisions",
    "constraints": "v_constraints",
    "schedules": "v_schedules",
    "pauses": "v_pauses",
    "programs": "v_programs",
}
"""What people decided, by the name of the file that it becomes; the views say what it is (docs/store.md)."""

Row = Mapping[str, object]


def decided(transaction: Transaction, name: str, offset: int, limit: int) -> tuple[Row, ...]:
    """Return rows of one of DECIDED, in the view's order."""
    rows = transaction.connection.execute(f"SELECT * FROM {DECIDED[name]} LIMIT ? OFFSET ?", (limit, offset))
    return tuple(map(dict, rows))


def journal(transaction: Transaction, after_seq: int, limit: int) -> tuple[Row, ...]:
    """Return entries of the chain, with everything that its check needs but the key."""
    return tuple(map(dict, transaction.all("journal_after", seq=after_seq, limit=limit)))


def said_by(transaction: Transaction, keys: Sequence[PersonKey], after_seq: int, limit: int) -> tuple[Row, ...]:
    """Return a person's messages, each with what was answered."""
    rows = transaction.all("said_by", persons=json.dumps(keys), seq=after_seq, limit=limit)
    return tuple(map(dict, rows))
