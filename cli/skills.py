"""`skills`: what a group's agent has been taught to do."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line


@click.command()
@click.argument("group")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def skills(group: str, as_json: bool) -> None:
    """The skills that GROUP has, with what each is for."""
    answer = ask("skills", {"group": group})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for each in answer["skills"]:
        click.echo(f"{clean_line(each['skill'])}: {clean_line(each['description'])}")
    if not answer["skills"]:
        name = clean_line(group)
        click.echo(f"{name} has no skills: name them under `skills` in groups/{name}/group.yaml.")
