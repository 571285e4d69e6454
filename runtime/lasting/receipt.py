"""The receipt of a forgotten person: of each place what was destroyed, what remains, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.ids import GroupId, PersonKey
from protocol.plain_text import escape

MAX_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFiles:
    """What became of one group's files."""

    group_id: GroupId
    notes: tuple[str, ...] = ()
    """Of the memory: removed, or made again what they were before."""
    left: tuple[str, ...] = ()
    """Of memory and workspace: written by their tasks, and still there."""
    moments: int = 0
    """Of its history: dropped."""
    needed: int = 0
    """Of these, still compared with what a task notes that runs now: gone at the next sweep after its end."""
    unknown: int = 0
    """Tasks of theirs of which no moment is kept, so that nobody can tell what they wrote."""
    sessions: bool = False
    """Another program than our loop kept conversations in HOME: all of them are gone."""
    problem: str = ""
    """Why something could not be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReceipt:
    """What was destroyed, and what is not ours to destroy."""

    forget_id: str
    person: PersonKey
    identities: int
    messages: int
    tasks: int
    turns: int
    texts: int
    rows: int
    files: int
    exports: int
    """Conversations that were written out; of all people, for nobody can tell what is in them."""
    is_compact: bool
    """The store's file holds no old bytes any more; False: somebody read it all the time, and the next one does it."""
    groups: tuple[GroupFiles, ...]
    """The agents that worked for the person, with what became of their files."""
    shared: tuple[str, ...] = ()
    """In spaces: written in their tasks, as far as can be told, and still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place in which something of a person may be."""

    place: str
    destroyed: str = ""
    remains: str = ""


def build_places(receipt: ForgetReceipt) -> tuple[Place, ...]:
    """Return all places, ours first."""
    names = f"{receipt.texts} texts of {receipt.messages} messages and {receipt.tasks} tasks"
    return (
        Place(
            place="store",
            destroyed=f"{names}; the name taken out of {receipt.rows} rows",
            remains=""
            if receipt.is_compact
            else "old bytes may still be in its file, which was read all the time: give the command again",
        ),
        Place(place="conversations", destroyed=f"{receipt.turns} turns"),
        Place(place="search index", destroyed="as a whole; the next search makes it of what is left"),
        Place(place="files sent", destroyed=f"{receipt.files} in inboxes and outboxes"),
        Place(place="exports", destroyed=f"{receipt.exports} conversations that were written out, of anybody"),
        *(place for group in receipt.groups for place in _of_group(group)),
        *_of_spaces(receipt.shared),
        Place(place="journal", remains="ids, times and keyed digests, never a text or a name; its chain is whole"),
        Place(
            place="logs",
            remains="ids and what failed, never what was said; a process keeps its last 16 MiB (./nightyard logs)",
        ),
        Place(
            place="proxy's audit",
            remains="of each request the address without its query, the time, sizes and digests, no content; it is "
            "the record of what left this machine, and goes after audit_days (./nightyard audit log --task TASK)",
        ),
        Place(
            place="backups",
            remains="Nightyard makes none: copies of the home that you made hold all of it until they are rotated; "
            "after bringing one back, give the command again",
        ),
        Place(place="elsewhere", remains="what the chat platform and the model's provider keep"),
    )


def _of_spaces(shared: tuple[str, ...]) -> Iterator[Place]:
    if shared:
        left = f"written in their tasks, and by others or for you to look through: {_named(shared)}"
        yield Place(place="shared folders", destroyed="the names of their files in the log", remains=left)


def _of_group(group: GroupFiles) -> Iterator[Place]:
    remains = []
    if group.left:
        remains.append(f"written in their tasks, and by others or for you to look through: {_named(group.left)}")
    if group.unknown:
        remains.append(f"what {group.unknown} older tasks wrote is not known: no moment before them is kept")
    if group.problem:
        remains.append(group.problem)
    yield Place(
        place=f"{group.group_id}: memory and workspace",
        destroyed=f"notes that were theirs alone: {_named(group.notes)}" if group.notes else "",
        remains="; ".join(remains),
    )
    needed = f"{group.needed} compared with what a task notes now, gone within an hour of its end"
    yield Place(
        place=f"{group.group_id}: undo history",
        destroyed=f"{group.moments} moments, all since their first task",
        remains=needed if group.needed else "",
    )
    yield Place(
        place=f"{group.group_id}: /home/agent",
        destroyed="the conversations that the harness kept, of everybody" if group.sessions else "",
        remains="what the agent's tools keep there is not looked at",
    )


def _named(paths: tuple[str, ...]) -> str:
    left = len(paths) - MAX_NAMED
    return ", ".join(map(escape, paths[:MAX_NAMED])) + (f" and {left} more" if left > 0 else "")
