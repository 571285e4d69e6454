"""Channels that do not work: an owner hears of each once, on another channel, and status says how it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channels.channel import Channel
from protocol.ids import ChannelId, ChatKey, GroupId
from protocol.message import Receipt
from runtime.channel_watch import ChannelWatch
from runtime.config import ChannelSettings
from runtime.owner_alarm import OwnerAlarm
from runtime.store.records import Binding
from runtime.store.store import Store, open_store
from runtime.unwell import PATIENCE_S, WELL_S, Condition, describe, look
from tests.runtime.test_delivery import Platform

MAIN = GroupId("main")
REFUSED = "token refused: Unauthorized"


class Patient(Platform):
    """A channel that says of itself what the test says."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.state = "ok"

    def health(self) -> str:
        return self.state


class Ward:
    """A watch over some channels, and what owners were told."""

    def __init__(self, store: Store, *names: str) -> None:
        self.store = store
        self.patients = {ChannelId(name): Patient(name) for name in names}
        channels: dict[ChannelId, Channel] = {**self.patients}
        settings = {name: ChannelSettings(group="main", platform="telegram", secret=f"{name}-token") for name in names}
        self.alarm = OwnerAlarm(store, lambda: None)
        self.watch = ChannelWatch(store, self.alarm, lambda: channels, lambda: settings)

    async def told(self) -> list[tuple[str, str]]:
        """Return the chats and texts that are on their way by now: what is told is told in order."""
        self.alarm.tell("last", "the last word", MAIN, is_new=True)
        found: list[tuple[str, str]] = []
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            running = group.create_task(self.alarm.run())
            while not any(text == "the last word" for _, text in found):
                for row in await self.store.claim_outbox():
                    found.append((row.message.chat, row.message.text))
                    await self.store.outbox_sent(row.outbox_id, Receipt(platform_message_ids=()))
            running.cancel()
        return [each for each in found if each[1] != "the last word"]


@asynccontextmanager
async def opened(path: Path, *chats: str) -> AsyncIterator[Store]:
    async with open_store(path) as store:
        for chat in chats:
            await store.bind(Binding(chat=ChatKey(chat), chat_kind="direct", group_id=MAIN, added_by="cli"))
        yield store


async def test_a_refused_token_is_told_once_on_another_channel(tmp_path: Path) -> None:
    """With the mend, at once; not again at each look, nor after a restart; once more when it had worked meanwhile."""
    async with opened(tmp_path, "terminal:main", "a:1", "b:1") as store:
        ward = Ward(store, "terminal", "a", "b")
        await ward.watch.look(0.0)
        assert await ward.told() == []
        ward.patients[ChannelId("a")].state = REFUSED
        for now in (1.0, 2.0, 10_000.0):
            await ward.watch.look(now)
        ((chat, text),) = await ward.told()
        assert chat == "b:1"
        assert "channel `a` does not work" in text and "./nightyard secret add a-token" in text
        after = Ward(store, "terminal", "a", "b")
        after.patients[ChannelId("a")].state = REFUSED
        await after.watch.load()
        await after.watch.look(0.0)
        assert await after.told() == []
        ward.patients[ChannelId("a")].state = "ok"
        await ward.watch.look(20_000.0)
        await ward.watch.look(20_000.0 + WELL_S)
        ward.patients[ChannelId("a")].state = REFUSED
        await ward.watch.look(30_000.0)
        assert len(await ward.told()) == 1


async def test_where_nothing_else_works_the_terminal_is_told(tmp_path: Path) -> None:
    """A channel that does not work either carries no word about another one."""
    async with opened(tmp_path, "terminal:main", "a:1", "b:1") as store:
        ward = Ward(store, "terminal", "a", "b")
        for name in ("a", "b"):
            ward.patients[ChannelId(name)].state = REFUSED
        await ward.watch.look(0.0)
        assert [chat for chat, _ in await ward.told()] == ["terminal:main"] * 2


async def test_with_nobody_to_tell_it_goes_on(tmp_path: Path) -> None:
    """The only channel is the one that does not work: the log and `status` have it."""
    async with opened(tmp_path, "a:1") as store:
        ward = Ward(store, "a")
        ward.patients[ChannelId("a")].state = REFUSED
        await ward.watch.look(0.0)
        assert await ward.told() == []


def test_what_may_pass_is_told_when_it_has_lasted() -> None:
    """A platform that is away for minutes is nobody's concern; one that comes and goes is told once."""
    condition, due = look(Condition(), "cannot be reached", 0.0)
    assert not due
    condition, due = look(condition, "cannot be reached", PATIENCE_S - 1)
    assert not due
    condition, due = look(condition, "cannot be reached", PATIENCE_S)
    assert due
    for step in range(1, 200):
        condition, due = look(condition, "ok" if step % 2 else REFUSED, PATIENCE_S + step * (WELL_S - 1) / 2)
        assert not due


@pytest.mark.parametrize("health", [REFUSED, "cannot be reached"])
def test_an_owner_reads_what_happened_and_what_to_do(health: str) -> None:
    """The channel's name, what does not work, the command or that none is needed."""
    text = describe("news", "telegram", health, "news-token")
    assert "`news`" in text and "telegram" in text and "./nightyard" in text
