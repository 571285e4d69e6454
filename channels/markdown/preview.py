"""Markdown that is still growing, so that no half of a mark is ever shown. Pure.

`closed_for_preview` is for platforms that replace what they show: what is open is closed, and what may yet become
something else is held back. `settled_for_stream` is for those that only append: what it returned once, it begins with
for every longer text. Both leave the text as it is wherever nothing is open.
"""

from __future__ import annotations

import re

from channels.markdown.markup import UNSEEN

_FENCE = re.compile(r"(?P<lead>(?:[ \t]|>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*)(?P<mark>`{3,}|~{3,})(?P<info>.*)\Z")
_HALF_FENCE = re.compile(r"(?:[ \t]|>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*(?:`{1,2}|~{1,2})\Z")
_MARK_ALONE = re.compile(
    r"(?:[ \t]|>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*(?:#{1,6}|[-*_=+]{1,3}|\d{1,9}[.)]?)?[ \t]*\Z"
)
_TABLE_RULE = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\Z")
_TOKEN = re.compile(
    r"\\.|(`+)|(\*+|_+|~~+)|(!?\[)|(\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:[ \t]+\"[^\"]*\")?\))|(\])", re.DOTALL
)
_STREAM_RINGING = re.compile(r"<(?=[@#!])|@(?=here|channel|everyone)", re.IGNORECASE)


def closed_for_preview(markdown: str) -> str:
    """Return the beginning of a text as whole Markdown: an open fence ends, open emphasis is closed, a link, a table
    or a mark of which only a part has come is left out."""
    lines = markdown.rstrip().split("\n")
    fence, opened_at = _open_fence(lines)
    if fence is not None:
        return _closed_fence(lines, fence, opened_at)
    if _HALF_FENCE.match(lines[-1]) or _MARK_ALONE.match(lines[-1]):
        lines.pop()
    block_at = _last_block(lines)
    block = _without_half_table(lines[block_at:])
    closed = _closed_inline("\n".join(block))
    return "\n".join([*lines[:block_at], closed]).rstrip()


def settled_for_stream(markdown: str) -> str:
    """Return how much of a growing text may be appended for good: whole lines in a fence, else whole blocks, or whole
    words of one in which nothing is open."""
    lines = markdown.split("\n")
    fence, _ = _open_fence(lines[:-1])
    if fence is not None:
        return "".join(f"{line}\n" for line in lines[:-1])
    block_at = _last_block([*lines[:-1], "x"])
    settled = "".join(f"{line}\n" for line in lines[:block_at])
    block = "\n".join(lines[block_at:])
    for cut in sorted((match.end() for match in re.finditer(r"\S[ \n]", block)), reverse=True):
        words = block[:cut]
        if closed_for_preview(words) == words.rstrip() and "|" not in words:
            return settled + words
    return settled


def unrung_markdown(markdown: str) -> str:
    """Return Markdown for a platform that reads it itself, with no word that would ring anybody there."""
    return _STREAM_RINGING.sub(lambda found: found.group() + UNSEEN, markdown)


def _open_fence(lines: list[str]) -> tuple[re.Match[str] | None, int]:
    """Return the line that opened the fence which is open at the end, and its number."""
    opened: re.Match[str] | None = None
    opened_at = 0
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if found is None or (found["mark"][0] == "`" and "`" in found["info"]):
            continue
        if opened is None:
            opened, opened_at = found, number
        elif found["mark"].startswith(opened["mark"]) and not found["info"].strip():
            opened = None
    return opened, opened_at


def _closed_fence(lines: list[str], fence: re.Match[str], opened_at: int) -> str:
    inside = lines[opened_at + 1 :]
    sign = fence["mark"][0]
    if inside and re.fullmatch(rf"[ \t>]*{re.escape(sign)}+", inside[-1]):
        inside = inside[:-1]
    if not any(line.strip(" \t>") for line in inside):
        return "\n".join(lines[:opened_at]).rstrip()
    lead = re.sub(r"[^ \t>]", " ", fence["lead"])
    return "\n".join([*lines[: opened_at + 1], *inside, f"{lead}{fence['mark']}"])


def _last_block(lines: list[str]) -> int:
    """Return the number of the line at which the last block begins."""
    at = len(lines)
    while at > 0 and lines[at - 1].strip(" \t>"):
        at -= 1
    return at


def _without_half_table(block: list[str]) -> list[str]:
    """A row is shown when its line is whole, a table when its rule has come."""
    first = next((number for number, line in enumerate(block) if line.lstrip(" \t>").startswith("|")), None)
    if first is None:
        return block
    rows = block[first:]
    if len(rows) >= 2 and _TABLE_RULE.match(rows[1]) and rows[1].count("|") >= rows[0].count("|"):
        return block if rows[-1].rstrip().endswith("|") or len(rows) == 2 else block[:-1]
    return block[:first] if len(rows) <= 2 else block


def _closed_inline(text: str) -> str:
    """Return the text of one block with its open marks closed."""
    opened: list[tuple[str, int]] = []
    position = 0
    while found := _TOKEN.search(text, position):
        position = found.end()
        ticks, run, bracket, target, end = found.groups()
        if ticks:
            closing = re.search(rf"(?<!`){ticks}(?!`)", text[position:])
            if closing is None:
                opened.append((ticks, found.start()))
                break
            position += closing.end()
        elif run:
            _turn(opened, run, found.start(), text)
        elif bracket:
            opened.append(("[", found.start()))
        elif target or end:
            _end_bracket(opened)
            if end and text[position : position + 1] == "(":
                return _closed_inline(_without_half_link(text, found.start()))
    return _with_ends(text, opened)


def _turn(opened: list[tuple[str, int]], run: str, at: int, text: str) -> None:
    """Take a run of marks as an end of what is open, or else as a beginning."""
    before, after = text[at - 1 : at] or " ", text[at + len(run) : at + len(run) + 1] or " "
    can_open, can_close = not after.isspace() or at + len(run) == len(text), not before.isspace()
    if run[0] == "_" and before.isalnum() and after.isalnum():
        return
    left = len(run)
    while left and can_close:
        match = next((index for index in reversed(range(len(opened))) if opened[index][0][0] == run[0]), None)
        if match is None or len(opened[match][0]) > left:
            break
        left -= len(opened[match][0])
        del opened[match:]
    if left and can_open:
        if run[0] == "~":
            opened.append((run, at))
            return
        if left % 2:
            opened.append((run[0], at))
        opened.extend([(run[0] * 2, at)] * (left // 2))


def _end_bracket(opened: list[tuple[str, int]]) -> None:
    match = next((index for index in reversed(range(len(opened))) if opened[index][0] == "["), None)
    if match is not None:
        del opened[match]


def _without_half_link(text: str, label_end: int) -> str:
    """Return the text up to the label of a link whose address has not come whole, its brackets left out."""
    depth = 0
    for at in range(label_end, -1, -1):
        depth += (text[at] == "]") - (text[at] == "[")
        if depth == 0:
            start = at - (text[at - 1 : at] == "!")
            return text[:start] + text[at + 1 : label_end]
    return text[:label_end]


def _with_ends(text: str, opened: list[tuple[str, int]]) -> str:
    for mark, at in reversed(opened):
        if mark == "[":
            text = text[:at] + text[at + 1 + text.startswith("![", at) :]
            continue
        is_empty = not text[at:].strip().strip("*_~`")
        text = text[:at].rstrip() if is_empty else text.rstrip() + mark
    return text
