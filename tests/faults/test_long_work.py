"""Long work over the whole way: a window that fills up, outputs that are kept, a branch, a circle."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from tests.faults.house import talk

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"tool": tool, "arguments": arguments}]}


SCRIPT = {
    "rules": [
        {"when": "^Sum up the conversation", "turns": [{"text": "- open: the blue folder"}]},
        {"when": "^fill (\\d)", "turns": [call("shell", command="seq {1}00000 {1}06000"), {"text": "filled {1}"}]},
        {"when": "^branch", "turns": [call("sub_agent", task="inner work"), {"text": "it said: {output}"}]},
        {"when": "^inner work", "turns": [call("shell", command="echo from inside"), {"text": "inner, {output}"}]},
        {"when": "^circle", "turns": [call("shell", command="echo same")]},
        {
            "when": "^long",
            "turns": [
                call("shell", command="seq 1 30000"),
                call("shell", command="ls ~/outputs | wc -l; wc -l < ~/outputs/$(ls -t ~/outputs | head -1)"),
                {"text": "{output}"},
            ],
        },
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(agent_image: str) -> AsyncIterator[Installation]:
    async with installation(script=SCRIPT, groups=("main",)) as running:
        yield running


def rows(house: Installation, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{house.home}/store.db?mode=ro", uri=True)) as store:
        return list(store.execute(query))


async def test_a_full_window_is_summed_up_and_the_talk_goes_on(house: Installation) -> None:
    """The third message finds the window full: a summary is made first, stands in the store, and later questions are
    short again; nobody reads the summary as an answer."""
    async with talk(house, name="full") as chat:
        for number in (1, 2):
            assert await chat.ask(f"fill {number}") == f"filled {number}"
        assert await chat.ask("and now") == "ok and now"
        assert await chat.ask("and then") == "ok and then"
        assert not any("blue folder" in each for each in (*chat.read("message"), *chat.read("delta")))
    assert [row[:2] for row in rows(house, "SELECT state, asked_by FROM v_compactions")] == [("done", "agent")]
    asked = await asyncio.to_thread(house.twin, "GET", "/twin/log")
    sizes = [each["bytes"] for each in asked if "and then" in each["said"]]
    assert len(sizes) == 1 and sizes[0] < 20_000


async def test_a_branch_works_for_itself(house: Installation) -> None:
    """What the sub-agent did is seen by the host, and only its last message by the conversation."""
    async with talk(house, name="branch") as chat:
        assert await chat.ask("branch") == "it said: inner, from inside"


async def test_a_long_output_is_there_whole(house: Installation) -> None:
    """The model is shown both ends and reads the rest from the file."""
    async with talk(house, name="long") as chat:
        assert (await chat.ask("long")).split()[-1] == "30000"


async def test_a_circle_ends_in_plain_words(house: Installation) -> None:
    """The person reads why, and what was done is kept."""
    async with talk(house, name="circle") as chat:
        assert "the same call of shell 10 times" in await chat.ask("circle")
        assert await chat.ask("hello") == "ok hello"
