"""`whoami`: who somebody is who gives commands on this machine."""

from __future__ import annotations

import click

from cli.place import ask
from cli.screen import clean_line


@click.command()
def whoami() -> None:
    """Say who you are to Nightyard here, and who its owners are on chat platforms."""
    home = ask("status")["home"]
    owners = [one["person"] for one in ask("person_list")["people"] if one["role"] == "owner"]
    click.echo(f"You are terminal:owner, owner everywhere: whoever can open {clean_line(home)} is.")
    click.echo(f"Owners in chats: {', '.join(map(clean_line, owners)) or 'none yet, ./nightyard pair makes a code'}.")
