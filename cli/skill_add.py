"""`skill add` and `skill update`: skills that others made, shown before they are taken, and pinned as they were."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import PurePosixPath

import click

from cli.grants_file import show_diff
from cli.problem import CliProblem
from cli.reload import tell_host
from cli.screen import clean_line
from cli.skill_places import SkillPlace, existing_place, pin, place_of, read_lock, write_skill
from cli.skill_source import Fetched, absolute_source, fetch_skill
from cli.skill_view import front_of, tell_skill, tell_suspicions
from runtime.skills.content import SkillFile, SkillRefused, SkillTree, hash_tree, read_folder
from runtime.skills.frontmatter import is_skill_name
from runtime.skills.inspection import inspect, text_of
from runtime.skills.lock_file import LockedSkill

_group_option = click.option("--group", metavar="GROUP", help="Of this group alone: groups/GROUP/skills/.")
_sure_option = click.option("--yes", "is_sure", is_flag=True, help="Take it without asking.")


@click.command()
@click.argument("source")
@click.option("--path", default="", help="The skill's folder within SOURCE, where that holds several.")
@click.option("--ref", default="", help="Of a git URL: this branch or tag.")
@_group_option
@_sure_option
def add(source: str, *, path: str, ref: str, group: str | None, is_sure: bool) -> None:
    """Take a skill from SOURCE: a folder, an archive (tar, tar.gz, zip) or a git URL.

    Shows what it holds and asks; then its content is pinned in skills.lock.
    """
    fetched = fetch_skill(source, path, ref)
    name = _name_of(fetched, source)
    place = place_of(name, group)
    if place.folder.exists():
        option = f" --group {group}" if group else ""
        raise CliProblem(f"there is a skill {place.key} already", f"./nightyard skill update {name}{option}")
    locked = _locked(fetched, absolute_source(source), ref)
    seen = tell_skill(name, front_of(fetched.tree, name), fetched.tree, origin_rows(locked))
    _agree(f"Take it as {place.key}?", is_sure=is_sure, is_suspicious=bool(seen.suspicions))
    write_skill(place.folder, fetched.tree)
    pin(place, locked)
    click.echo(f"Taken as {place.key}, and pinned in skills.lock.")
    click.echo(f"An agent has it once its group.yaml names it: skills: [{name}]")
    tell_host()


@click.command()
@click.argument("name")
@click.argument("source", required=False)
@click.option("--pin", "is_pin", is_flag=True, help="Pin what is there now, changed here or not; fetch nothing.")
@click.option("--force", is_flag=True, help="With --yes: also over what was changed here.")
@_group_option
@_sure_option
def update(name: str, source: str | None, *, is_pin: bool, force: bool, group: str | None, is_sure: bool) -> None:
    """Take the skill NAME anew from where it came, or from SOURCE, with what that changes shown."""
    place = existing_place(name, group)
    locked = read_lock().get(place.key)
    if locked is None:
        raise CliProblem(f"{place.key} was not added, so there is nowhere to take it from", "edit its files")
    here = _read(place)
    if is_pin:
        pin(place, replace(locked, sha256=hash_tree(here)))
        click.echo(f"{place.key} is pinned as it is.")
        return
    wanted = absolute_source(source) if source else locked.source
    fetched = fetch_skill(wanted, locked.path, locked.ref)
    front_of(fetched.tree, name)
    fresh = _locked(fetched, wanted, locked.ref)
    is_changed_here = hash_tree(here) != locked.sha256
    if fresh.sha256 == hash_tree(here):
        pin(place, fresh)
        click.echo(f"{place.key} is as its source has it.")
        return
    _tell_changes(here, fetched.tree)
    if is_changed_here:
        click.echo(f"{place.key} was changed here since it was pinned: that is lost.")
        if is_sure and not force:
            raise CliProblem(f"{place.key} is left as it is", "the same command with --yes --force")
    suspicious = bool(inspect(fetched.tree).suspicions)
    _agree(f"Take it as {place.key}?", is_sure=is_sure, is_suspicious=suspicious)
    write_skill(place.folder, fetched.tree)
    pin(place, fresh)
    click.echo(f"{place.key} is the new one, for the next task that has it.")
    tell_host()


def origin_rows(locked: LockedSkill) -> list[tuple[str, str]]:
    """Return where a skill came from, as rows of a table."""
    rows = [("from", f"{locked.source} ({locked.kind})"), ("folder", locked.path), ("branch", locked.ref)]
    rows += [("commit", locked.commit), ("sha256", locked.sha256)]
    return [(key, value) for key, value in rows if value]


def _name_of(fetched: Fetched, source: str) -> str:
    """Return the name that the skill is to have: its own, if that can be one, or its folder's."""
    folder = PurePosixPath(fetched.path or absolute_source(source)).name.removesuffix(".git")
    own = front_of(fetched.tree, folder).name
    name = own if is_skill_name(own) else folder
    if not is_skill_name(name):
        text = f"neither its name {clean_line(own)!r} nor its folder {clean_line(folder)!r} can be a skill's name"
        raise CliProblem(f"{text}: 1-64 of a-z, 0-9 and single inner hyphens", "rename its folder")
    return name


def _locked(fetched: Fetched, source: str, ref: str) -> LockedSkill:
    return LockedSkill(
        sha256=hash_tree(fetched.tree),
        source=source,
        kind=fetched.kind,
        path=fetched.path,
        ref=ref,
        commit=fetched.commit,
    )


def _read(place: SkillPlace) -> dict[str, SkillFile]:
    try:
        return read_folder(place.folder)
    except SkillRefused as refused:
        text = f"{place.key} cannot be compared: {clean_line(str(refused))}"
        raise CliProblem(text, f"./nightyard skill remove {place.name} --force, and add it again") from refused


def _tell_changes(before: SkillTree, after: SkillTree) -> None:
    changed = sorted(path for path in {*before, *after} if _content(before, path) != _content(after, path))
    for path in changed:
        old, new = (text_of(tree[path]) if path in tree else "" for tree in (before, after))
        if old is None or new is None:
            sizes = f"{len(_content(before, path))} B before, {len(_content(after, path))} B now"
            click.echo(clean_line(f"{path}: no text; {sizes}"))
        else:
            show_diff(old, new, clean_line(path))
    hosts = sorted(set(inspect(after).hosts) - set(inspect(before).hosts))
    if hosts:
        click.echo(f"New hosts: {', '.join(hosts)}")
    tell_suspicions(inspect({path: after[path] for path in changed if path in after}))


def _content(tree: SkillTree, path: str) -> bytes:
    return tree[path].content if path in tree else b""


def _agree(question: str, *, is_sure: bool, is_suspicious: bool) -> None:
    """Go on only with a yes; raises CliProblem otherwise. With suspicious lines the usual answer is no."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise CliProblem("there is no terminal to ask whether that is meant", "read it, then the same with --yes")
    if not click.confirm(question, default=not is_suspicious):
        raise CliProblem("nothing was changed", "the same command again, if it is meant after all")
