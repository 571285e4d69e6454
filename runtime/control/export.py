"""The verbs that write out what the store holds."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import PersonKey
from runtime.control.verb import VerbTable, verb
from runtime.lasting.export import ExportDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedArguments:
    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalArguments:
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonArguments:
    person: PersonKey
    after: int = 0


def export_verbs(desk: ExportDesk) -> VerbTable:
    """Return the verbs that the export desk carries out."""
    return {
        "export_decided": verb(DecidedArguments, lambda given: desk.decided(given.name, given.offset)),
        "export_journal": verb(JournalArguments, lambda given: desk.journal(given.after)),
        "export_person": verb(PersonArguments, lambda given: desk.person(given.person, given.after)),
    }
