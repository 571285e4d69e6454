"""What a person is shown of a skill before it is taken, and when asked for it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cli.problem import CliProblem
from cli.screen import clean_line, cut, table
from cli.style import RED, paint
from runtime.skills.catalogue import MAX_SKILL_BYTES, SKILL_FILE
from runtime.skills.content import SkillTree
from runtime.skills.foreign_tools import tool_here
from runtime.skills.frontmatter import SkillFault, SkillFront, parse_skill
from runtime.skills.inspection import Inspection, inspect, text_of

MAX_SHOWN_FILES = 60
MAX_SHOWN_HOSTS = 40


def front_of(tree: SkillTree, name: str) -> SkillFront:
    """Return what the skill says of itself; a CliProblem for one that could not be used."""
    file = tree.get(SKILL_FILE)
    text = None if file is None or len(file.content) > MAX_SKILL_BYTES else text_of(file)
    if text is None:
        what = f"no {SKILL_FILE} of text and at most {MAX_SKILL_BYTES >> 10} KiB"
        raise CliProblem(f"{clean_line(name)} has {what}", "give the folder that has one")
    front = parse_skill(name, text)
    if isinstance(front, SkillFault):
        raise CliProblem(f"{clean_line(name)} is no skill: {clean_line(front.message)}", f"mend its {SKILL_FILE}")
    return front


def tell_skill(name: str, front: SkillFront, tree: SkillTree, rows: Sequence[tuple[str, str]]) -> Inspection:
    """Show a skill: what it says, what it holds, what somebody should look at. `rows`: what the caller knows of it."""
    seen = inspect(tree)
    told = [("skill", name), ("about", cut(clean_line(front.description), 300)), *rows]
    told += [(key, value) for key, value in (("license", front.license), ("needs", front.compatibility)) if value]
    told += [(key, cut(clean_line(value), 200)) for key, value in front.metadata.items()]
    if front.tools:
        told.append(("tools", ", ".join(_tool(each) for each in front.tools)))
    hosts = ", ".join(seen.hosts[:MAX_SHOWN_HOSTS]) + (" …" if len(seen.hosts) > MAX_SHOWN_HOSTS else "")
    total = sum(len(file.content) for file in tree.values())
    told += [("hosts", hosts or "names none"), ("files", f"{len(tree)}, {_size(total)}")]
    click.echo(table([list(row) for row in told]))
    click.echo(table(_file_rows(tree, seen), indent="    "))
    tell_suspicions(seen)
    for deviation in front.deviations:
        click.echo(clean_line(f"not to the format: {deviation}"))
    for remark in front.remarks:
        click.echo(clean_line(f"note: {remark}"))
    return seen


def tell_suspicions(seen: Inspection) -> None:
    """Show what looks as if it were meant to mislead an agent, line by line."""
    if not seen.suspicions:
        return
    click.echo(paint("Looks like injection, or reaches for what no skill should; read these lines:", RED))
    for each in seen.suspicions:
        click.echo(paint(clean_line(f"  {each.file}:{each.line}: {each.what}: {each.words}"), RED))
    if seen.more_suspicions:
        click.echo(paint(f"  … and {seen.more_suspicions} more", RED))


def _file_rows(tree: SkillTree, seen: Inspection) -> list[list[str]]:
    rows = []
    for path, file in sorted(tree.items())[:MAX_SHOWN_FILES]:
        kind = "script" if path in seen.scripts else "" if text_of(file) is not None else "no text"
        rows.append([path, _size(len(file.content)), kind])
    if len(tree) > MAX_SHOWN_FILES:
        rows.append([f"… and {len(tree) - MAX_SHOWN_FILES} more", "", ""])
    return rows


def _tool(named: str) -> str:
    here = tool_here(named)
    if not here:
        return f"{named} (not here)"
    return named if named == here else f"{named} ({here})"


def _size(content_bytes: int) -> str:
    return f"{content_bytes} B" if content_bytes < 1024 else f"{content_bytes / 1024:.1f} KiB"
