"""`forget`: destroys what a person said, was told and sent."""

from __future__ import annotations

import json
import sys

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line
from cli.style import BOLD, paint


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
    for title, key in (("Destroyed", "destroyed"), ("Remains", "remains")):
        click.echo(paint(f"{title}:", BOLD))
        for place in receipt["places"]:
            if place[key]:
                click.echo(f"  {clean_line(place['place'])}: {clean_line(place[key])}")
