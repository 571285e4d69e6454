"""What has come so far of a Markdown text that grows, as Markdown that is complete in itself. Pure.

What is open is closed, and what may yet become a mark of something is held back until it is known what it is: a person
who watches an answer grow sees no marks come and go.
"""

from __future__ import annotations

import re

_ITEM = r"(?P<item>(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)"
_FENCE = re.compile(rf"(?P<indent>[ \t>]*){_ITEM}(?P<mark>`{{3,}}|~{{3,}})(?P<info>[^\n]*)")
_FENCE_IN_THE_MAKING = re.compile(r"[ \t>]*(?:`+|~+)\s*")
_MARK_IN_THE_MAKING = re.compile(r"\s*(?:[-*+_=]+|\d{1,9}[.)]?|#{1,6}|>+|(?:[-*+]|\d+[.)])\s+\[[ xX]?\]?)\s*")
_ADDRESS_IN_THE_MAKING = r"\((?:[^()\n]|\([^()\n]*\))*(?:\([^()\n]*)?"
_LINK_IN_THE_MAKING = re.compile(rf"!?\[([^\[\]\n]*)(?:\](?:{_ADDRESS_IN_THE_MAKING})?)?\Z")
_TABLE_ROW = re.compile(r"[ \t>]*\|")
_TABLE_RULE = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*\|?[ \t]*")
_TOKEN = re.compile(r"\\.|`+|\*+|_+|~~?", re.DOTALL)
_MARKS = ("*", "**", "***", "_", "__", "___", "~~")


def preview(markdown: str) -> str:
    """Return the text so far, fit to be shown."""
    fence = _open_fence(markdown)
    if fence is not None:
        return _inside_fence(markdown, fence)
    head, block = _last_block(_without_last_mark(markdown))
    if _TABLE_ROW.match(block):
        return head + _whole_rows(block)
    return (head + _closed(_LINK_IN_THE_MAKING.sub(r"\1", block))).rstrip()


def _open_fence(markdown: str) -> re.Match[str] | None:
    """Return the beginning of the fence that the text ends in, None outside of one."""
    opened: re.Match[str] | None = None
    start = 0
    for line in markdown.splitlines(keepends=True):
        found = _FENCE.match(markdown, start, start + len(line.rstrip("\n")))
        if found is not None and opened is None:
            opened = None if "`" in found["info"] and found["mark"][0] == "`" else found
        elif found is not None and opened is not None and _closes(found, opened):
            opened = None
        start += len(line)
    return opened


def _closes(found: re.Match[str], opened: re.Match[str]) -> bool:
    return found["mark"].startswith(opened["mark"]) and not found["item"] and not found["info"].strip()


def _inside_fence(markdown: str, fence: re.Match[str]) -> str:
    content = markdown[fence.end() :]
    first, _, last = content.rpartition("\n")
    if _FENCE_IN_THE_MAKING.fullmatch(last):
        content = first
    if not content.strip():
        return markdown[: fence.start()].rstrip()
    closing = fence["indent"] + " " * len(fence["item"]) + fence["mark"]
    return f"{markdown[: fence.end()]}{content.rstrip()}\n{closing}"


def _without_last_mark(markdown: str) -> str:
    """Hold back a last line that is nothing but the beginning of a list's item, a heading, a rule, a fence."""
    before, newline, last = markdown.rpartition("\n")
    if _FENCE_IN_THE_MAKING.fullmatch(last):
        return markdown if _open_fence(before) is not None else before + newline  # the first is a fence's end
    return before + newline if last.strip() and _MARK_IN_THE_MAKING.fullmatch(last) else markdown


def _last_block(markdown: str) -> tuple[str, str]:
    cut = max((found.end() for found in re.finditer(r"\n[ \t]*\n", markdown)), default=0)
    lines = markdown[cut:].splitlines(keepends=True)
    table = next((index for index, line in enumerate(lines) if _TABLE_ROW.match(line)), None)
    if table is not None:  # a table may come right after a line of text
        cut += sum(map(len, lines[:table]))
    elif items := [index for index, line in enumerate(lines) if re.match(r"[ \t>]*(?:[-*+]|\d+[.)]|#{1,6})\s", line)]:
        cut += sum(map(len, lines[: items[-1]]))
        mark = re.match(r"[ \t>]*(?:[-*+]|\d+[.)]|#{1,6})\s+", markdown[cut:])
        cut += mark.end() if mark else 0
    return markdown[:cut], markdown[cut:]


def _whole_rows(block: str) -> str:
    """Return a table as far as its rows are whole; nothing before the line under its head is."""
    rows = block.split("\n")[:-1]
    return "\n".join(rows) if len(rows) >= 2 and _TABLE_RULE.fullmatch(rows[1]) else ""


def _closed(text: str) -> str:
    """Return the text of one block with its open emphasis and code closed."""
    opened: list[str] = []
    position = 0
    while (found := _TOKEN.search(text, position)) is not None:
        token, position = found[0], found.end()
        if token.startswith("`"):
            end = _end_of_code(text, token, position)
            if end is None:
                return _with_open_code(text, found.start(), token, opened)
            position = end
        elif opened and token == opened[-1] and _may_close(text, found):
            opened.pop()
        elif position == len(text) and not token.startswith("\\"):
            text = text[: found.start()]  # the beginning of something, or half of an end
        elif token in _MARKS and token not in opened and _may_open(text, found):
            opened.append(token)
    return text.rstrip() + "".join(reversed(opened)) if opened else text


def _end_of_code(text: str, mark: str, position: int) -> int | None:
    for found in re.finditer("`+", text[position:]):
        if found[0] == mark:
            return position + found.end()
    return None


def _with_open_code(text: str, start: int, mark: str, opened: list[str]) -> str:
    content = text[start + len(mark) :].rstrip().rstrip("`")
    end = "".join(reversed(opened))
    if not content.strip():
        return text[:start].rstrip() + end if text[:start].strip() else text[:start]
    return f"{text[: start + len(mark)]}{content}{mark}{end}"


def _may_open(text: str, found: re.Match[str]) -> bool:
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    return bool(after) and not after.isspace() and not (found[0][0] == "_" and before.isalnum())


def _may_close(text: str, found: re.Match[str]) -> bool:
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    return bool(before) and not before.isspace() and not (found[0][0] == "_" and after.isalnum())
