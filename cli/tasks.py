"""`tasks`: what of a group works, waits and has ended."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line, table


@click.command()
@click.argument("group")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def tasks(group: str, as_json: bool) -> None:
    """What waits for GROUP, what it works on, what waits for a person, and its last tasks."""
    answer = ask("tasks", {"group": group})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for reason in answer["paused"]:
        click.echo(f"{clean_line(group)} is held back: {clean_line(reason)}")
    rows = [["waits", each["work"], each["chat"], each["since"]] for each in answer["waiting"]]
    rows += [
        [
            each["state"] + (f" ({each['code']})" if each["code"] else ""),
            each["task"],
            each["chat"] or "",
            each["ended_at"] or each["created_at"],
        ]
        for each in answer["tasks"]
    ]
    if not rows:
        click.echo("Nothing waits, nothing runs, nothing has.")
        return
    shown = [[clean_line(cell) for cell in (*row[:3], row[3][:16].replace("T", " "))] for row in rows]
    click.echo(table([["STATE", "TASK", "CHAT", "SINCE (UTC)"], *shown]))
