"""`program`: which programs may hand in tasks, and where."""

from __future__ import annotations

import json

import click

from cli.place import ask, find_home
from cli.screen import clean_line, table


@click.group()
def program() -> None:
    """Let programs hand in tasks: over task.sock, or as an OpenAI-compatible client (docs/programs.md)."""


@program.command("add")
@click.argument("name")
@click.argument("groups", nargs=-1, required=True, metavar="GROUP...")
@click.option("--attended", is_flag=True, help="A person waits for its answers: not paid as background work.")
@click.option("--no-token", is_flag=True, help="Whoever can open task.sock may submit under this name.")
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def add(name: str, groups: tuple[str, ...], attended: bool, no_token: bool, as_json: bool) -> None:
    """Let a program submit to some agents. Its token is shown once: the host keeps only a hash."""
    arguments = {"program": name, "groups": list(groups), "attended": attended, "token": not no_token}
    answer = ask("program_add", arguments)
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    bound = ", ".join(clean_line(group) for group in answer["groups"])
    click.echo(f"The program {clean_line(name)} may submit to {bound}, at {find_home().task_socket}")
    if answer["token"]:
        click.echo(f"Its token, shown this once: {answer['token']}")


@program.command("list")
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def list_programs(as_json: bool) -> None:
    """Which programs there are."""
    answer = ask("program_list")
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    if not answer["programs"]:
        click.echo("No program may submit: `nightyard program add NAME GROUP` lets one.")
        return
    rows = [
        [
            each["program"],
            ", ".join(each["groups"]),
            "" if each["revoked_at"] else "by token" if each["has_token"] else "by the socket",
            "attended" if each["attended"] else "background",
            f"revoked {each['revoked_at'][:10]}" if each["revoked_at"] else f"since {each['added_at'][:10]}",
        ]
        for each in answer["programs"]
    ]
    click.echo(table(rows))


@program.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Let a program submit no more. What it has submitted goes on: `nightyard task cancel` ends that."""
    ask("program_revoke", {"program": name})
    click.echo(f"The program {clean_line(name)} may not submit any more.")
