"""The patch format that some models are trained on: read into changes of files. Pure.

    *** Begin Patch
    *** Add File: path            lines that begin with +
    *** Delete File: path
    *** Update File: path         then maybe *** Move to: path, and hunks: an @@ line, which may name a line above the
    *** End Patch                 hunk, and lines that begin with a space, - or +

Context is found in the file as it stands; white space at ends of lines may differ if nothing fits exactly.
Format after the description in https://cookbook.openai.com/examples/gpt4-1_prompting_guide
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_KINDS = {"*** Add File: ": "add", "*** Delete File: ": "delete", "*** Update File: ": "update"}
_MOVE = "*** Move to: "
_END_OF_FILE = "*** End of File"


class BadPatch(ValueError):
    """It cannot be read, or does not fit the file; the message says where and what to do."""


class Hunk(Record):
    above: str
    """A line somewhere above it; empty: none was named."""
    old: tuple[str, ...]
    new: tuple[str, ...]
    is_at_end: bool = False


class FileChange(Record):
    kind: Literal["add", "delete", "update"]
    path: str
    moved_to: str = ""
    lines: tuple[str, ...] = ()
    """Of an added file."""
    hunks: tuple[Hunk, ...] = ()


def parse_patch(text: str) -> tuple[FileChange, ...]:
    """Return the changes in their order; raise BadPatch."""
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")  # other breaks, a form feed, are what stands in a line
    if not lines or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        raise BadPatch(f"a patch begins with a line {_BEGIN!r} and ends with a line {_END!r}")
    changes = [_parse_change(head, body) for head, body in _sections(lines[1:-1])]
    if not changes:
        raise BadPatch("the patch changes nothing")
    paths = [change.path for change in changes]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise BadPatch(f"{twice} is changed twice; put its hunks under one heading")
    return tuple(changes)


def apply_hunks(text: str, change: FileChange) -> str:
    """Return the file's text with the hunks in it; raise BadPatch where one does not fit."""
    lines = text.split("\n")
    at = 0
    for number, hunk in enumerate(change.hunks, start=1):
        if hunk.above:
            at = _find_line(lines, hunk.above, at, change.path) + 1
        place = _find(lines, hunk, at)
        if place is None:
            shown = "\n".join(hunk.old[:3]) or "(the place has no lines)"
            raise BadPatch(f"{change.path}: hunk {number} does not fit; read the file again. It looks for:\n{shown}")
        lines[place : place + len(hunk.old)] = hunk.new
        at = place + len(hunk.new)
    return "\n".join(lines)


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    head, body = "", list[str]()
    for line in lines:
        if line.startswith(tuple(_KINDS)):
            if head:
                yield head, body
            head, body = line, []
        elif head:
            body.append(line)
        elif line.strip():
            raise BadPatch(f"expected '*** Update File: PATH' (or Add, Delete), got {line[:80]!r}")
    if head:
        yield head, body


def _parse_change(head: str, body: list[str]) -> FileChange:
    start = next(start for start in _KINDS if head.startswith(start))
    path = head[len(start) :].strip()
    if not path:
        raise BadPatch(f"{head!r} names no file")
    if start.startswith("*** Delete"):
        return FileChange(kind="delete", path=path)
    if start.startswith("*** Add"):
        wrong = next((line for line in body if not line.startswith("+")), None)
        if wrong is not None:
            raise BadPatch(f"{path}: each line of an added file begins with +, but there is {wrong[:80]!r}")
        return FileChange(kind="add", path=path, lines=tuple(line[1:] for line in body))
    moved_to = ""
    if body and body[0].startswith(_MOVE):
        moved_to, body = body[0][len(_MOVE) :].strip(), body[1:]
    hunks = tuple(_parse_hunk(path, above, lines) for above, lines in _hunks(path, body))
    if not hunks and not moved_to:
        raise BadPatch(f"{path}: has no hunk")
    return FileChange(kind="update", path=path, moved_to=moved_to, hunks=hunks)


def _hunks(path: str, body: list[str]) -> Iterator[tuple[str, list[str]]]:
    above, lines, is_open = "", list[str](), False
    for line in body:
        if line.startswith("@@"):
            if lines:
                yield above, lines
            above, lines, is_open = line[2:].strip().removesuffix("@@").strip(), [], True
        elif line[:1] in (" ", "-", "+", "") or line == _END_OF_FILE:
            lines.append(line)
            is_open = True
        else:
            raise BadPatch(f"{path}: a hunk's line begins with a space, - or +, but there is {line[:80]!r}")
    if lines and is_open:
        yield above, lines


def _parse_hunk(path: str, above: str, lines: list[str]) -> Hunk:
    is_at_end = lines[-1] == _END_OF_FILE
    lines = [line for line in lines if line != _END_OF_FILE]
    if not any(line[:1] in ("-", "+") for line in lines):
        raise BadPatch(f"{path}: a hunk changes nothing")
    old = tuple(line[1:] for line in lines if line[:1] != "+")
    new = tuple(line[1:] for line in lines if line[:1] != "-")
    return Hunk(above=above, old=old, new=new, is_at_end=is_at_end)


def _find_line(lines: list[str], wanted: str, at: int, path: str) -> int:
    for index in range(at, len(lines)):
        if lines[index].strip() == wanted:
            return index
    raise BadPatch(f"{path}: there is no line {wanted[:80]!r} below the last change; read the file again")


def _find(lines: list[str], hunk: Hunk, at: int) -> int | None:
    """Return where the old lines stand: exactly, else without white space at their ends."""
    if not hunk.old:
        return len(lines) - 1 if lines and lines[-1] == "" and not hunk.above else (at if hunk.above else len(lines))
    for same in (str, str.rstrip):
        wanted = [same(line) for line in hunk.old]
        last = len(lines) - len(wanted)
        order = range(last, at - 1, -1) if hunk.is_at_end else range(at, last + 1)
        for index in order:
            if [same(line) for line in lines[index : index + len(wanted)]] == wanted:
                return index
    return None
