"""Which files are what some tasks alone have written, told from what the folders held before and after each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from runtime.history.manifest import Entry, Manifest

Whose = Literal["theirs", "others", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a group's folders held before a task used its first tool."""

    reference: str
    """The task, or an undo."""
    manifest: str
    """Its id; empty: not kept, or not any more."""
    taken_at: str
    ended_at: str | None
    """When the task ended; None: it runs, or it is an undo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was changed between two moments, and by whose tasks."""

    before: Manifest
    after: Manifest
    whose: Whose
    ended_at: str
    """When the last of their tasks in it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that nobody but they have written since."""

    before: Entry | None
    """What it was before them; None: it was not there."""
    until: str
    """When the last of their tasks that wrote it ended."""


def whose(moments: Sequence[Moment], first: int, last: int, theirs: frozenset[str]) -> tuple[Whose, str]:
    """Return whose tasks were at work from a moment up to the one at `last`, and when the last of theirs ended."""
    at = moments[first].taken_at
    working = [*moments[first:last], *(each for each in moments[:first] if each.ended_at and each.ended_at > at)]
    are_theirs = {each.reference in theirs for each in working}
    until = max((each.ended_at or "" for each in working if each.reference in theirs), default="")
    return ("both" if len(are_theirs) == 2 else "theirs" if True in are_theirs else "others"), until


def left_by(windows: Iterable[Window]) -> tuple[dict[str, Written], frozenset[str]]:
    """Return what is theirs alone, by path, and the paths of what others have written into as well."""
    alone: dict[str, Written] = {}
    mixed: set[str] = set()
    for window in windows:
        for path in window.before.keys() | window.after.keys():
            before, after = window.before.get(path), window.after.get(path)
            if _said(before) == _said(after):
                continue
            if window.whose == "theirs" and path not in mixed:
                first = alone[path].before if path in alone else before
                alone[path] = Written(before=first, until=window.ended_at)
            elif window.whose != "others" or path in alone or path in mixed:
                alone.pop(path, None)
                if after is None and window.whose == "others":
                    mixed.discard(path)
                else:
                    mixed.add(path)
    return alone, frozenset(mixed)


def _said(entry: Entry | None) -> tuple[str, str] | None:
    """Return what a thing holds for whoever reads it; a folder, a pipe and nothing are alike."""
    return (entry.kind, entry.content) if entry is not None and entry.kind in ("file", "link") else None
