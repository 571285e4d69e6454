"""What came of voice notes. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of the voice notes of one message."""

    words: str
    """Marked as what they are; empty where none could be transcribed."""
    note: str
    """What could not be, and why; empty if all could."""
