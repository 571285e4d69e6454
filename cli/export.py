"""`export`: what people decided, what happened and what is kept of a person, as files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.place import ask
from cli.problem import CliProblem

Row = dict[str, Any]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--journal", is_flag=True, help="Also the whole journal: ids, times and digests, no texts.")
@click.option("--person", metavar="PERSON", help="Only what one person said and was answered.")
def export(folder: Path, journal: bool, person: str | None) -> None:
    """Write what people decided (who may speak, bindings, destinations, remembered decisions, schedules) into FOLDER.

    One file of JSON lines each, readable by nobody else. FOLDER must be new or empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CliProblem(f"{folder} is not empty", f"./nightyard export {folder}-new")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if person is not None:
        _write(folder / "messages.jsonl", _by_seq("export_person", {"person": person}))
        return
    names = ask("export_decided", {"name": "people"})["names"]
    for name in names:
        _write(folder / f"{name}.jsonl", _by_offset(name))
    if journal:
        _write(folder / "journal.jsonl", _by_seq("export_journal", {}))


def _by_offset(name: str) -> Iterator[Row]:
    return _pages(lambda got, _: ask("export_decided", {"name": name, "offset": got}))


def _by_seq(verb: str, arguments: dict[str, object]) -> Iterator[Row]:
    return _pages(lambda _, seq: ask(verb, {**arguments, "after": seq}))


def _pages(next_page: Callable[[int, int], dict[str, Any]]) -> Iterator[Row]:
    """Yield all rows; a page is asked for by how many there were and by the last one's seq."""
    got, seq, is_last = 0, 0, False
    while not is_last:
        page = next_page(got, seq)
        yield from page["rows"]
        got += len(page["rows"])
        seq = page["rows"][-1].get("seq", 0) if page["rows"] else seq
        is_last = page["is_last"]


def _write(path: Path, rows: Iterator[Row]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    count = 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    click.echo(f"{path}  {count}")
