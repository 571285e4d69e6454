"""`forget`: destroys what a person said, was told and sent."""

from __future__ import annotations

import json
import sys

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line


@click.command()
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For programs; implies --yes.")
def forget(person: str, yes: bool, as_json: bool) -> None:
    """Destroy what PERSON said, was told and sent, under all their identities. It cannot be undone.

    PERSON is a key such as telegram:12345. Prints a receipt.
    """
    if not (yes or as_json):
        if not sys.stdin.isatty():
            raise CliProblem("forget asks before it destroys", f"./nightyard forget {person} --yes", NOT_UNDERSTOOD)
        question = f"Destroy everything of {clean_line(person)}, for good?"
        if not click.confirm(question, default=False):
            return
    receipt = ask("forget", {"person": person})
    if as_json:
        click.echo(json.dumps(receipt, indent=2))
        return
    click.echo(f"Forgotten ({clean_line(str(receipt['forget']))}): {clean_line(person)}")
    click.echo(f"  messages {receipt['messages']}, tasks {receipt['tasks']}, texts {receipt['texts']}")
    click.echo(f"  files removed {receipt['files']}, rows without the name {receipt['rows']}")
    click.echo("  the journal's chain is whole: it never held a text or a name")
    if not receipt["is_compact"]:
        click.echo("  old bytes may still be in the store's file: it was read all the time; give the command again")
    click.echo("Not Nightyard's to destroy:")
    groups = ", ".join(clean_line(str(group)) for group in receipt["groups"]) or "none"
    click.echo(f"  what agents wrote into their own workspace and memory (agents that worked for them: {groups})")
    click.echo("  what the chat platform and the model's provider keep; backups made before, until they rotate")
