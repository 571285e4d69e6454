"""`space`: folders that agents share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from cli.place import ask, find_fork
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.reload import tell_host
from cli.screen import clean_line, table
from cli.space_edit import CannotEdit, with_space
from runtime.spaces.declared import FILE, FOLDER, check_space_name, load_spaces, parse_space

_MB = 1 << 20


@click.group()
def space() -> None:
    """Folders that agents share: which there are, who may read and write there, who wrote what."""


@space.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def list_spaces(as_json: bool) -> None:
    """List the spaces, who has them, and what they hold."""
    answer = ask("space_list")
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif answer["spaces"]:
        click.echo(table([_row(one) for one in answer["spaces"]]))
    else:
        click.echo("No spaces. To make one: ./nightyard space add NAME")


@space.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def show(name: str, as_json: bool) -> None:
    """Show one space as it is this moment."""
    answer = ask("space_show", {"space": name})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    rows = [["space", answer["space"]]]
    rows += [["problem", problem] for problem in answer["problems"]]
    if not answer["is_declared"]:
        rows.append(["problem", f"{FOLDER}/{name}/{FILE} is not there: no agent has it; its files have stayed"])
    rows += [
        ["about", answer["description"] or "–"],
        ["holds", _holds(answer)],
        ["agents", _grants(answer)],
        ["at work", ", ".join(answer["at_work"]) or "nobody"],
        ["files", answer["folder"]],
    ]
    click.echo(table(rows))


@space.command()
@click.argument("name")
@click.option("-n", "--number", default=20, show_default=True, help="How many, newest first; at most 500.")
@click.option("--path", default="", help="Only this file, or what is below this folder.")
@click.option("--task", default="", help="Only what this task wrote, or could have.")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def log(name: str, number: int, path: str, task: str, as_json: bool) -> None:
    """Who wrote what, newest first. Several names: one of them, which one cannot be told."""
    answer = ask("space_log", {"space": name, "limit": number, "path": path, "task": task})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif answer["changes"]:
        click.echo(table([_change(one) for one in answer["changes"]]))
    else:
        click.echo("Nothing was written there yet.")


@space.command()
@click.argument("name")
@click.option("--description", default="", help="What it is for; the agents that have it read this.")
@click.option("--quota-mb", type=int, help="What its files may take of the disk (1024).")
@click.option("--max-files", type=int, help="How many files, folders and links it may hold (10000).")
def add(name: str, description: str, quota_mb: int | None, max_files: int | None) -> None:
    """Make a space. No agent has it yet: `space grant` gives it to one."""
    wrong = check_space_name(name)
    if wrong:
        raise CliProblem(f"a space's name {wrong}", "./nightyard space add notes", NOT_UNDERSTOOD)
    path = _file(name)
    if path.exists():
        raise CliProblem(f"there is a space {name!r} already: {path}", f"./nightyard space show {name}")
    values = {"description": description or None, "quota_mb": quota_mb, "max_files": max_files}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None]
    _write_settings(name, "".join(f"{line}\n" for line in lines))
    click.echo(f"Made {path}. Then: ./nightyard space grant {name} AGENT rw")
    tell_host()


@space.command()
@click.argument("name")
@click.argument("megabytes", type=int)
@click.option("--max-files", type=int, help="How many files, folders and links it may hold.")
def quota(name: str, megabytes: int, max_files: int | None) -> None:
    """Say how many MEGABYTES a space may hold."""
    text = _declared(name).read_text("utf-8")
    for key, value in (("quota_mb", megabytes), ("max_files", max_files)):
        if value is not None:
            kept = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
            text = "\n".join([*kept, f"{key}: {value}"]) + "\n"
    _write_settings(name, text)
    click.echo(f"{name} may hold {megabytes} MB.")
    tell_host()


@space.command()
@click.argument("name")
@click.argument("group")
@click.argument("access", type=click.Choice(["ro", "rw"]))
def grant(name: str, group: str, access: str) -> None:
    """Let the agent GROUP read in a space (ro), or read and write (rw), from its next task on."""
    _declared(name)
    _edit_group(group, name, access)
    click.echo(
        f"{group} may {'read and write' if access == 'rw' else 'read'} in /spaces/{name}, from its next task on."
    )
    tell_host()


@space.command()
@click.argument("name")
@click.argument("group")
def revoke(name: str, group: str) -> None:
    """Take a space from the agent GROUP; a task that runs has it to its end."""
    if not _edit_group(group, name, None):
        click.echo(f"{group} did not have the space {name}.")
        return
    click.echo(f"{group} has no /spaces/{name} any more, from its next task on.")
    tell_host()


@space.command()
@click.argument("name")
@click.option("--files", is_flag=True, help="Its files too; without it they stay, and a space of that name has them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, files: bool, yes: bool) -> None:
    """Remove a space that no agent has."""
    path = _file(name)
    having = [group for group, text in _groups() if _has(text, name)]
    if having:
        text = f"{', '.join(having)} {'has' if len(having) == 1 else 'have'} the space {name}"
        raise CliProblem(text, f"./nightyard space revoke {name} {having[0]}")
    if files:
        held = ask("space_show", {"space": name})
        if not yes and not click.confirm(f"Destroy {_holds(held)} in {held['folder']}?", default=False):
            return
        ask("space_remove_files", {"space": name})
    elif not path.exists():
        _declared(name)
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise CliProblem(f"{path} could not be removed: {error.strerror}", f"check who owns {path.parent}") from error
    click.echo(f"Removed {name}{' and its files' if files else '; its files have stayed'}.")
    tell_host()


def _row(one: dict[str, Any]) -> list[str]:
    state = "" if one["is_declared"] else "not declared; "
    about = one["problems"][0] if one["problems"] else one["description"]
    return [one["space"], f"{state}{_holds(one)}", _grants(one), about]


def _holds(one: dict[str, Any]) -> str:
    files = f"{one['files']} file{'' if one['files'] == 1 else 's'}"
    return f"{files}, {one['size_bytes'] / _MB:.1f} of {one['quota_mb']} MB"


def _grants(one: dict[str, Any]) -> str:
    return ", ".join(f"{group} {access}" for group, access in one["grants"].items()) or "no agent"


def _change(one: dict[str, Any]) -> list[str]:
    at = str(one["at"])[:19].replace("T", " ")
    writers = [f"{writer['group'] or '?'} {writer['task']} ({writer['submitter'] or '?'})" for writer in one["writers"]]
    return [f"{at} UTC", one["kind"], one["path"] or "(forgotten)", " or ".join(writers) or "on this machine, by hand"]


def _file(name: str) -> Path:
    return find_fork() / FOLDER / name / FILE


def _declared(name: str) -> Path:
    """Return a space's file; a space that there is not is a CliProblem."""
    names = load_spaces(find_fork())
    if name not in names:
        known = ", ".join(names) or "none"
        raise CliProblem(f"there is no space {clean_line(name)!r} (known: {known})", "./nightyard space list")
    return _file(name)


