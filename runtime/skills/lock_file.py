"""skills.lock: where each added skill came from, and the hash of what it held when somebody said yes to it. Pure.

YAML in the fork's root, written by `nightyard skill`. What a person writes into `skills/` by hand does not stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import yaml

from runtime.yaml_record import ConfigProblem, key, parse_record

LOCK_FILE = "skills.lock"
_HEAD = "# What was added with `nightyard skill add`, as somebody said yes to it. Kept under version control.\n"


def _check_hash(text: str) -> str | None:
    is_hash = len(text) == 64 and all(char in "0123456789abcdef" for char in text)
    return None if is_hash else "should be a SHA-256 in hex"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSkill:
    sha256: str = key("", check=_check_hash)
    """Of names and contents (`content.py`)."""
    source: str = ""
    """As it was given: a folder, an archive or a git URL."""
    kind: Literal["folder", "archive", "git"] = "folder"
    path: str = ""
    """The skill's folder within the source; empty for the source itself."""
    ref: str = ""
    """The branch or tag that was asked for; empty for the one that the repository begins with."""
    commit: str = ""
    """What that was then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    skills: Mapping[str, LockedSkill] = field(default_factory=dict)


def parse_lock(text: str) -> tuple[dict[str, LockedSkill], tuple[ConfigProblem, ...]]:
    """Return the pinned skills, by their folder from the fork (`skills/pdf`), and what is wrong with the file."""
    reading = parse_record(text, LOCK_FILE, _Lock())
    return dict(reading.value.skills), reading.problems


def format_lock(skills: Mapping[str, LockedSkill]) -> str:
    """Return the file's text, empty for no skill."""
    if not skills:
        return ""
    names = LockedSkill.__dataclass_fields__
    told = {
        place: {name: value for name in names if (value := getattr(locked, name))}
        for place, locked in sorted(skills.items())
    }
    return _HEAD + yaml.safe_dump({"skills": told}, sort_keys=False, width=1000)
