"""`group`: make, list and show agent groups."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from cli.place import ask, find_fork
from cli.problem import NOT_RUNNING, NOT_UNDERSTOOD, CliProblem
from cli.rehearsal_note import is_rehearsal, tell_rehearsal
from cli.screen import clean_line, cut, table
from cli.status_text import LABEL_COLUMNS, rows_of
from protocol.ids import is_group_id


@click.group()
def group() -> None:
    """Make, list and show agent groups."""


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def list_groups(as_json: bool) -> None:
    """List the agents; with the host down, those that the files describe."""
    groups = _groups()
    if as_json:
        click.echo(json.dumps({"groups": groups}, indent=2, ensure_ascii=False))
    elif groups:
        click.echo(table([_row(one) for one in groups]))
        tell_rehearsal([one["group"] for one in groups if is_rehearsal(one.get("model", ""))])
    else:
        raise CliProblem("there are no agents yet", "./nightyard group new main")


def _row(one: dict[str, Any]) -> list[str]:
    detail = one["problems"][0] if one["state"] == "suspended" else f"{one['model']}  {cut(one['description'], 60)}"
    return [one["group"], one["state"], detail]


def _groups() -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = ask("group_list")["groups"]
        return found
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING:
            raise
    from runtime.group_reading import load_groups
    from runtime.operation_views import view_groups
    from runtime.settings_file import load_settings

    fork = find_fork()
    return [dict(one) for one in view_groups(load_groups(fork, load_settings(fork))) if isinstance(one, dict)]


@group.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def show(name: str, as_json: bool) -> None:
    """Show one agent: its model, limits, skills, chats and what is wrong with it."""
    answer = ask("group_show", {"group": name})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    rows = [["agent", answer["group"]], ["state", answer["state"]]]
    rows += [["problem", problem] for problem in answer.get("problems", [])]
    rows += [["held back", reason] for reason in answer.get("paused", [])]
    if answer["state"] == "ready":
        limits = ", ".join(f"{key} {value:.10g}" for key, value in answer["limits"].items() if value is not None)
        rows += [
            ["about", answer["description"] or "–"],
            ["model", answer["model"]],
            ["image", answer["image"] or "the agent image, with nothing extra"],
            ["skills", ", ".join(answer["skills"]) or "none"],
            ["mcp", ", ".join(answer["mcp"]) or "none"],
            ["spaces", ", ".join(f"{name} {access}" for name, access in answer["spaces"].items()) or "none"],
            ["limits", limits],
            ["today", f"{answer['calls_today']} model calls of {answer['limits']['calls_per_day']}"],
        ]
        warning = _unpriced(answer["model"], answer["limits"]["cost_usd"])
        rows += [["warning", warning]] if warning else []
    rows += [["chat", f"{chat['chat']} ({chat['kind']}, answers {chat['when']})"] for chat in answer["chats"]]
    rows.append(["files", str(find_fork() / "groups" / answer["group"])])
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for label, text in rows:
        first, *more = rows_of(clean_line(text), columns)
        click.echo(f"  {label:<{LABEL_COLUMNS - 2}}{first}")
        for row in more:
            click.echo(f"{'':<{LABEL_COLUMNS}}{row}")
    if is_rehearsal(answer.get("model", "")):
        tell_rehearsal([answer["group"]])


def _unpriced(model: str, cost_usd: float | None) -> str:
    if cost_usd is None:
        return ""
    from cli.settings_check import read_prices, unpriced_warning

    route, _, name = model.partition("/")
    return unpriced_warning(route, name, cost_usd, read_prices(find_fork())[0])


@group.command()
@click.argument("name")
def new(name: str) -> None:
    """Make an agent from groups/example: a folder with its instructions, settings and grants, for you to edit."""
    if not is_group_id(name) or name == "example":
        text = f"{clean_line(name)!r} cannot be an agent's name: 1-32 of a-z, 0-9 and inner hyphens, and not example"
        raise CliProblem(text, "./nightyard group new my-agent", NOT_UNDERSTOOD)
    folder = find_fork() / "groups"
    _copy(folder / "example", folder / name)
    click.echo(f"Made {folder / name}: edit AGENTS.md to say what it is for.")
    try:
        problems = ask("reload")["problems"]
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING:
            raise
        click.echo(f"Then: ./nightyard up, and: ./nightyard chat {name}")
        return
    for one in problems:
        click.echo(clean_line(one))
    click.echo(f"Then: ./nightyard chat {name}")


def _copy(example: Path, target: Path) -> None:
    """Copy the example, whole or not at all."""
    if target.exists():
        raise CliProblem(
            f"there is an agent {target.name!r} already: {target}", f"./nightyard group show {target.name}"
        )
    if not example.is_dir():
        raise CliProblem(f"{example}, which new agents are made from, is not there", "git checkout -- groups/example")
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copytree(example, fresh)
        fresh.rename(target)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise CliProblem(f"{target} could not be made: {error.strerror}", f"check who owns {target.parent}") from error
