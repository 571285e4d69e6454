"""`delegations`: what agents have asked of each other."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line, cut, table


@click.command()
@click.option("-n", "--number", default=20, show_default=True, help="How many, newest first, at most 100.")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def delegations(number: int, as_json: bool) -> None:
    """What agents have asked of other agents, newest first (docs/delegation.md)."""
    answer = ask("delegations", {"limit": number})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    rows = []
    for one in answer["delegations"]:
        state = {True: "done", False: "failed", None: one["state"]}[one["is_done"]]
        at = one["asked_at"][:19].replace("T", " ")
        rows.append(
            [at, " > ".join([*one["behind"], one["to"]]), state, cut(clean_line(" ".join(one["prompt"].split())), 60)]
        )
    click.echo(table(rows) if rows else "No agent has asked another yet: docs/delegation.md says how one may.")
