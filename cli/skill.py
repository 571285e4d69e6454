"""`skill`: make, check, list, show and remove skills; `skill_add.py` takes those that others made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from cli.lazy_group import LazyGroup
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.reload import tell_host
from cli.screen import clean_line, cut, table
from cli.skill_add import origin_rows
from cli.skill_places import (
    SkillPlace,
    all_places,
    existing_place,
    groups_with,
    pin,
    place_of,
    read_lock,
    read_mounts,
    remove_tree,
    state_of,
    write_skill,
)
from cli.skill_view import front_of, tell_skill
from runtime.skills.catalogue import SKILL_FILE, read_front
from runtime.skills.content import SkillFile, SkillRefused, read_folder
from runtime.skills.frontmatter import MAX_DESCRIPTION_CHARS, SkillFault, is_skill_name

STATES = {
    "own": "written here",
    "pinned": "as pinned",
    "changed": "differs from skills.lock",
    "gone": "pinned, and not there",
}
_SKILL = """\
---
name: {name}
description: {description}
---

# {title}

1. Say here what to do, step by step, as to a colleague who has never done it.
2. Say what a good result looks like, and what must never happen.

Long references belong into files beside this one, named here with when to read them; scripts into `scripts/`.
"""

_group_option = click.option("--group", metavar="GROUP", help="Of this group alone: groups/GROUP/skills/.")


@click.group(
    cls=LazyGroup,
    elsewhere={"add": "cli.skill_add:add", "update": "cli.skill_add:update", "test": "cli.skill_trial:trial"},
)
def skill() -> None:
    """Make, check, test, add, update and remove skills."""


@skill.command()
@click.argument("name")
@click.option("--description", default="What it does, and when to use it.", help="What it does, and when to use it.")
@_group_option
def new(name: str, *, description: str, group: str | None) -> None:
    """Make a skill for you to write: a folder with its SKILL.md."""
    if not is_skill_name(name):
        text = f"{clean_line(name)!r} cannot be a skill's name: 1-64 of a-z, 0-9 and single inner hyphens"
        raise CliProblem(text, "./nightyard skill new my-skill", NOT_UNDERSTOOD)
    if not description.strip() or len(description) > MAX_DESCRIPTION_CHARS:
        text = f"a description has 1 to {MAX_DESCRIPTION_CHARS} characters, and this one {len(description.strip())}"
        raise CliProblem(text, "./nightyard skill new --help", NOT_UNDERSTOOD)
    place = place_of(name, group)
    if place.folder.exists():
        raise CliProblem(f"there is a skill {place.key} already", f"./nightyard skill show {name}")
    quoted = json.dumps(" ".join(description.split()), ensure_ascii=False)
    text = _SKILL.format(name=name, description=quoted, title=name.replace("-", " ").capitalize())
    write_skill(place.folder, {SKILL_FILE: SkillFile(content=text.encode())})
    click.echo(f"Made {place.folder / SKILL_FILE}: write into it what an agent should know.")
    click.echo(f"An agent has it once its group.yaml names it: skills: [{name}]")


@skill.command()
@click.argument("skills", nargs=-1)
@_group_option
def validate(skills: tuple[str, ...], *, group: str | None) -> None:
    """Check SKILLS (names, or folders anywhere), or all of the fork, against the format and skills.lock."""
    lock = read_lock()
    places = [_meant(each, group) for each in skills] if skills else list(all_places())
    wrong = 0
    for place in places:
        faults, remarks = _findings(place.folder)
        if state_of(place, lock) == "changed":
            faults.append("differs from skills.lock: somebody has changed it since it was added")
        wrong += bool(faults)
        click.echo(clean_line(f"{place.key}: {'wrong' if faults else 'sound'}"))
        for line in [*faults, *(f"note: {remark}" for remark in remarks)]:
            click.echo(f"  {clean_line(line)}")
    gone = sorted(set(lock) - {place.key for place in places if place.folder.is_dir()}) if not skills else []
    for key in gone:
        click.echo(clean_line(f"{key}: stands in skills.lock, and is not there"))
    if wrong or gone:
        raise CliProblem(f"{wrong + len(gone)} of {len(places) + len(gone)} skills are not sound", "docs/skills.md")
    if not places:
        click.echo("There are no skills: ./nightyard skill new NAME")


@skill.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_skills(as_json: bool) -> None:
    """List the fork's skills: where each lies, how it stands to skills.lock, which agents have it."""
    rows = list(_rows())
    if as_json:
        click.echo(json.dumps({"skills": [asdict(row) for row in rows]}, indent=2, ensure_ascii=False))
    elif rows:
        click.echo(
            table(
                [
                    [row.folder, STATES.get(row.state, row.state), ", ".join(row.groups) or "–", row.about]
                    for row in rows
                ]
            )
        )
    else:
        click.echo("There are no skills: ./nightyard skill new NAME, or ./nightyard skill add SOURCE")


