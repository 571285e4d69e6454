"""Growing Markdown for a platform that reads it itself and takes it only by appending. Pure.

What is appended stays, so nothing goes out of which the next word could make something else.
"""

from __future__ import annotations

import re

from channels.markdown.markup import UNSEEN
from channels.preview import preview

_FENCE = re.compile(r"(?:[ \t]|>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*(?P<mark>`{3,}|~{3,})(?P<info>.*)")
_RINGING = re.compile(r"<(?=[@#!])|@(?=here|channel|everyone)", re.IGNORECASE)


def settled_for_stream(markdown: str) -> str:
    """Return how much of a growing text, or of its preview, may be appended for good: whole lines of a fence, whole
    blocks, and of the last block whole words after which nothing is open."""
    lines = markdown.split("\n")
    if _ends_in_fence(lines[:-1]):
        return "".join(f"{line}\n" for line in lines[:-1])
    block_at = _last_block([*lines[:-1], "x"])
    settled = "".join(f"{line}\n" for line in lines[:block_at])
    block = "\n".join(lines[block_at:])
    for cut in sorted((found.end() for found in re.finditer(r"\S[ \n]", block)), reverse=True):
        words = block[:cut]
        if "|" not in words and preview(words).rstrip() == words.rstrip():
            return settled + words
    return settled


def unrung_markdown(markdown: str) -> str:
    """Return the Markdown with no word that would ring anybody: a space of no width stands in each."""
    return _RINGING.sub(lambda found: found.group() + UNSEEN, markdown)


def _ends_in_fence(lines: list[str]) -> bool:
    opened = ""
    for line in lines:
        found = _FENCE.match(line)
        if found is None or (found["mark"][0] == "`" and "`" in found["info"]):
            continue
        if not opened:
            opened = found["mark"]
        elif found["mark"].startswith(opened) and not found["info"].strip():
            opened = ""
    return bool(opened)


def _last_block(lines: list[str]) -> int:
    """Return the number of the line at which the last block begins."""
    at = len(lines)
    while at > 0 and lines[at - 1].strip(" \t>"):
        at -= 1
    return at
