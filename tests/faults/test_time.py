"""Schedules and agents that ask agents, with real processes and containers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from tests.faults.house import LOOK_EVERY_S, WAIT_S, talk, until_true, workspace, write_group

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

ASK = {"agent": "side", "prompt": "add these up", "files": ["/workspace/books.csv"]}
ADD = "cp /inbox/*.csv sum.csv && tr ',' '+' < sum.csv"
SCRIPT = {
    "rules": [
        {
            "when": "ask around",
            "turns": [{"calls": [{"tool": "delegate", "arguments": ASK}]}, {"text": "got {output}"}],
        },
        {
            "when": "add these up",
            "turns": [
                {"calls": [{"tool": "shell", "arguments": {"command": ADD}}]},
                {"calls": [{"tool": "send_file", "arguments": {"path": "/workspace/sum.csv"}}]},
                {"text": "it is {outputs}"},
            ],
        },
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(agent_image: str) -> AsyncIterator[Installation]:
    async with installation(groups=("main", "side"), script=SCRIPT) as running:
        write_group(running, "main", "delegates: [side]\n")
        await running.control.request("reload")
        yield running


def model_calls(home: Installation) -> int:
    return len(home.twin("GET", "/twin/log"))


async def last_run(home: Installation, schedule: int) -> dict[str, Any]:
    """Return the newest run of a schedule."""
    shown: Any = await home.control.request("schedule_history", {"schedule": schedule})
    run: dict[str, Any] = shown["runs"][0]
    return run


def made(text: str) -> int:
    """Return the number in the answer to who made a schedule."""
    return int(text.split(":")[0].removeprefix("Schedule "))


async def test_a_schedule_answers_in_its_chat(home: Installation) -> None:
    """Made in a chat, it runs at its time in a container, and its answer comes to that chat by itself."""
    async with talk(home, name="time") as chat:
        made(await chat.ask("/schedule in 1 sec Look at the oven"))
        assert "Look at the oven" in (await chat.until("message", "ok ")).text


async def test_a_pre_check_that_finds_nothing_asks_no_model(home: Installation) -> None:
    """Its script runs in the group's container; with 78 the run is skipped, and no model was called."""
    async with talk(home, name="check") as chat:
        before = model_calls(home)
        number = made(await chat.ask("/schedule in 1 sec Look\n```pre-check\ntouch checked\nexit 78\n```"))
        await until_true((workspace(home) / "checked").exists)
        async with asyncio.timeout(WAIT_S):
            while (run := await last_run(home, number))["state"] != "skipped":  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_EVERY_S)
        assert run["reason"] == "pre_check_skipped"
        assert model_calls(home) == before


async def test_what_a_pre_check_wrote_is_in_the_prompt(home: Installation) -> None:
    """With 0 the model reads what the script wrote."""
    async with talk(home, name="found") as chat:
        await chat.ask("/schedule in 1 sec Look\n```pre-check\necho three new ones\n```")
        await chat.until("message", "ok ")
        assert "three new ones" in home.twin("GET", "/twin/log")[-1]["said"]


async def test_an_agent_asks_another_and_hands_it_a_file(home: Installation) -> None:
    """The other agent works on the file in its own container; its answer and its file come back to who asked."""
    workspace(home).mkdir(parents=True, exist_ok=True)
    (workspace(home) / "books.csv").write_text("1,2\n")
    async with talk(home, name="ask") as chat:
        answer = await chat.ask("ask around")
    assert answer.startswith("got side answers:")
    assert "1+2" in answer
    assert "Files from it:" in answer
    (back,) = (home.home / "groups" / "main" / "inbox").glob("dlg_*-back-0.csv")
    assert back.read_text() == "1,2\n"
    listed: Any = await home.control.request("delegations")
    assert [(one["from"], one["to"], one["is_done"]) for one in listed["delegations"]] == [("main", "side", True)]
