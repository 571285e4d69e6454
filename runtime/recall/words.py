"""What a search has found, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from protocol.ids import ChatKey
from runtime.recall.records import Passage

NOTHING = "Nothing was found. Other words may find it; what was never written down or said here cannot be found."


def build_found(found: Sequence[Passage], chat: ChatKey | None, note: str = "") -> str:
    """Return what the agent reads. `note`: what it should know of the search."""
    noted = f"\n\n[searched {note}]" if note else ""
    if not found:
        return f"{NOTHING}{noted}"
    return "\n\n".join(f"[{place_of(passage, chat)}]\n{passage.text}" for passage in found) + noted


def place_of(passage: Passage, chat: ChatKey | None) -> str:
    """Return where a passage stands and since when."""
    if passage.kind == "memory":
        return f"/memory/{passage.source}, written {passage.at[:10]}"
    where = "this chat" if passage.audience == chat else "work for no chat" if not passage.audience else "another chat"
    return f"said {passage.at[:16].replace('T', ' ')} UTC in {where}"


def time_of(seconds: float) -> str:
    """Return a moment as ISO 8601 UTC; `seconds`: since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
