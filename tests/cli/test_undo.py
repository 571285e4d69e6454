"""`undo`, as it is typed: files are byte for byte what they were, and what cannot be taken back is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from client.control import ControlClient
from protocol.control import Say
from protocol.ids import GroupId, TaskId
from runtime.history.history import Histories
from tests.cli.conftest import Run
from tests.scripted_house import House

MAIN = GroupId("main")
NOISE = bytes(range(256)) * 2_000


def held(group: Path) -> dict[str, tuple[str, int, bytes]]:
    """Return all that a group's workspace and memory hold: kind, mode and bytes, or where a link leads."""
    found = {}
    for top in ("workspace", "memory"):
        for path in sorted((group / top).rglob("*")):
            state = path.lstat()
            mode = stat.S_IMODE(state.st_mode)
            if path.is_symlink():
                found[str(path)] = ("link", 0, bytes(path.readlink()))
            elif path.is_dir():
                found[str(path)] = ("folder", mode, b"")
            elif path.is_file():
                found[str(path)] = ("file", mode, path.read_bytes())
    return found


def prepare(group: Path) -> None:
    """What the folders hold before the task."""
    for folder in ("workspace/deep/er", "memory/people"):
        (group / folder).mkdir(parents=True)
    (group / "workspace" / "notes.md").write_text("as it was\n")
    (group / "workspace" / "noise.bin").write_bytes(NOISE)
    (group / "workspace" / "run.sh").write_text("#!/bin/sh\n")
    (group / "workspace" / "run.sh").chmod(0o750)
    (group / "workspace" / "deep" / "er" / "empty").touch()
    (group / "workspace" / "link").symlink_to("notes.md")
    (group / "memory" / "MEMORY.md").write_bytes(b"likes tea\r\n\xff\x00")
    (group / "memory" / "people" / "ada.md").write_text("Ada\n")
    os.mkfifo(group / "workspace" / "pipe")


def work(group: Path) -> None:
    """What the task does to them: change, remove, make, turn one thing into another."""
    (group / "workspace" / "notes.md").write_text("changed")
    (group / "workspace" / "noise.bin").write_bytes(NOISE[:-1] + b"!")
    (group / "workspace" / "run.sh").chmod(0o600)
    (group / "workspace" / "deep" / "er" / "empty").unlink()
    (group / "workspace" / "deep" / "er").rmdir()
    (group / "workspace" / "link").unlink()
    (group / "workspace" / "link").mkdir()
    (group / "workspace" / "link" / "inside").write_text("new")
    (group / "workspace" / "pipe").unlink()
    (group / "memory" / "MEMORY.md").write_text("likes coffee\n")
    (group / "memory" / "people" / "ada.md").unlink()
    (group / "memory" / "new.md").write_text("made up\n")


async def worked(house: House, group: Path) -> TaskId:
    """Have a task answer, and its moment kept before what it does to the folders."""
    async with ControlClient(house.home.control_socket).chat("main") as chat:
        await chat.say(Say(text="tidy up"))
        async for shown in chat.shown():
            if shown.kind == "message":
                break
    (message,) = await house.store.recent_messages()
    assert message.task_id is not None
    await Histories(house.home, house.store, lambda: 1 << 30).before_tools(message.task_id, MAIN)
    work(group)
    return message.task_id


async def test_a_task_is_undone_byte_for_byte_and_back(nightyard: Run, house: House) -> None:
    """A dry run shows it and changes nothing; the undo leaves workspace and memory as they were, to the byte and the
    mode, and lists what cannot be undone; undoing the undo brings the task's work back. The chain stays whole."""
    group = house.home.group(MAIN)
    prepare(group)
    before = held(group)
    task = await worked(house, group)
    after = held(group)
    assert before != after
    plan = await nightyard("undo", task, "--dry-run")
    assert plan.code == 0, plan.err
    assert held(group) == after
    undone = await nightyard("undo", task, "--yes")
    assert undone.code == 0, undone.err
    assert held(group) == before
    for shown, title in ((plan.out, "Would change in main:"), (undone.out, "Undone in main:")):
        lines = shown.splitlines()
        assert lines[0] == title
        for line in (
            "  memory/MEMORY.md  as it was",
            "  memory/new.md  removed",
            "  memory/people/ada.md  there again",
            "  workspace/deep/er/empty  there again",
            "  workspace/link/inside  removed",
            "  workspace/noise.bin  as it was",
            "  workspace/run.sh  as it was",
        ):
            assert line in lines
        lasting = lines[lines.index("What cannot be undone:") + 1 :]
        assert lasting[:2] == [
            "  workspace/pipe was a pipe, and is not made again.",
            f"  {task}: 1 message delivered.",
        ]
        assert lasting[2].startswith(f"  {task}: what it called outside is not known: ")
    undo_id = undone.out.split()[-1]
    assert undone.out.endswith(f"To take that back: ./nightyard undo {undo_id}\n")
    assert f"{task}  undone by {undo_id}" in (await nightyard("history", "main")).out
    back = await nightyard("undo", undo_id, "--yes")
    assert back.code == 0, back.err
    assert held(group) == after
    assert (await nightyard("journal", "verify")).out.startswith("journal: whole, ")


async def test_what_others_did_since_is_undone_only_if_said(nightyard: Run, house: House) -> None:
    """Changes that came after a task are named and refused without `--with-later`; nothing is changed until then."""
    group = house.home.group(MAIN)
    prepare(group)
    before = held(group)
    task = await worked(house, group)
    later = TaskId("task_later")
    await Histories(house.home, house.store, lambda: 1 << 30).before_tools(later, MAIN)
    (group / "memory" / "new.md").write_text("better\n")
    after = held(group)
    refused = await nightyard("undo", task, "--yes")
    assert refused.code == 1
    assert "task_later" in refused.err
    assert "--with-later" in refused.err
    assert held(group) == after
    assert (await nightyard("undo", task, "--with-later", "--yes")).code == 0
    assert held(group) == before
