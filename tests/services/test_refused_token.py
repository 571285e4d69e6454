"""A token that its platform takes back, between two real platforms at their twins: who hears of it, and where."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Channel
from channels.registry import PLATFORMS
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey
from runtime.channel_watch import ChannelWatch
from runtime.owner_alarm import OwnerAlarm
from runtime.store.records import Binding
from runtime.unwell import TOKEN_REFUSED
from tests.channels.conformance_support import Platform, Rig, rig_of
from tests.channels.discord.platform import DiscordPlatform
from tests.channels.slack.test_conformance import SlackPlatform
from tests.channels.telegram.test_conformance import TelegramPlatform
from tests.scripted_house import House, scripted_house

TIMEOUT_S = 30
MADE: dict[str, Callable[[], Platform]] = {
    "telegram": TelegramPlatform,
    "discord": DiscordPlatform,
    "slack": SlackPlatform,
}


@dataclass(slots=True)
class Town:
    """A host with channels to platforms that an owner is on."""

    house: House
    rigs: dict[str, Rig]
    channels: dict[str, Channel] = field(default_factory=dict)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not holds():
                await self.house.store.recent_messages(1)


@asynccontextmanager
async def town(folder: Path, *names: str) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        rigs: dict[str, Rig] = {}
        channels: dict[str, Channel] = {}
        for name in names:
            (folder / name).mkdir()
            rig = rigs[name] = await stack.enter_async_context(rig_of(MADE[name](), folder / name))
            channels[name] = rig.platform.build(rig._fetch_secret, rig.served.url, rig.kept, 60.0)
        lines = "".join(f"  {name}: {{platform: {name}, group: main, secret: {name}-token}}\n" for name in names)
        house = await stack.enter_async_context(scripted_house(folder, f"channels:\n{lines}", channels))
        for name, rig in rigs.items():
            facts = rig.platform.facts
            await house.store.save_person(PersonKey(f"{name}:{facts.anna}"), "Anna", "owner", "cli")
            chat = ChatKey(facts.direct.key)
            await house.store.bind(Binding(chat=chat, chat_kind="direct", group_id=GroupId("main"), added_by="cli"))
        there = Town(house, rigs, channels)
        await there.until(lambda: all(channel.health() == "ok" for channel in channels.values()))
        yield there


@pytest.mark.parametrize(("revoked", "other"), [("telegram", "discord"), ("discord", "slack"), ("slack", "telegram")])
async def test_an_owner_hears_of_it_on_another_channel_and_in_status(tmp_path: Path, revoked: str, other: str) -> None:
    """Once, there alone, with what to do; `status` says it as long as it lasts; the other platform goes on."""
    async with town(tmp_path, revoked, other) as there, asyncio.TaskGroup() as parts:
        house, rigs = there.house, there.rigs
        alarm = OwnerAlarm(house.store, house.delivery.wake)
        settings = house.state.settings.settings.channels
        channels = {ChannelId(name): channel for name, channel in there.channels.items()}
        watch = ChannelWatch(house.store, alarm, lambda: channels, lambda: settings, look_every_s=0.02)
        running = [parts.create_task(part) for part in (alarm.run(), watch.run())]
        await rigs[revoked].platform.replace_token(rigs[revoked].phone, rigs[revoked].secret)
        await rigs[revoked].phone.type("ends what waits", rigs[revoked].platform.facts.direct)
        here = rigs[other].platform.facts.direct
        (told,) = await rigs[other].phone.until_seen(here, bool)
        words = rigs[other].platform.reads(told).replace("`", "")
        assert f"channel {revoked} does not work" in words
        assert f"secret add {revoked}-token" in words
        status: Any = await house.operations.status()
        states = {each["channel"]: each["health"] for each in status["channels"]}
        assert states[revoked].startswith(TOKEN_REFUSED)
        assert states[other] == "ok"
        await rigs[other].phone.type("still here", here)
        seen = await rigs[other].phone.until_seen(here, lambda seen: len(seen) > 1)
        assert len(seen) == 2
        assert "still here" in json.dumps(seen[1])
        for part in running:
            part.cancel()


def test_no_platform_is_left_out() -> None:
    """Each is tried above."""
    assert set(MADE) == set(PLATFORMS)
