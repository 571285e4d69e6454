"""What waits to be written into the audit, who is to be told, and what could not be. `log.py` has it done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from credproxy.audit.entry import AuditEntry
from credproxy.audit.file import AuditFile

T = TypeVar("T")


class AuditFailed(Exception):
    """The audit could not be written: what it should have recorded must not happen."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the audit failed: {self.reason}"


class Job(NamedTuple):
    run: Callable[[AuditFile], Any]
    answer: asyncio.Future[Any] | None
    """None: it tells what has happened already, so it must be written, late if need be."""
    needs_sync: bool
    has_row: bool


@dataclass(slots=True)
class Gap:
    """Rows that could not be written, and whose deeds did therefore not happen."""

    since: str
    reason: str
    rows: int = 0

    def entry(self) -> AuditEntry:
        return AuditEntry(kind="gap", detail=f"rows not written: {self.rows} since {self.since}; {self.reason}")


def settle(answer: asyncio.Future[T] | None, value: T, error: str) -> None:
    """Tell whoever waits."""
    if answer is None or answer.done():
        return
    if error:
        answer.set_exception(AuditFailed(error))
    else:
        answer.set_result(value)
