"""`letters`: what found no good end, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

import click

from cli.place import ask
from cli.screen import clean_line
from cli.style import BOLD, DIM, paint


@click.group(invoke_without_command=True)
@click.option("--all", "with_ended", is_flag=True, help="Also those that were tried again or closed.")
@click.option("-n", "--number", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def letters(context: click.Context, with_ended: bool, number: int, as_json: bool) -> None:
    """Dead letters: tasks that failed, messages not delivered, updates that nobody could read.

    Without a further word: the list.
    """
    if context.invoked_subcommand is not None:
        return
    answer = ask("letters", {"limit": number, "with_ended": with_ended})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for letter in answer["letters"]:
        show_letter(letter)
    shown, waiting = len(answer["letters"]), sum(answer["open"].values())
    if not shown:
        click.echo("No dead letters: everything has found its end.")
    elif waiting > shown and not with_ended:
        click.echo(paint(f"{waiting - shown} older ones are open too: -n {waiting} shows them.", DIM))


@letters.command()
@click.argument("letter")
def show(letter: str) -> None:
    """One letter: what it was about, and why it is dead."""
    show_letter(ask("letter_show", {"letter": letter}))


@letters.command()
@click.argument("letter")
def retry(letter: str) -> None:
    """Try again: a task is made anew, a message is delivered, an update is read."""
    ask("letter_retry", {"letter": letter})
    click.echo(f"{clean_line(letter)} is tried again.")


@letters.command()
@click.argument("letter", required=False)
@click.option("--all", "every", is_flag=True, help="All that are open.")
def close(letter: str | None, every: bool) -> None:
    """Say that a letter, or all of them, need nothing more. They stay in the list of --all."""
    if every == (letter is not None):
        raise click.UsageError("close wants one letter, or --all")
    if letter is not None:
        ask("letter_close", {"letter": letter})
        click.echo(f"{clean_line(letter)} is closed.")
    else:
        click.echo(f"Closed: {ask('letter_close_all')['closed']}.")


def show_letter(letter: dict[str, Any]) -> None:
    """Print one letter, each of its parts on one line."""
    line = {name: clean_line(" ".join(str(value).split())) for name, value in letter.items()}
    state = "" if line["state"] == "open" else f"  {line['state']} by {line['ended_by']}"
    where = "  ".join(each for each in (line["group"], line["chat"]) if each)
    at = line["died_at"][:19].replace("T", " ")
    click.echo(f"{paint(line['letter'], BOLD)}  {line['kind']}  {at}  {paint(where + state, DIM)}")
    if line["what"]:
        click.echo(f"  {line['what']}")
    click.echo(f"  {line['why']}")
    if line["mend"]:
        click.echo(paint(f"  {line['mend']}", DIM))
