"""/usage and /budget in a chat, and the verbs behind them: numbers from the store, and who may change what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client.control import ControlClient
from client.errors import Refused
from protocol.control import Say
from runtime.commands.money import bars
from runtime.money.purses import MACHINE
from runtime.store import usage_rows
from runtime.store.store import Store
from tests.runtime.money.support import today
from tests.runtime.store.support import used
from tests.scripted_house import House, scripted_house

SETTINGS = "budgets: {usd_per_day: 2.0, calls_per_day: 1000}\n"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with scripted_house(tmp_path, SETTINGS) as running:
        rows = [
            used(today(), "task_1", calls=3, cost=1.25, model="large"),
            used(today(), "task_2", calls=2, cost=None, model="<b>odd*"),
            used(today(), "task_3", "side", calls=1, cost=0.001),
        ]
        await running.store.write(usage_rows.put_use, rows)
        yield running


async def ask(house: House, text: str) -> str:
    async with ControlClient(house.home.control_socket).chat("main") as chat:
        await chat.say(Say(text=text))
        async for shown in chat.shown():
            if shown.kind == "message":
                return shown.text
    raise AssertionError("the chat ended")


async def state_of(store: Store, purse: str) -> str:
    return (await store.read(usage_rows.purse_rows, today()))[purse].state


async def test_usage_tells_of_the_chats_own_agent(house: House) -> None:
    """Its sums, a bar for each day, its models with what is strange in their names escaped, and its budgets."""
    said = await ask(house, "/usage")
    assert "**main, 7 days:** 5 model calls, 550 tokens, $1.25" in said
    assert "▁▁▁▁▁▁█" in said
    assert "- `large`: 3 model calls" in said and "- `<b>odd*`: 2 model calls" in said
    assert "2 calls have no known price" in said
    assert "main's budget today" in said and "side" not in said


async def test_usage_takes_a_number_of_days(house: House) -> None:
    """One day needs no bars; what is no number is told."""
    said = await ask(house, "/usage 1")
    assert "**main, 1 days:**" in said and "█" not in said
    assert "takes a number of days" in await ask(house, "/usage often")
    assert "1 to 400 days" in await ask(house, "/usage 4000")


async def test_budget_shows_and_decides(house: House) -> None:
    """All budgets with what is used of them; raising one counts; what is not used up cannot wait."""
    said = await ask(house, "/budget")
    assert "the budget of all agents today: $1.25 of $2.00" in said
    assert "raised" in await ask(house, "/budget raise machine")
    assert await state_of(house.store, MACHINE) == "open"
    assert "$1.25 of $4.00" in await ask(house, "/budget")
    assert "is not used up" in await ask(house, "/budget wait main")
    assert "no budget" in await ask(house, "/budget stop nobody")
    assert "raise, wait or stop" in await ask(house, "/budget more")


async def test_the_verbs_give_the_same_to_programs(house: House) -> None:
    """`usage` by each key, `budget`, and their refusals with codes."""
    control = ControlClient(house.home.control_socket)
    answer: Any = await control.request("usage", {"days": 2, "by": "model"})
    assert [row["key"] for row in answer["rows"]] == ["large", "m", "<b>odd*"]
    assert len(answer["days"]) == 2 and answer["days"][1]["model_calls"] == 6
    by_name = {each["budget"]: each for each in answer["budgets"]}
    assert set(by_name) == {"machine", "group:main", "background:main", "group:side", "background:side"}
    assert by_name["machine"]["limits"] == {"model_calls": 1000, "tokens": None, "cost_usd": 2.0}
    only: Any = await control.request("usage", {"group": "side"})
    assert sum(row["model_calls"] for row in only["rows"]) == 1
    for verb, arguments, code in (
        ("usage", {"by": "moon"}, "wrong_key"),
        ("usage", {"days": 0}, "wrong_days"),
        ("budget", {"budget": "main", "word": "stop"}, "not_spent"),
        ("budget", {"budget": "nobody", "word": "raise"}, "unknown_budget"),
        ("budget", {"budget": "main", "word": "burn"}, "wrong_arguments"),
    ):
        with pytest.raises(Refused) as refused:
            await control.request(verb, arguments)
        assert refused.value.code == code


async def test_the_people_behind_work_are_named(house: House) -> None:
    """By person: the identities of one person are one line; what nobody is known for says so."""
    control = ControlClient(house.home.control_socket)
    answer: Any = await control.request("usage", {"by": "person"})
    assert [row["key"] for row in answer["rows"]] == ["not known"]
    assert answer["rows"][0]["model_calls"] == 6


def test_bars_have_the_height_of_their_values() -> None:
    """The highest is full, nothing is the lowest, and nothing at all is flat."""
    assert bars([0, 1, 2, 4]) == "▁▃▄█" or bars([0, 1, 2, 4])[-1] == "█"
    assert bars([0, 0]) == "▁▁" and bars([]) == ""
