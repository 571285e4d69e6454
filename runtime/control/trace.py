"""The verbs that look back on messages and tasks."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.control.verb import VerbTable, verb
from runtime.lasting.trace import TraceDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceArguments:
    reference: str
    """Our id of a message or task, or the platform's id of a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentArguments:
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TailArguments:
    limit: int = 30


def trace_verbs(desk: TraceDesk) -> VerbTable:
    """Return the verbs that the trace desk carries out."""
    return {
        "trace": verb(TraceArguments, lambda given: desk.trace(given.reference)),
        "journal_tail": verb(TailArguments, lambda given: desk.journal(given.limit)),
        "recent": verb(RecentArguments, lambda given: desk.recent(given.limit)),
    }
