"""What the store holds, written out."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import FIRST_PREVIOUS
from runtime.lasting import export as export_module
from runtime.lasting.export import ExportDesk
from runtime.refusal import OperationRefused
from runtime.store.export_rows import DECIDED
from runtime.store.records import Binding, MessageState
from runtime.store.store import Store, open_store
from tests.runtime.store.support import ANNA, CHAT, MAIN, answered, filed, said


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


def rows(page: Any) -> list[dict[str, Any]]:
    return list(page["rows"])


async def test_everything_that_people_decided_has_its_file(store: Store) -> None:
    """Each name gives the rows of its view; another name is refused with those that there are."""
    await store.save_person(ANNA, "Anna", "owner", "cli")
    await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
    desk = ExportDesk(store)
    found = {name: rows(await desk.decided(name, 0)) for name in DECIDED}
    assert [row["name"] for row in found["people"]] == ["Anna"]
    assert [row["chat"] for row in found["bindings"]] == [CHAT]
    with pytest.raises(OperationRefused, match="known: people"):
        await desk.decided("secrets", 0)


async def test_the_journal_is_whole(store: Store) -> None:
    """Page by page each entry once, in order, each with the hash of the one before it."""
    for _ in range(60):
        await answered(store)
    desk, entries, seq = ExportDesk(store), [], 0
    while True:
        page: Any = await desk.journal(seq)
        entries += rows(page)
        seq = entries[-1]["seq"]
        if page["is_last"]:
            break
    assert len(entries) > export_module.PAGE
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry["previous"] for entry in entries] == [FIRST_PREVIOUS, *(entry["hash"] for entry in entries[:-1])]


async def test_a_person_gets_what_is_kept_of_them(store: Store) -> None:
    """Their messages with the answers, and nobody else's."""
    await answered(store)
    await filed(store, said("not heard"), MessageState.REFUSED, None)
    await filed(store, said("mine", person=type(ANNA)("telegram:9")), MessageState.REFUSED, None)
    found = rows(await ExportDesk(store).person(ANNA, 0))
    assert [row["text"] for row in found] == ["hi", "not heard"]
    assert [row["state"] for row in found] == ["answered", "refused"]


async def test_every_view_of_decisions_is_there(tmp_path: Path) -> None:
    """The names point to views that exist."""
    async with open_store(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        views = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
    assert set(DECIDED.values()) <= views
