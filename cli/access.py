"""`access`: who was refused, and what waits for an owner's word."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line, table


@click.group()
def access() -> None:
    """See who was refused, and decide on what was asked."""


@access.command()
@click.option("-n", "--lines", type=click.IntRange(1, 200), default=50, help="How many (50, at most 200).")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def log(lines: int, as_json: bool) -> None:
    """Who was refused of late, where, why and how often; and who waits for a yes."""
    answer = ask("access_log", {"limit": lines})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    if answer["refusals"]:
        rows = [["last (UTC)", "times", "who", "where", "why"]]
        for one in answer["refusals"]:
            who = f"{one['person']} {one['name']}".strip()
            rows.append([one["last_at"][:16].replace("T", " "), str(one["count"]), who, one["chat"], one["why"]])
        click.echo(table(rows))
        totals = ", ".join(f"{one['count']} {one['code']}" for one in answer["totals"])
        click.echo(f"In all: {totals}")
    else:
        click.echo("Nobody was refused.")
    for one in answer["requests"]:
        code, subject = clean_line(one["code"]), one["person"] if one["kind"] == "person" else one["chat"]
        verb = f"person approve {code}" if one["kind"] == "person" else f"bind {code} GROUP"
        state = "asks" if one["state"] == "pending" else "was denied"
        click.echo(f"The {one['kind']} {clean_line(subject)} {state}: ./nightyard {verb}")


@access.command()
@click.argument("who")
def deny(who: str) -> None:
    """Deny what was asked, by its code or by the id of the person or chat: they are not answered any more."""
    answer = ask("access_deny", {"who": who})
    subject = answer["person"] if answer["kind"] == "person" else answer["chat"]
    click.echo(f"Denied: the {answer['kind']} {clean_line(subject)} is not answered, and nobody is asked again.")
