"""Which skills a group has: the cards of the folders that its group.yaml names, looked up anew for each task.

A skill lies in `groups/<group>/skills/<name>` or in `skills/<name>` of the fork; the nearer one wins. The agent opens
the rest by itself, from /skills (`agents/skillbook.py`). What a SKILL.md says is `frontmatter.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.link import SkillCard
from runtime.skills.foreign_tools import describe_tools
from runtime.skills.frontmatter import SkillFault, SkillFront, parse_skill

SKILL_FILE = "SKILL.md"
MAX_SKILL_BYTES = 512 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillProblem:
    """Why a skill that a group names is left out."""

    name: str
    message: str
    file: str = ""
    """Its SKILL.md, from the fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    card: SkillCard
    folder: Path


def load_skills(fork: Path, group_id: str, names: Sequence[str]) -> tuple[tuple[Skill, ...], tuple[SkillProblem, ...]]:
    """Read the cards of the skills that a group names; those that cannot be used come back as problems."""
    skills: list[Skill] = []
    problems: list[SkillProblem] = []
    for name in dict.fromkeys(names):
        found = _load_skill(find_skill(fork, group_id, name), name)
        if isinstance(found, Skill):
            skills.append(found)
        else:
            file = find_skill(fork, group_id, name) / SKILL_FILE
            problems.append(SkillProblem(name=name, message=found.message, file=file.relative_to(fork).as_posix()))
    return tuple(skills), tuple(problems)


def find_skill(fork: Path, group_id: str, name: str) -> Path:
    """Return the folder that a group means by a name, whether it is there or not."""
    own = own_skills(fork, group_id) / name
    return own if own.is_dir() else fork / "skills" / name


def own_skills(fork: Path, group_id: str) -> Path:
    """Return the folder of the skills that are one group's alone."""
    return fork / "groups" / group_id / "skills"


def skill_names(fork: Path, group_id: str = "") -> list[str]:
    """Return the skills that a group could name, whatever is in them; without a group, those that all can."""
    folders = [fork / "skills", *([own_skills(fork, group_id)] if group_id else [])]
    return sorted({name for folder in folders for name in names_in(folder)})


def names_in(folder: Path) -> Iterator[str]:
    """Yield the folders in a folder of skills; those that begin with a dot are not meant."""
    if folder.is_dir():
        yield from (each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def read_front(folder: Path) -> SkillFront | SkillFault:
    """Read what the skill in a folder says of itself."""
    path = folder / SKILL_FILE
    try:
        if path.stat().st_size > MAX_SKILL_BYTES:
            return SkillFault(message=f"SKILL.md is larger than {MAX_SKILL_BYTES >> 10} KiB")
        return parse_skill(folder.name, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return SkillFault(message=f"SKILL.md cannot be read: {error}")


def build_card(name: str, front: SkillFront) -> SkillCard:
    """Return what a model sees of a skill until it opens it: also what its tools are called here."""
    return SkillCard(name=name, description=f"{front.description} {describe_tools(front.tools)}".rstrip())


def _load_skill(folder: Path, name: str) -> Skill | SkillFault:
    front = read_front(folder)
    return front if isinstance(front, SkillFault) else Skill(card=build_card(name, front), folder=folder)
