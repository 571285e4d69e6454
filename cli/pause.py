"""`pause` and `resume`: holding a group back, and letting it go on."""

from __future__ import annotations

import click

from cli.place import ask
from cli.problem import CliProblem
from cli.screen import clean_line


@click.command()
@click.argument("group")
@click.option("--reason", default="", help="Shown to those whose messages wait.")
def pause(group: str, reason: str) -> None:
    """Hold GROUP back in all its chats: what runs goes on, messages are kept, nothing new starts."""
    answer = ask("pause", {"group": group, "reason": reason})
    name = clean_line(group)
    click.echo(f"{name} is paused; ./nightyard resume {name} lifts it." if answer["is_new"] else f"{name} was paused.")


@click.command()
@click.argument("group")
def resume(group: str) -> None:
    """Let GROUP go on."""
    answer = ask("resume", {"group": group})
    name = clean_line(group)
    if answer["left"]:
        reasons = clean_line(", ".join(answer["left"]))
        raise CliProblem(f"{name} is still held back: {reasons}", "./nightyard budget")
    click.echo(f"{name} goes on." if answer["is_lifted"] else f"{name} was not paused.")
