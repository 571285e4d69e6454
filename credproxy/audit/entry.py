"""What a row of the audit says, before it has its place there. Pure.

`file.py` writes rows; what a whole row may hold, with its place in the chain, is `chain.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from protocol.ids import DoorId
from protocol.task import Lease

MODEL_CALL = "model"
"""The detail of a model call's `begin`."""
Kind = Literal[
    "start",
    "unclean",
    "stop",
    "begin",
    "end",
    "denied",
    "shadow",
    "approval",
    "secret",
    "token",
    "policy",
    "freeze",
    "retention",
    "gap",
]
"""`shadow`: recorded and not sent. `gap`: rows that could not be written, told as soon as one can."""


class AuditEntry(NamedTuple):
    """One row, before it has its place in the chain. Two for every call: a frozen dataclass takes four times as long
    to make."""

    kind: Kind
    door_id: str = ""
    group_id: str = ""
    task_id: str = ""
    attempt_id: str = ""
    call_id: str = ""
    target: str = ""
    rule: str = ""
    secret: str = ""
    is_unsafe: bool = False
    status: int | None = None
    detail: str = ""
    note: str = ""
    """How it came to pass, in the words of `notes.py`: `would_deny host_not_granted`, `reserve 1`."""
    request_sha256: str = ""
    """In hex: of the body that was sent, held for approval, or not sent."""
    response_sha256: str = ""
    """In hex: of the body that was fetched, so that a claimed source can be checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUse:
    """A model call's use, to be added to the sums."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    route: str = ""
    """Empty: a granted host that says what it has used."""
    purses: tuple[str, ...] = ()
    """The names of those that it was paid from."""


def entry_of(kind: Kind, door_id: DoorId, lease: Lease | None, **fields: Any) -> AuditEntry:
    """Return an entry with the lease's ids."""
    if lease is None:
        return AuditEntry(kind=kind, door_id=door_id, **fields)
    return AuditEntry(
        kind=kind,
        door_id=door_id,
        group_id=lease.group_id,
        task_id=lease.task_id,
        attempt_id=lease.attempt_id,
        **fields,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySum:
    """What one group did in a day at one host with one secret."""

    day: str
    """UTC."""
    group_id: str
    host: str
    secret: str
    requests: int
    denied: int
    failed: int
    request_bytes: int
    response_bytes: int
