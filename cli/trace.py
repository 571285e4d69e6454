"""`trace`: the whole story of one message or task."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.rehearsal_note import tell_rehearsal
from cli.screen import clean_line, cut, table
from cli.style import DIM, paint
from cli.trace_text import Row, build_cost, build_journal, build_trace, build_unknown


@click.command()
@click.argument("message", required=False)
@click.option("--journal", is_flag=True, help="Show the journal's entries too.")
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def trace(message: str | None, journal: bool, as_json: bool) -> None:
    """The whole story of one message or task; without one, the newest messages and their ids.

    MESSAGE is an id of Nightyard's (msg_…, task_…) or the platform's id of a message.
    """
    answer = ask("trace", {"reference": message}) if message else ask("recent", {"limit": 20})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif message:
        _show(build_trace(answer))
        for what, detail in (("world", build_unknown(answer)), ("cost", build_cost(answer))):
            if detail:
                click.echo(f"{'':<24}{what:<11}{detail}")
        if journal:
            click.echo()
            _show(build_journal(answer))
    else:
        _show_recent(answer["messages"])
    if not as_json:
        tell_rehearsal(answer["rehearsal"])


def _show(rows: list[Row]) -> None:
    before = ""
    for at, what, detail in rows:
        time = "" if at[:23] == before else f"{at[:10]} {at[11:23]}"
        before = at[:23]
        click.echo(f"{paint(f'{time:<24}', DIM)}{what:<11}{detail}")


def _show_recent(messages: list[dict[str, str]]) -> None:
    if not messages:
        click.echo("No message has arrived yet.")
        return
    click.echo(
        table(
            [
                [message["message"], message["state"], message["chat"], cut(clean_line(message["text"]), 50)]
                for message in messages
            ]
        )
    )
