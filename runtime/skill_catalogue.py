"""Which skills a group has: the cards of the folders named in its group.yaml. Pure, but for `load_skills`.

A skill is a folder with SKILL.md in the open Agent Skills format; the card is its front matter. The agent opens the
rest by itself, from /skills (`agents/skillbook.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from protocol.link import SkillCard

MAX_SKILL_BYTES = 512 << 10
MAX_DESCRIPTION_CHARS = 1024
"""The format's own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillProblem:
    """Why a skill that a group names is left out."""

    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    card: SkillCard
    folder: Path


@functools.lru_cache(maxsize=256)
def parse_skill_card(name: str, text: str) -> SkillCard | SkillProblem:
    """Return the card that SKILL.md's front matter makes. The folder's name is the skill's, whatever it says."""
    if not text.startswith("---\n"):
        return SkillProblem(name=name, message="SKILL.md does not begin with a --- line")
    head, end, _ = text[4:].partition("\n---")
    if not end:
        return SkillProblem(name=name, message="the front matter of SKILL.md has no closing --- line")
    try:
        front = yaml.safe_load(head)
    except (yaml.YAMLError, RecursionError) as error:
        return SkillProblem(name=name, message=f"the front matter of SKILL.md is not YAML: {str(error)[:200]}")
    description = front.get("description") if isinstance(front, dict) else None
    if not isinstance(description, str) or not description.strip():
        return SkillProblem(name=name, message="SKILL.md has no description")
    return SkillCard(name=name, description=" ".join(description.split())[:MAX_DESCRIPTION_CHARS])


def load_skills(fork: Path, names: Sequence[str]) -> tuple[tuple[Skill, ...], tuple[SkillProblem, ...]]:
    """Read the cards of the named skills; those that cannot be used come back as problems."""
    skills: list[Skill] = []
    problems: list[SkillProblem] = []
    for name in dict.fromkeys(names):
        folder = fork / "skills" / name
        card = _load_card(folder, name)
        if isinstance(card, SkillProblem):
            problems.append(card)
        else:
            skills.append(Skill(card=card, folder=folder))
    return tuple(skills), tuple(problems)


def skill_names(fork: Path) -> list[str]:
    """Return the folders under skills/, whatever is in them."""
    folder = fork / "skills"
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def _load_card(folder: Path, name: str) -> SkillCard | SkillProblem:
    path = folder / "SKILL.md"
    try:
        if path.stat().st_size > MAX_SKILL_BYTES:
            return SkillProblem(name=name, message=f"SKILL.md is larger than {MAX_SKILL_BYTES >> 10} KiB")
        return parse_skill_card(name, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return SkillProblem(name=name, message=f"SKILL.md cannot be read: {error}")
