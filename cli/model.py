"""`model`: which model answers for a group or in a chat, and choosing another."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line


@click.command()
@click.argument("group")
@click.argument("model", required=False)
@click.option("--chat", metavar="CHAT", help="In this chat alone.")
@click.option("--default", "as_settings", is_flag=True, help="As the settings say again.")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def model(group: str, model: str | None, chat: str | None, as_settings: bool, as_json: bool) -> None:
    """Show which model answers for GROUP, or have MODEL (ROUTE/NAME) answer from the next message on."""
    place = {"group": group, "chat": chat}
    if model or as_settings:
        answer = ask("model_choose", {**place, "model": "" if as_settings else model})
    else:
        answer = ask("model_show", place)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    by = answer["chosen_by"]
    source = f"chosen by {clean_line(by)} on {answer['chosen_at'][:10]}" if by else "as the settings say"
    click.echo(f"{clean_line(answer['model'])} ({source})")
    for other in answer.get("offered", ()):
        if other != answer["model"]:
            click.echo(f"  also named: {clean_line(other)}")