def _groups() -> list[tuple[str, str]]:
    """Return each group with its group.yaml's text."""
    return [
        (path.parent.name, path.read_text("utf-8"))
        for path in sorted((find_fork() / "groups").glob("*/group.yaml"))
        if path.parent.name != "example"
    ]


def _has(text: str, name: str) -> bool:
    try:
        return with_space(text, name, None) != text
    except CannotEdit:
        return False


def _edit_group(group: str, name: str, access: str | None) -> bool:
    """Write it into the agent's group.yaml; return whether that has changed it."""
    folder = find_fork() / "groups" / group
    path = folder / "group.yaml"
    if group == "example" or not folder.is_dir():
        known = ", ".join(each for each, _ in _groups()) or "none"
        raise CliProblem(
            f"there is no agent {clean_line(group)!r} (known: {known})", f"./nightyard group new {clean_line(group)}"
        )
    text = path.read_text("utf-8") if path.exists() else ""
    try:
        edited = with_space(text, name, access)
    except CannotEdit:
        what = f"write {name}: {access} under spaces in {path}" if access else f"take {name} out of spaces in {path}"
        raise CliProblem(f"{path} is written in a way that this command does not change", what) from None
    _write(path, edited)
    return edited != text


def _write_settings(name: str, text: str) -> None:
    problems = parse_space(name, text).problems
    if problems:
        wrong = problems[0]
        mend = f"correct {_file(name)}, or the value that you gave" if _file(name).exists() else "give another value"
        raise CliProblem(f"space {name}: {wrong.key}: {wrong.message}", mend, NOT_UNDERSTOOD)
    path = _file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, text)


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, "utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise CliProblem(f"{path} could not be written: {error.strerror}", f"check who owns {path.parent}") from error
