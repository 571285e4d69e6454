"""The words of an audit row's note: how it came to pass. Written by the pipeline, read by people and programs. Pure."""

from __future__ import annotations

SEPARATOR = "; "
_TAINTED = "tainted "
_KEY = "idempotency "
_FOR = " for "
WITHHELD_TRAILERS = "withheld trailers"
"""What came behind the answer's body held the secret; the agent got none of it."""


def would_deny(code: str) -> str:
    """A dry run let it out: without one it would have been refused so."""
    return f"would_deny {code}"


def reserve(index: int) -> str:
    """The secret's value in reserve that was used, from 1."""
    return f"reserve {index}"


def tainted(source: str) -> str:
    """Its answer may hold anybody's words: `web`, or `grant` where the grant says so."""
    return f"{_TAINTED}{source}"


def taint_in(note: str) -> str:
    """Return the source of taint that a note names, empty for none."""
    found = (part.removeprefix(_TAINTED) for part in note.split(SEPARATOR) if part.startswith(_TAINTED))
    return next(found, "")


def approval(approval_id: str, by: str = "") -> str:
    """A person was asked, and let it out or not."""
    return f"approval {approval_id} by {by}" if by else f"approval {approval_id}"


def idempotency(key: str, mark: str = "") -> str:
    """It carried this key, so that the service does it once. `mark`: of the agent's own key, if it sent one."""
    return f"{_KEY}{key}{_FOR if mark else ''}{mark}"


def key_in(note: str) -> tuple[str, str]:
    """Return the idempotency key that a note names, and the mark of the agent's own; empty for none."""
    found = (part.removeprefix(_KEY) for part in note.split(SEPARATOR) if part.startswith(_KEY))
    key, _for, mark = next(found, "").partition(_FOR)
    return key, mark


def join_notes(*notes: str) -> str:
    """Return several as one."""
    return SEPARATOR.join(note for note in notes if note)
