"""Manifest: what two folders of a group held at one moment, by the digests of the files' bytes. Pure.

Paths are relative, `workspace/notes.md`, as `os.fsdecode` gives them: any bytes that a file system takes. A manifest's
id is the SHA-256 of its text, so that two moments with the same content are one manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VERSION = 1
LARGE = "large:"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder. Owners and times are not kept: a restored file belongs to its folder's owner."""

    kind: Literal["file", "folder", "link", "special"]
    """`special`: a pipe, a socket or a device, of which only that it was there is known."""
    mode: int
    """The permission bits; of a link 0."""
    content: str = ""
    """Of a file the SHA-256 of its bytes in hex; of one too large to keep `large:` and what the kernel says of it; of a
    link where it leads; of something special what it is, as people call it."""
    size: int = 0
    twin: str = field(default="", compare=False)
    """Of a file with several names (hard links) the first of them, under the others."""

    @property
    def is_kept(self) -> bool:
        """Whether its content can be had back."""
        return self.kind != "file" or not self.content.startswith(LARGE)


Manifest = Mapping[str, Entry]
"""By path, the folder before what is in it."""


def manifest_text(manifest: Manifest) -> str:
    """Return the manifest as it is stored: a line of JSON an entry, after one with the version."""
    lines = [json.dumps({"version": VERSION})]
    for path in sorted(manifest):
        entry = manifest[path]
        twin = [entry.twin] if entry.twin else []
        lines.append(json.dumps([path, entry.kind, entry.mode, entry.content, entry.size, *twin]))
    return "\n".join(lines) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Return the manifest that a text says; raise ValueError for any other text."""
    head, *lines = text.splitlines()
    if json.loads(head) != {"version": VERSION}:
        raise ValueError("not a manifest of this version")
    return {path: Entry(*entry) for path, *entry in map(json.loads, lines)}


def manifest_id(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between what is and what was."""

    path: str
    kind: Literal["restore", "recreate", "remove", "cannot"]
    """`restore`: it is there with other bytes or another mode; `recreate`: it is gone; `remove`: it was not there;
    `cannot`: it was too large to keep."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A file or link that is not what it was."""

    path: str
    before: bytes | None
    """None: it was not there, or is nothing that can be shown."""
    after: bytes | None
    was_there: bool
    is_there: bool


def plan_restore(now: Manifest, then: Manifest) -> tuple[Change, ...]:
    """Return what must change for the folders to be again what they were, by path."""
    changes = []
    for path in sorted(now.keys() | then.keys()):
        have, want = now.get(path), then.get(path)
        if have == want or (want is not None and want.kind == "special"):
            continue
        if want is None:
            changes.append(Change(path, "remove"))
        elif not want.is_kept:
            changes.append(Change(path, "cannot"))
        else:
            changes.append(Change(path, "recreate" if have is None else "restore"))
    return tuple(changes)


def lost_by_restoring(now: Manifest, then: Manifest) -> tuple[str, ...]:
    """Return what a restore does not bring back, a sentence each: what is no file, and that names meant one file."""
    lines = [
        f"{path} was {want.content}, and is not made again."
        for path, want in sorted(then.items())
        if want.kind == "special" and now.get(path) != want
    ]
    for first, names in sorted(_names_of_one(then).items()):
        is_whole = all(now.get(name) == then[name] for name in names)
        if not is_whole or not set(names) <= set(_names_of_one(now).get(first, ())):
            lines.append(f"{', '.join(names)} were names of one file (hard links); each is a file of its own then.")
    return tuple(lines)


def _names_of_one(manifest: Manifest) -> dict[str, list[str]]:
    """Return the names of each file that has several, by the first."""
    found: dict[str, list[str]] = {}
    for path in sorted(manifest):
        if twin := manifest[path].twin:
            found.setdefault(twin, [twin]).append(path)
    return found
