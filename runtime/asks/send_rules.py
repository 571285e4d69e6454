"""How much agents may send of their own accord, and what a message of theirs may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.record import Record
from runtime.refusal import OperationRefused

SendKind = Literal["text", "file", "edit", "react", "delete"]

MAX_TEXT_CHARS = 20_000
"""Of one message; more goes as a file."""
MAX_EMOJI_CHARS = 16
MAX_SENDS_PER_TASK = 30
"""Messages and files."""
MAX_CHANGES_PER_TASK = 60
"""Edits, deletions and reactions."""
MAX_PER_MINUTE = 20
"""All of it, of one group: more is no conversation any more, and platforms take no more either."""


class SendAsk(Record):
    """What an agent wants said."""

    text: str
    to: str = ""
    """The name of a destination; empty: the chat of the task."""


class EditAsk(Record):
    message: str
    """As the agent was told: `s3`."""
    text: str
    """Empty: it is taken back."""


class ReactAsk(Record):
    message: str
    """`m12`: somebody's, `s3`: its own."""
    emoji: str = ""
    """Empty: take it away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCounts:
    """What was sent before."""

    sends_of_task: int
    changes_of_task: int
    last_minute: int
    """Of the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A message as an agent names it."""

    whose: Literal["m", "s"]
    number: int


def check_counts(kind: SendKind, counts: SendCounts) -> None:
    """Refuse what would be too much."""
    is_send = kind in ("text", "file")
    if is_send and counts.sends_of_task >= MAX_SENDS_PER_TASK:
        message = f"one task sends at most {MAX_SENDS_PER_TASK} messages and files: put the rest into your answer"
        raise OperationRefused("too_many_sends", message)
    if not is_send and counts.changes_of_task >= MAX_CHANGES_PER_TASK:
        message = f"one task changes messages and reacts at most {MAX_CHANGES_PER_TASK} times"
        raise OperationRefused("too_many_changes", message)
    if counts.last_minute >= MAX_PER_MINUTE:
        message = f"{MAX_PER_MINUTE} messages within a minute are the most: it was not sent, wait a while"
        raise OperationRefused("too_fast", message)


def checked_text(text: str) -> str:
    """Return a text that can be sent; refuse any other."""
    if not text.strip():
        raise OperationRefused("empty_text", "there is nothing to send: the text is empty")
    if len(text) > MAX_TEXT_CHARS:
        message = f"the text has {len(text)} characters, the most is {MAX_TEXT_CHARS}: send a file"
        raise OperationRefused("text_too_long", message)
    return text


def checked_emoji(emoji: str) -> str:
    """Return an emoji, or nothing; refuse what cannot be one."""
    if len(emoji) > MAX_EMOJI_CHARS or any(character.isspace() or character.isalnum() for character in emoji):
        raise OperationRefused("no_emoji", f"{emoji[:40]!r} is no single emoji")
    return emoji


def read_ref(text: str) -> Ref:
    """Return what an agent's name of a message says; refuse what is none."""
    word = text.strip()
    if len(word) < 20 and word[:1] in ("m", "s") and word[1:].isascii() and word[1:].isdecimal():
        return Ref(whose="m" if word[0] == "m" else "s", number=int(word[1:]))
    raise unknown_ref(text)


def unknown_ref(text: str) -> OperationRefused:
    message = f"there is no message {text[:40]!r} here; a <message> has its `ref`, and send_message gives one"
    return OperationRefused("unknown_message", message)
