"""What is asked before an agent gets more than it has, on the one mechanism: shown whole, decided once, told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocol.ids import GroupId
from runtime.approvals.approvals import Approvals
from runtime.approvals.askers import MAX_PACKAGES, mcp_question, package_question
from runtime.approvals.effect_text import effect_lines
from runtime.approvals.records import CLI, Approval, Kind, NewApproval
from runtime.refusal import OperationRefused
from runtime.store.store import open_store

MAIN = GroupId("main")
SERVER = mcp_question(MAIN, "files", command="npx", arguments=("-y", "@x/files\u202etxt"), environment=("TOKEN", "A"))


@pytest.mark.parametrize(
    ("kind", "new", "shown"),
    [
        (
            "package",
            package_question(MAIN, "pip", ["pandas", " pandas", "numpy"], reason="tables"),
            ("| manager: pip", "| packages:", "|   - pandas", "|   - numpy", "| reason: tables"),
        ),
        (
            "mcp",
            SERVER,
            (
                "| server: files",
                "| command: npx",
                "| arguments:",
                "|   - -y",
                "|   - @x/files⟨U+202E⟩txt",
                "| environment:",
                "|   - A",
                "|   - TOKEN",
            ),
        ),
        (
            "mcp",
            mcp_question(MAIN, "mail", url="https://mcp.example.org"),
            ("| server: mail", "| url: https://mcp.example.org"),
        ),
    ],
)
async def test_what_is_wanted_is_shown_whole_and_its_room_is_told(
    tmp_path: Path, kind: Kind, new: NewApproval, shown: tuple[str, ...]
) -> None:
    """The same again is the same question; a yes reaches who subscribed, with exactly what was asked."""
    told: asyncio.Queue[Approval] = asyncio.Queue()

    async def hear(approval: Approval) -> None:
        told.put_nowait(approval)

    async with open_store(tmp_path) as store, asyncio.TaskGroup() as parts:
        approvals = Approvals(
            store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group_id: tmp_path
        )
        approvals.subscribe(kind, hear)
        running = parts.create_task(approvals.run())
        asked = await approvals.ask(new)
        assert (asked.kind, effect_lines(asked.payload)) == (kind, shown)
        assert (await approvals.ask(new)).approval_id == asked.approval_id
        await approvals.decide(asked.approval_id, CLI, is_yes=True)
        async with asyncio.timeout(10):
            heard = await told.get()
        assert (heard.state, heard.payload) == ("approved", new.payload)
        running.cancel()


def test_what_nobody_could_look_at_is_not_asked() -> None:
    """Too many packages, and none, are refused; a server is a command or an address."""
    for packages in ([], [""], [f"p{number}" for number in range(MAX_PACKAGES + 1)], ["x" * 2_000]):
        with pytest.raises(OperationRefused):
            package_question(MAIN, "apt", packages)
    with pytest.raises(ValueError, match="a command or an address"):
        mcp_question(MAIN, "both", command="x", url="https://y.example")
