"""Where skills lie in the fork, who has them, and how they stand to skills.lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.grants_file import read_group
from cli.place import find_fork
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line
from protocol.ids import GroupId
from runtime.group_reading import load_groups
from runtime.settings_file import group_names, load_settings
from runtime.skills.catalogue import find_skill, names_in, own_skills
from runtime.skills.content import SkillRefused, SkillTree, hash_folder
from runtime.skills.lock_file import LOCK_FILE, LockedSkill, format_lock, parse_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillPlace:
    """A skill's folder in the fork, whether it is there or not."""

    name: str
    key: str
    """The folder, from the fork: as skills.lock has it. Of a folder elsewhere its whole path."""
    folder: Path


def place_of(name: str, group: str | None) -> SkillPlace:
    """Return the place that a command line means; a group that there is not is a CliProblem, as is a name that is
    no folder's."""
    if not name or "/" in name or name.startswith(".") or "\0" in name:
        raise CliProblem(f"{clean_line(name)!r} is no skill's name", "./nightyard skill list", NOT_UNDERSTOOD)
    return _place(name, "" if group is None else read_group(group))


def existing_place(name: str, group: str | None) -> SkillPlace:
    """Return the place of a skill that is there; another one is a CliProblem."""
    place = place_of(name, group)
    if not place.folder.is_dir():
        where = "the fork's skills/" if group is None else f"groups/{group}/skills/"
        raise CliProblem(f"there is no skill {clean_line(name)!r} in {where}", "./nightyard skill list")
    return place


def all_places() -> Iterator[SkillPlace]:
    """Yield every skill of the fork, those of all first."""
    fork = find_fork()
    for name in sorted(names_in(fork / "skills")):
        yield _place(name, "")
    for group in group_names(fork):
        for name in sorted(names_in(own_skills(fork, group))):
            yield _place(name, group)


def _place(name: str, group: str) -> SkillPlace:
    key = f"groups/{group}/skills/{name}" if group else f"skills/{name}"
    return SkillPlace(name=name, key=key, folder=find_fork() / key)


def read_mounts() -> Mapping[GroupId, tuple[str, ...]]:
    """Return the skills that each group names, suspended ones too."""
    fork = find_fork()
    return load_groups(fork, load_settings(fork)).mounts


def groups_with(place: SkillPlace, mounts: Mapping[GroupId, tuple[str, ...]]) -> list[str]:
    """Return the groups that mount exactly this one."""
    fork = find_fork()
    return sorted(
        group
        for group, names in mounts.items()
        if place.name in names and find_skill(fork, group, place.name) == place.folder
    )


def read_lock() -> dict[str, LockedSkill]:
    """Return the pinned skills; a lock that cannot be read is a CliProblem: nothing may be taken for unpinned."""
    path = find_fork() / LOCK_FILE
    try:
        locked, problems = parse_lock(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CliProblem(f"{path} cannot be read: {error}", f"check who owns {path}") from error
    if problems:
        raise CliProblem(clean_line(str(problems[0])), f"git checkout -- {LOCK_FILE}")
    return locked


def pin(place: SkillPlace, locked: LockedSkill | None) -> None:
    """Write a skill's entry of skills.lock, or take it out; the file is whole or as it was."""
    path = find_fork() / LOCK_FILE
    known = {key: each for key, each in read_lock().items() if key != place.key}
    if locked is not None:
        known[place.key] = locked
    fresh = path.with_name(f".{LOCK_FILE}.{os.getpid()}")
    try:
        if not known:
            path.unlink(missing_ok=True)
            return
        fresh.write_text(format_lock(known), "utf-8")
        fresh.replace(path)
    except OSError as error:
        raise CliProblem(f"{path} cannot be written: {error.strerror}", f"check who owns {path.parent}") from error


def state_of(place: SkillPlace, lock: Mapping[str, LockedSkill]) -> str:
    """Return how a skill stands to its lock: `own`, `pinned`, `changed`, or why it cannot be told."""
    locked = lock.get(place.key)
    try:
        found = hash_folder(place.folder)
    except SkillRefused as refused:
        return f"refused: {refused}"
    if locked is None:
        return "own"
    return "pinned" if found == locked.sha256 else "changed"


def write_skill(folder: Path, tree: SkillTree) -> None:
    """Put the files into place: the folder is the new one or, after an error, the old one."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        for path, file in tree.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
            target.chmod(0o755 if file.is_executable else 0o644)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        raise CliProblem(f"{folder} cannot be written: {error.strerror}", f"check who owns {folder.parent}") from error
    remove_tree(old)


def remove_tree(folder: Path) -> None:
    """Remove a skill's folder, or the link that stands for one."""
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise CliProblem(f"{folder} cannot be removed: {error.strerror}", f"check who owns {folder.parent}") from error
