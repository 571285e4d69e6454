"""`journal`: what happened, entry by entry, and whether its chain is whole."""

from __future__ import annotations

import json

import click

from cli.place import ask, find_home
from cli.problem import CliProblem
from cli.screen import clean_line
from cli.style import DIM, paint
from cli.verify import check_journal


@click.group()
def journal() -> None:
    """What happened, entry by entry: ids, times and who did it, never texts."""


@journal.command()
@click.option("-n", "--number", default=30, show_default=True, help="How many, oldest of them first.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def tail(number: int, as_json: bool) -> None:
    """The newest entries."""
    answer = ask("journal_tail", {"limit": number})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for entry in answer["entries"]:
        who = {"by": entry["by"]} if entry["by"] else {}
        refs = " ".join(f"{name}={value}" for name, value in {**entry["refs"], **who}.items())
        at = f"{entry['at'][:10]} {entry['at'][11:19]}"
        head = paint(f"{entry['seq']:>8}  {at}", DIM)
        click.echo(f"{head}  {entry['kind']:<20} {clean_line(refs)}".rstrip())


@journal.command()
def verify() -> None:
    """Check the chain from its first entry to its last. Needs no host; `nightyard verify` checks the audit too."""
    found = check_journal()
    if found["broken"]:
        raise CliProblem(
            f"{find_home().path / 'store.db'} was changed behind Nightyard's back, or the disk lost a part: "
            f"{clean_line(found['broken'])} (whole before it: {found['entries']})",
            f"keep a copy as evidence, then restore the newest backup of {find_home().path} that verifies",
        )
    whole = "nothing is written yet" if found["entries"] is None else f"whole, {found['entries']} entries"
    click.echo(f"journal: {whole}")
