"""`pair`: let a person in."""

from __future__ import annotations

from typing import Any

import click

from cli.person import ROLES, tell_approved
from cli.place import ask
from cli.rehearsal_note import tell_rehearsal
from cli.screen import clean_line


@click.command()
@click.argument("code", required=False)
@click.option("--group", metavar="GROUP", help="The agent that will answer them. Otherwise the channel's own.")
@click.option("--channel", metavar="CHANNEL", help="The channel they will write on.")
@click.option("--role", type=click.Choice(ROLES), help="As what: an owner, unless said otherwise.")
def pair(code: str | None, group: str | None, channel: str | None, role: str | None) -> None:
    """Make a code that lets a person in: they send it to the bot in a direct chat, once, within the hour.

    With CODE, one that the bot has shown to somebody: let them in, as `nightyard person approve` does.
    """
    if code is not None:
        tell_approved(ask("person_approve", {"who": code, "role": role, "group": group}))
        return
    tell_code(ask("pair", {"group": group, "channel": channel, "role": role or "owner"}))


def tell_code(answer: dict[str, Any]) -> None:
    """Show a pairing code and what to do with it."""
    click.echo(f"\n    {clean_line(answer['code'])}\n")
    click.echo(f"Send this code to the bot in a direct chat. Who sends it becomes {answer['role']} and talks with")
    click.echo(f"{clean_line(answer['group'])}. It works once, until {answer['expires_at'][11:16]} UTC.")
    if answer["rehearsal"]:
        tell_rehearsal([answer["group"]])
