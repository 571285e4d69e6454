"""`destination`: where an agent may send of its own accord, under names."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line, table


@click.group()
def destination() -> None:
    """Name the chats that an agent may send to; it reaches no other, but for those that it is asked in."""


@destination.command("list")
@click.argument("group", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def list_destinations(group: str | None, as_json: bool) -> None:
    """List an agent's destinations, or everybody's."""
    answer = ask("destination_list", {"group": group})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif answer["destinations"]:
        click.echo(table([[one["group"], one["name"], one["chat"]] for one in answer["destinations"]]))
    else:
        click.echo("No destinations: agents send only where they are asked.")


@destination.command()
@click.argument("group")
@click.argument("name")
@click.argument("chat")
def add(group: str, name: str, chat: str) -> None:
    """Let GROUP send to CHAT under NAME; a name that it has gets this chat."""
    answer = ask("destination_add", {"group": group, "name": name, "chat": chat})
    click.echo(f"{clean_line(answer['group'])} may send to {clean_line(answer['name'])}: {clean_line(answer['chat'])}")


@destination.command()
@click.argument("group")
@click.argument("name")
def remove(group: str, name: str) -> None:
    """Take a destination from GROUP."""
    ask("destination_remove", {"group": group, "name": name})
    click.echo(f"{clean_line(group)} may not send to {clean_line(name)} any more.")
