"""A group's grants.yaml: read, changed with the change shown, written whole, and taken up by the proxy if it runs."""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from cli.place import find_fork, find_home
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean, clean_line
from cli.settings_edit import CannotEdit
from cli.style import CYAN, GREEN, RED, paint
from protocol.ids import GroupId, is_group_id

Edit = Callable[[str, GroupId, str], str]
"""(text, group, file's name) to the changed text; raises CannotEdit."""


def read_group(name: str) -> GroupId:
    """Return the group; raise CliProblem if there is none of that name."""
    if not is_group_id(name):
        raise CliProblem(f"{clean_line(name)!r} cannot be a group's name", "./nightyard group list", NOT_UNDERSTOOD)
    if not (find_fork() / "groups" / name).is_dir():
        raise CliProblem(f"there is no group {name!r} in {find_fork() / 'groups'}", f"./nightyard group new {name}")
    return GroupId(name)


def file_name(group_id: GroupId) -> str:
    return f"groups/{group_id}/grants.yaml"


def read_grants(group_id: GroupId) -> str:
    """Return the file's text, empty where there is none."""
    path = find_fork() / file_name(group_id)
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CliProblem(f"{path} cannot be read: {error}", f"check who owns {path}") from error


def change_grants(group_id: GroupId, edit: Edit, *, is_sure: bool, mend: str = "") -> bool:
    """Show what an edit changes, ask unless `is_sure`, write it, have the proxy take it up; return whether it changed
    anything. `mend`: what to do if the edit cannot be made."""
    file = file_name(group_id)
    before = read_grants(group_id)
    try:
        after = edit(before, group_id, file)
    except CannotEdit as reason:
        raise CliProblem(f"{file} is left as it is: {clean_line(str(reason))}", mend or f"edit {file}") from reason
    if after == before:
        return False
    show_diff(before, after, file)
    if not is_sure and not _is_agreed(file):
        raise CliProblem(f"{file} is left as it is", "the same command with --yes")
    _write(find_fork() / file, after)
    _take_up(file)
    return True


def show_diff(before: str, after: str, file: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), file if before else "/dev/null", file, lineterm=""
    )
    for line in lines:
        click.echo(_painted(clean(line)))


def _painted(line: str) -> str:
    for mark, code in (("@", CYAN), ("+", GREEN), ("-", RED)):
        if line.startswith(mark):
            return paint(line, code)
    return line


def _is_agreed(file: str) -> bool:
    if not sys.stdin.isatty():
        raise CliProblem("there is no terminal to ask whether that is meant", "the same command with --yes")
    return click.confirm(f"Write this to {file}?", default=True)


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all, with the mode that it had."""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        path = path.resolve()
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=".grants.", delete=False
        ) as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        written = Path(new.name)
        written.chmod(mode)
        written.replace(path)
    except OSError as error:
        raise CliProblem(f"{path} cannot be written: {error.strerror}", f"check who owns {path.parent}") from error


def _take_up(file: str) -> None:
    """Have a running proxy read it now: what was revoked ends within this call."""
    if not find_home().proxy_socket.exists():
        click.echo("Written. It counts when Nightyard runs: ./nightyard up")
        return
    from cli.vault_link import ask_proxy

    problems = ask_proxy(lambda admin: admin.reload())
    for problem in problems:
        if file in problem:
            click.echo(clean_line(problem))
    click.echo("Written, and in force now.")
