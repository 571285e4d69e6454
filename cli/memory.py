"""`memory`: what an agent has noted for itself."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean, clean_line, table


@click.command()
@click.argument("group")
@click.argument("file", required=False)
@click.option("--forget", is_flag=True, help="Remove FILE.")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def memory(group: str, file: str | None, forget: bool, as_json: bool) -> None:
    """The files in the memory of GROUP's agent; with FILE, what is in that one."""
    if forget and not file:
        raise click.UsageError("--forget wants the FILE that is to go")
    if forget:
        ask("memory_forget", {"group": group, "file": file})
        click.echo(f"{clean_line(str(file))} is removed. `nightyard undo` of an earlier task would bring it back.")
        return
    answer = ask("memory_show", {"group": group, "file": file}) if file else ask("memory_list", {"group": group})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif file:
        click.echo(clean(answer["text"]))
    elif not answer["files"]:
        click.echo(f"{clean_line(group)} has noted nothing yet.")
    else:
        rows = [[clean_line(each["file"]), str(each["bytes"])] for each in answer["files"]]
        click.echo(table([["FILE", "BYTES"], *rows]))
