"""What a task would leave in its agent's memory: as it is decided, shown, and carried out. Pure.

Only texts are remembered with a yes; whatever else such a task has put there is left out, and the card says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocol.plain_text import escape
from runtime.approvals.effect_text import OURS
from runtime.history.manifest import Difference

MAX_TEXT_CHARS = 500_000
"""Of one task, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedFile:
    """One file of the memory as a yes would make it."""

    path: str
    """Below the memory folder."""
    before: str | None = None
    """What the task found; None: nothing."""
    after: str | None = None
    """None: it is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChange:
    """All that a task would leave."""

    files: tuple[NotedFile, ...]
    left_out: int = 0
    """What is no text, or too long."""


def read_change(differences: Sequence[Difference]) -> MemoryChange:
    """Return what may be asked for."""
    files, size = list[NotedFile](), 0
    for each in differences:
        noted = _noted(each)
        size += len(noted.after or "") + len(noted.before or "") if noted else 0
        if noted is not None and size <= MAX_TEXT_CHARS:
            files.append(noted)
    return MemoryChange(files=tuple(files), left_out=len(differences) - len(files))


def change_lines(change: MemoryChange) -> tuple[str, ...]:
    """Return the lines of a card: what comes, with +, and what goes, with -."""
    return tuple(_lines(change))


def merged(noted: NotedFile, now: str | None) -> tuple[str | None, bool]:
    """Return (what the file is to hold, whether it fits there): what was noted at its end goes to the end of what is
    there by now, what was rewritten only replaces what it was made of."""
    if now in (noted.before, noted.after):
        return noted.after, True
    if now is not None and noted.after is not None and noted.after.startswith(noted.before or ""):
        tail = noted.after.removeprefix(noted.before or "")
        return (now if now.endswith(tail) else now + tail), True
    return noted.after, False


def _noted(each: Difference) -> NotedFile | None:
    path = each.path.partition("/")[2]
    try:
        path.encode()
        before = None if each.before is None else each.before.decode()
        after = None if each.after is None else each.after.decode()
    except UnicodeError:
        return None
    if (each.was_there and before is None) or (each.is_there and after is None):
        return None
    return NotedFile(path=path, before=before, after=after)


def _lines(change: MemoryChange) -> Iterator[str]:
    import difflib  # late: few tasks have anything to show

    for each in change.files:
        word = "removes" if each.after is None else "makes" if each.before is None else "changes"
        yield f"it {word} a file of its memory:"
        yield f"{OURS}{escape(each.path)}"
        before, after = (each.before or "").splitlines(), (each.after or "").splitlines()
        for line in list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]:
            if not line.startswith("@@"):
                yield f"{OURS}{line[:1]} {escape(line[1:])}"
    if change.left_out:
        yield f"left out, because it is no text or too long: {change.left_out}"
