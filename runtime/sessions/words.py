"""What is said about conversations, and what a model is asked to sum one up with. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from protocol.message import Button
from protocol.plain_text import escape
from runtime.sessions.records import SessionLine

FIRST_WORDS_CHARS = 60


def build_compacting(turns: int) -> str:
    return f"Summing up {turns} turns of this conversation; that is one model call. I say when it is done."


def build_compacted(chars: int) -> str:
    return (
        f"🗜 Summed up: from now on I see {chars:,} characters instead of what was said before. Nothing was deleted, "
        "/export has it all."
    )


def build_not_compacted(reason: str) -> str:
    why = f": {escape(reason)}" if reason else ""
    return f"⚠ The conversation was not summed up, and stays as it was{why}. To try again: /compact"


def build_sessions(lines: Sequence[SessionLine], now: datetime, zone: tzinfo) -> str:
    """Return the list of a chat's conversations, numbered from 1."""
    if not lines:
        return "There is no conversation here yet."
    shown = [f"{number}. {line_of(line, now, zone)}" for number, line in enumerate(lines, 1)]
    return "\n".join(["Conversations here, newest first:", *shown, "", "/resume NUMBER goes on with one."])


def line_of(line: SessionLine, now: datetime, zone: tzinfo) -> str:
    marks = " (current)" if line.is_current else " (archived)" if line.is_archived else ""
    size = f"{line.messages} message{'' if line.messages == 1 else 's'}"
    return f"“{first_words(line)}” · {when(line.last_at, now, zone)} · {size}{marks}"


def first_words(line: SessionLine) -> str:
    words = " ".join(line.first_words.split()) or "(a file)"
    cut = words if len(words) <= FIRST_WORDS_CHARS else f"{words[:FIRST_WORDS_CHARS]}…"
    return escape(cut)


def session_buttons(lines: Sequence[SessionLine]) -> tuple[Button, ...]:
    """Return a button for each earlier conversation."""
    return tuple(
        Button(label=f"{number}. {first_words(line)[:40]}", value=f"/resume {line.session_id}")
        for number, line in enumerate(lines, 1)
        if not line.is_current
    )


def build_resumed(line_text: str) -> str:
    return f"We go on with {line_text}. /new begins afresh."


def when(at: str, now: datetime, zone: tzinfo) -> str:
    """Return a time as people say it: only the hour for one of today."""
    moment = datetime.fromisoformat(at).astimezone(zone)
    return f"{moment:%H:%M}" if moment.date() == now.astimezone(zone).date() else f"{moment:%Y-%m-%d %H:%M}"
