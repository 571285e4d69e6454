"""`memory`: what an agent has noted for itself, and search in it and in its past conversations."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean, clean_line, table


@click.command()
@click.argument("group")
@click.argument("file", required=False)
@click.option("--forget", is_flag=True, help="Remove FILE.")
@click.option("--search", "words", metavar="WORDS", help="Find WORDS in its files and in its past conversations.")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def memory(group: str, file: str | None, forget: bool, words: str | None, as_json: bool) -> None:
    """The files in the memory of GROUP's agent; with FILE, what is in that one."""
    if words is not None:
        _search(group, words, as_json)
        return
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


def _search(group: str, words: str, as_json: bool) -> None:
    answer = ask("memory_search", {"group": group, "query": words})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["found"]:
        click.echo("Nothing was found.")
    for each in answer["found"]:
        place = f"/memory/{each['source']}" if each["kind"] == "memory" else each["chat"] or "work for no chat"
        click.echo(click.style(f"{clean_line(each['at'][:16])}  {clean_line(place)}", bold=True))
        click.echo(f"{clean(each['text'])}\n")
