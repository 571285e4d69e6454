"""Money on a platform: the commands, and the card with its three buttons, pressed on a phone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runtime.money.records import PurseRow
from runtime.store import usage_rows
from tests.runtime.money.support import today
from tests.runtime.people.conftest import ADA, BEN, TelegramHouse, buttons_of
from tests.runtime.people.conftest import there as there
from tests.runtime.store.support import used


@asynccontextmanager
async def till_open(there: TelegramHouse) -> AsyncIterator[None]:
    """The house's money at work, with a budget of two calls that are used up."""
    (there.house.fork / "groups" / "main" / "group.yaml").write_text("limits: {calls_per_day: 2}\n")
    await there.house.state.reload()
    await there.house.store.write(usage_rows.put_use, [used(today(), "task_1", calls=2)])
    money = there.house.money
    money.mirror.has_caught_up.set()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(money.spending.run())
        yield
        running.cancel()


async def purse(there: TelegramHouse) -> PurseRow:
    return (await there.house.store.read(usage_rows.purse_rows, today()))["group:main"]


@pytest.mark.parametrize(
    ("button", "state", "raises"),
    [("Raise for today", "open", 1), ("Wait until tomorrow", "waiting", 0), ("Stop", "stopped", 0)],
)
async def test_the_card_is_decided_by_a_button(there: TelegramHouse, button: str, state: str, raises: int) -> None:
    """Each of its three answers does what it says."""
    await there.pair()
    async with till_open(there):
        card = await there.reads(ADA, "of today is used up")
        assert buttons_of(card) == ["Raise for today", "Wait until tomorrow", "Stop"]
        await there.press(ADA, card, button)
        while (await purse(there)).state != state:  # noqa: ASYNC110 - the store is looked at
            await asyncio.sleep(0.01)
        assert (await purse(there)).raises == raises


async def test_commands_are_answered_and_kept_from_others(there: TelegramHouse) -> None:
    """/usage is for everybody who may speak, /budget for owners."""
    await there.pair()
    await there.phone.type("/usage")
    await there.reads(ADA, "main, 7 days")
    await there.phone.type("/budget")
    await there.reads(ADA, "Budgets of today")
    await there.let_ben_in()
    await there.phone.type("/usage", person=BEN)
    await there.reads(BEN, "main, 7 days")
    await there.phone.type("/budget raise main", person=BEN)
    await there.reads(BEN, "owner")
    assert await there.house.store.read(usage_rows.purse_rows, today()) == {}
