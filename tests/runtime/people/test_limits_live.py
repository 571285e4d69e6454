"""What is limited by day and by age, over a real store and a platform: a person's money, everybody's, old words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runtime.store import pause_rows, usage_rows
from runtime.store.database import Transaction
from tests.runtime.money.support import today
from tests.runtime.people.conftest import ADA, BEN, BEN_KEY, TIMEOUT_S, TelegramHouse
from tests.runtime.store.support import used


async def rows(there: TelegramHouse, query: str) -> list[Any]:
    return await there.house.store.read(lambda transaction: [row[0] for row in transaction.connection.execute(query)])


@asynccontextmanager
async def at_work(*parts: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(part()) for part in parts]
        yield
        for part in running:
            part.cancel()


@pytest.mark.parametrize(
    ("limit", "calls", "cost", "words"),
    [
        ({"model_calls_per_day": 2}, 2, 0.0, "You have used your 2 model calls of today (UTC)"),
        ({"cost_usd_per_day": 0.5}, 1, 0.5, "You have used up your $0.5 of today (UTC)"),
    ],
)
async def test_a_person_at_their_limit_is_told_and_nobody_else_is(
    there: TelegramHouse, limit: dict[str, float], calls: int, cost: float, words: str
) -> None:
    """What Ben's tasks have used counts for Ben alone; with a higher limit he is answered again."""
    await there.pair()
    await there.let_ben_in()
    (task,) = await rows(there, "SELECT task_id FROM tasks WHERE submitter = 'person:telegram:1002'")
    await there.ask("person_limit", person=BEN_KEY, **limit)
    await there.phone.type("still below", person=BEN)
    await there.reads(BEN, "You said still below")
    await there.house.store.write(usage_rows.put_use, [used(today(), task, calls=calls, cost=cost)])
    await there.phone.type("one more", person=BEN)
    await there.reads(BEN, words)
    await there.phone.type("and me")
    await there.reads(ADA, "You said and me")
    await there.ask("person_limit", person=BEN_KEY, **{name: value * 10 for name, value in limit.items()})
    await there.phone.type("again", person=BEN)
    await there.reads(BEN, "You said again")
    assert not [each for each in await there.phone.sees(BEN) if "You said one more" in each.get("text", "")]


async def test_the_machines_budget_holds_every_agent_and_an_owner_lets_all_go_on(there: TelegramHouse) -> None:
    """Used up by two agents together, it holds both back with one card; a yes lets both go on."""
    await there.pair()
    (there.house.fork / "nightyard.yaml").write_text(
        "channels:\n  telegram: {secret: telegram, group: main}\nbudgets: {calls_per_day: 3}\n"
    )
    await there.house.state.reload()
    await there.house.store.write(
        usage_rows.put_use, [used(today(), "task_1", calls=2), used(today(), "task_2", "side", calls=1)]
    )
    money = there.house.money
    money.mirror.has_caught_up.set()

    async def held() -> set[str]:
        found = await there.house.store.read(pause_rows.pauses)
        return {each.group_id for each in found if each.cause == "budget"}

    async with at_work(money.spending.run):
        card = await there.reads(ADA, "the budget of all agents of today is used up")
        assert "raise for today: 3 model calls more" in card["text"]
        assert await held() == set(there.house.state.groups.ready)
        await there.press(ADA, card, "Raise for today")
        async with asyncio.timeout(TIMEOUT_S):
            while await held():  # noqa: ASYNC110 - the store is looked at
                await asyncio.sleep(0.01)


async def test_words_older_than_keep_days_go_and_newer_ones_stay(there: TelegramHouse) -> None:
    """`keep_days` in nightyard.yaml takes out what was said and answered before; not who, when and how it ended."""
    await there.pair()
    await there.phone.type("long ago")
    await there.reads(ADA, "You said long ago")
    await there.phone.type("just now")
    await there.reads(ADA, "You said just now")

    def age(transaction: Transaction) -> None:
        old = "'2020-01-01T00:00:00.000000+00:00'"
        first = "SELECT task_id FROM tasks ORDER BY created_at LIMIT 1"
        change = transaction.connection.execute
        change(f"UPDATE tasks SET ended_at = {old} WHERE task_id = ({first})")
        change(
            f"UPDATE messages SET received_at = {old}, ended_at = {old} "
            f"WHERE seq <= (SELECT max(seq) FROM messages WHERE task_id = ({first}))"
        )

    await there.house.store.write(age)
    (there.house.fork / "nightyard.yaml").write_text(
        "channels:\n  telegram: {secret: telegram, group: main}\nkeep_days: 30\n"
    )
    await there.house.state.reload()
    texts = "SELECT p.body ->> '$.inbound.text' FROM messages JOIN payloads AS p USING (payload_id) ORDER BY seq"
    async with at_work(*there.house.lasting.parts), asyncio.timeout(TIMEOUT_S):
        while "long ago" in await rows(there, texts):  # noqa: ASYNC110 - the store is looked at
            await asyncio.sleep(0.01)
    assert (await rows(there, texts))[-2:] == ["(forgotten)", "just now"]
    assert await rows(there, "SELECT state FROM tasks ORDER BY created_at") == ["reply", "reply"]
