"""What a skill's folder holds: read file by file and made one hash of, so that a changed one is noticed.

The hash is over names and contents, in order; it is the same for a folder, an archive and a checkout of it. Blocking.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.skills.catalogue import find_skill

MAX_FILES = 2_000
MAX_BYTES = 64 << 20
MAX_PATH_CHARS = 240
MAX_DEPTH = 12
"""Folders within folders."""
LEFT_OUT = frozenset({".git", "__pycache__", "__MACOSX", ".DS_Store"})
"""What version control and desktops leave in folders; nothing of it is part of a skill, at whatever depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFile:
    content: bytes
    is_executable: bool = False


SkillTree = Mapping[str, SkillFile]
"""Path from the skill's folder, with `/`, to the file."""


class SkillRefused(Exception):
    """What was given is taken whole or not at all, and it is not taken; the text says why."""


def check_size(files: int, content_bytes: int) -> None:
    """Raise SkillRefused for more than a skill may hold."""
    if files > MAX_FILES:
        raise SkillRefused(f"it holds more than {MAX_FILES} files")
    if content_bytes > MAX_BYTES:
        raise SkillRefused(f"it holds more than {MAX_BYTES >> 20} MiB")


def is_left_out(path: str) -> bool:
    return not LEFT_OUT.isdisjoint(path.split("/"))


def read_folder(folder: Path) -> dict[str, SkillFile]:
    """Return all that a folder holds; raises SkillRefused where it holds links or devices, or too much."""
    return dict(_files_of(folder))


def hash_folder(folder: Path) -> str:
    """Return the hash of what a folder holds; raises SkillRefused as `read_folder`. Holds one file at a time."""
    return hash_files(_files_of(folder))


def hash_skill(fork: Path, group_id: str, name: str) -> str:
    """Return the hash of the skill that a group means by a name; empty if it has none that could be read."""
    try:
        return hash_folder(find_skill(fork, group_id, name))
    except SkillRefused:
        return ""


def hash_files(files: Iterable[tuple[str, SkillFile]]) -> str:
    """Return SHA-256 in hex over names and contents, given in the order of the names."""
    digest = hashlib.sha256()
    for path, file in files:
        shown = path.encode("utf-8", "surrogateescape")
        digest.update(len(shown).to_bytes(4, "big") + shown + len(file.content).to_bytes(8, "big") + file.content)
    return digest.hexdigest()


def hash_tree(tree: SkillTree) -> str:
    return hash_files(sorted(tree.items()))


def _files_of(folder: Path) -> Iterator[tuple[str, SkillFile]]:
    """Yield the files in the order of their names."""
    seen_bytes = 0
    try:
        paths = sorted(_paths_in(folder))
        for path in paths:
            file = _read(folder / path, path, MAX_BYTES - seen_bytes)
            seen_bytes += len(file.content)
            yield path, file
    except OSError as error:
        raise SkillRefused(f"{error.filename or folder} cannot be read: {error.strerror}") from error
    if not paths:
        raise SkillRefused("it holds no file")


def _paths_in(folder: Path) -> list[str]:
    found: list[str] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        if inside.count("/") > MAX_DEPTH:
            raise SkillRefused(f"{inside[:80]}… lies more than {MAX_DEPTH} folders deep")
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                path = f"{inside}{entry.name}"
                if entry.name in LEFT_OUT:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{path}/")
                    continue
                found.append(path)
                check_size(len(found), 0)
    return found


def _read(full: Path, path: str, room_bytes: int) -> SkillFile:
    kind = full.lstat()
    if not stat.S_ISREG(kind.st_mode):
        what = "a link" if stat.S_ISLNK(kind.st_mode) else "a device, a pipe or a socket"
        raise SkillRefused(f"{path} is {what}: a skill holds files and folders only")
    descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(room_bytes + 1)
    check_size(0, MAX_BYTES - room_bytes + len(content))
    return SkillFile(content=content, is_executable=bool(kind.st_mode & 0o111))
