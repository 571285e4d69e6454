"""Which spaces there are: `spaces/<name>/space.yaml` in the fork. Pure, but for `load_spaces`.

A space is a folder that groups share, each as its group.yaml says: `spaces: {notes: rw}`. Its files are state, in the
home (`Home.space`); what is here is only what somebody decided about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from protocol.ids import is_group_id
from runtime.settings_file import nearest_name
from runtime.yaml_record import ConfigProblem, Reading, key, parse_record

FOLDER = "spaces"
FILE = "space.yaml"
MAX_DESCRIPTION_CHARS = 300
"""It is read by the models of all that share the space, each time."""
MAX_FILES = 100_000
Access = Literal["ro", "rw"]


def _check_description(text: str) -> str | None:
    if len(text) > MAX_DESCRIPTION_CHARS:
        return f"has {len(text)} characters, the most is {MAX_DESCRIPTION_CHARS}"
    return None if text.isprintable() else "should be one line"


def check_space_name(name: str) -> str | None:
    """Return what is wrong with a space's name, or None."""
    return None if is_group_id(name) else f"should be 1-32 of a-z, 0-9 and inner hyphens, but it is {name[:60]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSettings:
    """All of space.yaml."""

    description: str = key("", check=_check_description)
    """What it is for: the agents that share it read this."""
    quota_mb: int = key(1024, least=1, most=1_000_000)
    """What its files may take of the disk; who writes beyond it is ended."""
    max_files: int = key(10_000, least=1, most=MAX_FILES)
    """Files, folders and links in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedSpace:
    """A space as one group has it."""

    name: str
    access: Access
    settings: SpaceSettings = SpaceSettings()


def parse_space(name: str, text: str) -> Reading[SpaceSettings]:
    """Return what a space.yaml says, and what is wrong with it."""
    return parse_record(text, f"{FOLDER}/{name}/{FILE}", SpaceSettings())


def load_spaces(fork: Path) -> Mapping[str, Reading[SpaceSettings]]:
    """Read every space of the fork, by name. A folder without a space.yaml is none."""
    found = {}
    for path in sorted((fork / FOLDER).glob(f"*/{FILE}")):
        name = path.parent.name
        shown = f"{FOLDER}/{name}/{FILE}"
        try:
            reading = parse_space(name, path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reading = _unreadable(shown, f"cannot be read: {error}")
        wrong = check_space_name(name)
        found[name] = _unreadable(shown, f"its folder's name {wrong}") if wrong else reading
    return found


def grant_spaces(
    granted: Mapping[str, Access], declared: Mapping[str, Reading[SpaceSettings]], file: str, lines: Mapping[str, int]
) -> tuple[tuple[GrantedSpace, ...], tuple[ConfigProblem, ...]]:
    """Return a group's spaces as `declared`, and what is wrong with them. `lines`: of the group's file."""
    spaces, problems = [], list(_unknown(granted, declared, file, lines))
    for name in sorted(granted.keys() & declared.keys()):
        problems += declared[name].problems
        spaces.append(GrantedSpace(name=name, access=granted[name], settings=declared[name].value))
    return tuple(spaces), tuple(problems)


def _unknown(
    granted: Mapping[str, Access], declared: Mapping[str, object], file: str, lines: Mapping[str, int]
) -> Iterator[ConfigProblem]:
    for name in sorted(granted.keys() - declared.keys()):
        known = ", ".join(declared) or f"none; `nightyard space add {name}` makes it"
        message, place = f"there is no space {name!r} (known: {known})", f"spaces.{name}"
        near = nearest_name(name, declared)
        yield ConfigProblem(file=file, line=lines.get(place, 1), key=place, message=message, nearest=near)


def _unreadable(shown: str, message: str) -> Reading[SpaceSettings]:
    problem = ConfigProblem(file=shown, line=1, key="", message=message)
    return Reading(value=SpaceSettings(), problems=(problem,), lines={})
