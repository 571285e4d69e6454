"""`letters`, `undo`, `history`, `export`, `forget`, as they are typed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import stat
from pathlib import Path

import pytest

from cli.letters import show_letter
from client.control import ControlClient
from protocol.control import Say
from protocol.ids import ChatKey
from protocol.message import OutboundMessage
from tests.cli.conftest import Run
from tests.scripted_house import House


async def talk(house: House, text: str) -> None:
    """Say something in the terminal chat and wait for the answer."""
    async with ControlClient(house.home.control_socket).chat("main") as chat:
        await chat.say(Say(text=text))
        async for shown in chat.shown():
            if shown.kind == "message":
                return


async def test_nothing_failed(nightyard: Run, house: House) -> None:
    """Where nothing failed, the list says so; a letter that there is not is named."""
    assert (await nightyard("letters")).out == "No dead letters: everything has found its end.\n"
    ran = await nightyard("letters", "retry", "task_x")
    assert ran.code == 1
    assert "there is no dead letter 'task_x'" in ran.err
    assert (await nightyard("letters", "close")).code == 2


def test_a_reason_of_several_lines_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What a script wrote before it failed is read as words, not as marks of line ends."""
    letter = {"letter": "task_x", "kind": "task", "state": "open", "ended_by": "", "died_at": "2026-11-21T10:00:00Z"}
    show_letter({**letter, "group": "main", "chat": "", "what": "", "why": "exit code 3.\n  oops", "mend": ""})
    assert capsys.readouterr().out.splitlines()[1:] == ["  exit code 3. oops"]


async def test_nothing_to_undo(nightyard: Run, house: House) -> None:
    """A group whose tasks used no tool has no history; a task that there is not is refused."""
    assert "No task of this group has used a tool yet" in (await nightyard("history", "main")).out
    ran = await nightyard("undo", "task_x", "--dry-run")
    assert ran.code == 1
    assert "there is no task 'task_x'" in ran.err


async def test_export_writes_private_files(nightyard: Run, house: House, tmp_path: Path) -> None:
    """Each kind of decision is a file of JSON lines that nobody else reads; a folder that is not empty is refused."""
    await talk(house, "hello")
    folder = tmp_path / "out"
    ran = await nightyard("export", str(folder), "--journal")
    assert ran.code == 0, ran.err
    bindings = [json.loads(line) for line in (folder / "bindings.jsonl").read_text().splitlines()]
    assert [binding["chat"] for binding in bindings] == ["terminal:main"]
    entries = (folder / "journal.jsonl").read_text().splitlines()
    assert [json.loads(entry)["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    again = await nightyard("export", str(folder))
    assert again.code == 1
    assert "is not empty" in again.err


async def test_a_person_is_exported_and_forgotten(nightyard: Run, house: House, tmp_path: Path) -> None:
    """What somebody said is written out, then destroyed with a receipt; asked again, nothing is known of them."""
    await talk(house, "my secret plan")
    unseen = OutboundMessage(chat=ChatKey("terminal:main"), text="about my secret plan")
    async with asyncio.timeout(10):
        while not (house.home.path / "terminal").exists():  # until it is known that nobody looks at the chat any more
            await house.channel.send(unseen)
    (message,) = await house.store.recent_messages()
    person = message.inbound.person
    await nightyard("export", str(tmp_path / "mine"), "--person", person)
    assert "my secret plan" in (tmp_path / "mine" / "messages.jsonl").read_text()
    refused = await nightyard("forget", person)
    assert refused.code == 2
    assert "--yes" in refused.err
    ran = await nightyard("forget", person, "--yes")
    assert ran.code == 0, ran.err
    destroyed, remains = ran.out.partition("Remains:\n")[::2]
    assert "texts of 1 messages and 1 tasks" in destroyed
    for place in ("conversations", "search index", "files sent", "exports", "main: undo history"):
        assert f"  {place}: " in destroyed
    for place in ("journal", "logs", "proxy's audit", "backups", "elsewhere", "main: /home/agent"):
        assert f"  {place}: " in remains
    assert (await nightyard("journal", "verify")).out.startswith("journal: whole, ")
    files = [*house.home.path.glob("store.db*"), *(house.home.path / "terminal").iterdir()]
    assert b"my secret plan" not in b"".join(path.read_bytes() for path in files)
    again = await nightyard("forget", person, "--yes")
    assert again.code == 1
    assert "nothing is known" in again.err


async def test_the_journal_is_shown_and_checked(nightyard: Run, house: House) -> None:
    """Its newest entries name what happened to which ids; its chain is found whole, and broken where it was changed."""
    await talk(house, "hello")
    ran = await nightyard("journal", "tail", "-n", "50")
    assert "message_queued" in ran.out
    assert "task_ended" in ran.out
    assert "hello" not in ran.out
    assert (await nightyard("journal", "verify")).out.startswith("journal: whole, ")
    with contextlib.closing(sqlite3.connect(house.home.store)) as connection:
        connection.execute("DROP TRIGGER journal_no_update")
        connection.execute("UPDATE journal SET kind = 'frozen' WHERE seq = 2")
        connection.commit()
    broken = await nightyard("journal", "verify")
    assert broken.code == 1
    assert "changed behind Nightyard's back" in broken.err
