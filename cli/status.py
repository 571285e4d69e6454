"""`status`: what runs, what waits, what is wrong."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.place import ask, find_home
from cli.status_text import LABEL_COLUMNS, Line, build_status, rows_of
from cli.style import BOLD, DIM, GREEN, RED, YELLOW, paint
from client.processes import read_state

_MARKS = {"ok": ("●", GREEN), "bad": ("✗", RED), "warn": ("▲", YELLOW), "": ("·", DIM)}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def status(as_json: bool) -> None:
    """What runs, what waits, what is wrong."""
    answer = ask("status")
    if as_json:
        import json

        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for label, text, mood in [*build_status(answer, datetime.now(UTC)), *supervisor_lines(find_home().path)]:
        mark, colour = _MARKS[mood]
        first, *more = [paint(row, BOLD, colour) if mood in ("bad", "warn") else row for row in rows_of(text, columns)]
        click.echo(f"{paint(mark, colour)} {paint(f'{label:<11}', DIM)} {first}")
        for row in more:
            click.echo(f"{'':<{LABEL_COLUMNS}}{row}")


def supervisor_lines(home: Path) -> list[Line]:
    """Return a line where who starts again what dies has died itself; none where that is well, or not ours."""
    noted = read_state(home)
    if noted is None or noted.supervisor.runs:
        return []
    return [("supervisor", "has died: what ends now is started again only by `nightyard up`", "bad")]
