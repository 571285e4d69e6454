"""`nightyard verify`: a tampered journal or audit is found, whoever runs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from credproxy.audit.entry import AuditEntry
from credproxy.audit.log import Audit
from runtime.store.store import open_store
from tests.cli.conftest import Run
from tests.runtime.store.support import CHAT, MAIN


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home with five journal entries, and an audit of five rows."""
    path = tmp_path / "home"
    path.mkdir()
    async with open_store(path) as store:
        for _ in range(5):
            await store.new_session(MAIN, CHAT)
    async with Audit(path / "audit.db") as audit:
        for number in range(3):
            await audit.begin(AuditEntry(kind="begin", target=f"GET https://a.example/{number}"))
    return path


async def test_whole_chains_are_said_to_be_whole(nightyard: Run, home: Path) -> None:
    """With nothing running, and how many entries there are."""
    ran = await nightyard("verify")
    assert (ran.code, ran.out, ran.err) == (0, "journal: whole, 5 entries\naudit: whole, 5 entries\n", "")


async def test_a_store_in_use_can_be_checked(nightyard: Run, home: Path) -> None:
    """The host keeps its file and goes on writing."""
    async with open_store(home) as store:
        await store.new_session(MAIN, CHAT)
        assert "journal: whole, 6 entries" in (await nightyard("verify")).out
        await store.new_session(MAIN, CHAT)


async def test_a_home_without_anything_has_nothing_to_check(nightyard: Run, tmp_path: Path) -> None:
    """Before the first start nothing is wrong, and nothing is made."""
    ran = await nightyard("verify")
    assert ran.code == 0
    assert ran.out.count("nothing is written yet") == 2
    assert not (tmp_path / "home" / "store.db").exists()


@pytest.mark.parametrize(
    ("file", "change", "line"),
    [
        (
            "store.db",
            "DROP TRIGGER journal_no_update; UPDATE journal SET kind = 'frozen' WHERE seq = 3",
            "journal: BROKEN (whole before it: 2): entry 3 was changed after it was written",
        ),
        (
            "store.db",
            "DROP TRIGGER journal_no_delete; DELETE FROM journal WHERE seq = 2",
            "journal: BROKEN (whole before it: 1): entry 2 is missing",
        ),
        (
            "audit.db",
            "UPDATE entries SET target = 'GET https://b.example/' WHERE seq = 3",
            "audit: BROKEN (whole before it: 2): the audit's row 3 was changed",
        ),
    ],
)
async def test_a_tampered_row_is_found(nightyard: Run, home: Path, file: str, change: str, line: str) -> None:
    """It is named by its place, with the file and what to do; the other chain is checked all the same."""
    connection = sqlite3.connect(home / file)
    connection.executescript(change)
    connection.close()
    ran = await nightyard("verify")
    assert ran.code == 1
    assert line in ran.out
    assert ran.out.count("whole, 5 entries") == 1
    assert f"{home / file} was changed behind Nightyard's back" in ran.err
    found = json.loads((await nightyard("verify", "--json")).out)
    assert sum(bool(check["broken"]) for check in found.values()) == 1


async def test_a_file_that_is_no_database_is_said_to_be_broken(nightyard: Run, home: Path) -> None:
    """Both of them, each with its own reason."""
    for name in ("store.db", "audit.db"):
        for path in home.glob(f"{name}*"):
            path.unlink()
        (home / name).write_bytes(b"no database" * 100)
    ran = await nightyard("verify")
    assert ran.code == 1
    assert ran.out.count("BROKEN") == 2
    assert "were changed" in ran.err


async def test_a_journal_without_its_key_cannot_be_checked(nightyard: Run, home: Path) -> None:
    """The key is what makes the chain worth checking: without it, that is said."""
    (home / "journal.key").unlink()
    ran = await nightyard("verify")
    assert ran.code == 1
    assert "journal: BROKEN" in ran.out
