"""How much of a model's window a conversation takes, and what of it may stay when it is summed up. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.task import ModelRoute
from protocol.transcript import Entry

FULL_SHARE = 0.8
"""Of the window, without the room for an answer: beyond it is summed up."""
KEPT_SHARE = 0.2
"""Of the same: how much of the newest stays as it was said."""
_BYTES_PER_TOKEN = 3
"""On the safe side: English has about four, Chinese and Japanese about three."""
_FILE_TOKENS = 1_600
"""Of an image of full size; a PDF's page has about as many."""


def room_of(route: ModelRoute) -> int:
    """Return how many tokens a question may have."""
    return max(route.context_tokens - route.max_output_tokens, route.context_tokens // 2)


def is_full(route: ModelRoute, tokens: int) -> bool:
    """Return whether a question of so many tokens may not fit with its answer."""
    return tokens > FULL_SHARE * room_of(route)


def tokens_of(entries: Sequence[Entry]) -> int:
    """Return about how many tokens entries have, rather too many than too few."""
    return sum(_entry_tokens(entry) for entry in entries)


def text_tokens(text: str) -> int:
    """The same of a text."""
    return _bytes(text) // _BYTES_PER_TOKEN


def first_kept(entries: Sequence[Entry], route: ModelRoute) -> int:
    """Return where the newest entries begin that stay as they are: never at outputs, whose calls come before."""
    first, tokens = len(entries), 0
    for index in range(len(entries) - 1, -1, -1):
        tokens += _entry_tokens(entries[index])
        if tokens > KEPT_SHARE * room_of(route):
            break
        if entries[index].role != "tool":
            first = index
    return first


def after_compaction(entries: Sequence[Entry], summary: Entry, kept: int, prompt: Entry) -> list[Entry]:
    """Return the conversation as it goes on: the summary, the task's prompt as it was given, the newest entries."""
    newest = list(entries[len(entries) - kept :])
    return [summary, *newest] if prompt in newest else [summary, prompt, *newest]


def _entry_tokens(entry: Entry) -> int:
    size = _bytes(entry.text) + sum(_bytes(output.text) for output in entry.outputs)
    size += sum(len(call.name) + _bytes(str(call.arguments)) for call in entry.calls)
    size += sum(len(str(thought.block)) for thought in entry.thoughts)
    files = len(entry.files) + sum(len(output.files) for output in entry.outputs)
    return size // _BYTES_PER_TOKEN + files * _FILE_TOKENS


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