@skill.command()
@click.argument("name")
@_group_option
def show(name: str, *, group: str | None) -> None:
    """Show one skill: what it says, where it came from, what it holds, which agents have it."""
    place = existing_place(name, group)
    lock = read_lock()
    try:
        tree = read_folder(place.folder)
    except SkillRefused as refused:
        text = f"{place.key} holds what no skill may: {clean_line(str(refused))}"
        raise CliProblem(text, f"look into {place.folder}") from refused
    state = state_of(place, lock)
    agents = ", ".join(groups_with(place, read_mounts())) or "none"
    rows = [("where", place.key), ("agents", agents), ("state", STATES.get(state, state))]
    locked = lock.get(place.key)
    tell_skill(name, front_of(tree, name), tree, [*rows, *(origin_rows(locked) if locked else [])])


@skill.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Although agents have it: they wait until their group.yaml is mended.")
@_group_option
def remove(name: str, *, force: bool, group: str | None) -> None:
    """Remove a skill's folder, and its entry in skills.lock."""
    place = place_of(name, group)
    if not place.folder.is_dir() and not place.folder.is_symlink() and place.key not in read_lock():
        existing_place(name, group)
    users = groups_with(place, read_mounts()) if place.folder.is_dir() else []
    if users and not force:
        mend = f"take it out of skills in groups/{users[0]}/group.yaml, or the same command with --force"
        raise CliProblem(f"{place.key} is mounted in {', '.join(users)}", mend)
    remove_tree(place.folder)
    pin(place, None)
    click.echo(f"Removed {place.key}.")
    tell_host()


def _meant(given: str, group: str | None) -> SkillPlace:
    """Return the skill of that name, or the folder that a path leads to."""
    if "/" not in given and given not in (".", ".."):
        return existing_place(given, group)
    folder = Path(given).expanduser().resolve()
    if not folder.is_dir():
        raise CliProblem(f"{clean_line(given)} is no folder", f"ls -ld {folder}")
    known = next((place for place in all_places() if place.folder.resolve() == folder), None)
    return known or SkillPlace(name=folder.name, key=str(folder), folder=folder)


def _findings(folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """Return what is wrong with a skill's folder, and what somebody should know of it."""
    faults: list[str] = []
    try:
        read_folder(folder)
    except SkillRefused as refused:
        faults.append(str(refused))
    front = read_front(folder)
    if isinstance(front, SkillFault):
        return [*faults, front.message], ()
    return [*faults, *front.deviations], front.remarks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    skill: str
    folder: str
    state: str
    groups: tuple[str, ...] = ()
    description: str = ""
    problems: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        return f"wrong: {self.problems[0]}" if self.problems else cut(clean_line(self.description), 60)


def _rows() -> Iterator[_Row]:
    lock, mounts = read_lock(), read_mounts()
    seen = set()
    for place in all_places():
        seen.add(place.key)
        faults, _ = _findings(place.folder)
        front = read_front(place.folder)
        yield _Row(
            skill=place.name,
            folder=place.key,
            state=state_of(place, lock),
            groups=tuple(groups_with(place, mounts)),
            description="" if isinstance(front, SkillFault) else front.description,
            problems=tuple(faults),
        )
    for key in sorted(set(lock) - seen):
        name = key.rpartition("/")[2]
        yield _Row(skill=name, folder=key, state="gone")
