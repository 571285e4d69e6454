"""What was begun to be said on Slack is known at its next try, whatever came in between: it is there once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed
from channels.slack.begun import MAX_KEPT, BegunMessages
from tests.channels.conformance_support import Rig, deliver
from tests.channels.slack.test_slack_sending import HERE, front, say, words
from twins.slack.posting import author, post
from twins.slack.seed import ANNA
from twins.slack.server import SlackTwin


async def test_what_a_dead_host_said_is_known_before_the_first_try(rig: Rig) -> None:
    """The outbox begins as the channel does: what it sends then waits until it is known what was begun before."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        with pytest.raises(DeliveryFailed):
            await channel.send(say("only once"))
    async with rig.running() as channel:
        await deliver(channel, say("only once"))
        assert await words(rig.phone, HERE) == ["only once"]


async def test_what_was_cut_off_is_said_once(twin: SlackTwin, rig: Rig, tmp_path: Path) -> None:
    """Who waits for a message may lose patience while Slack has it already: the next try looks for it."""
    answering = asyncio.Event()
    async with front(twin, [], answering) as address:
        served = replace(rig.served, url=address)
        slow = Rig(platform=rig.platform, served=served, phone=rig.phone, kept=tmp_path / "slow.json")
        async with slow.connected() as channel:
            sending = asyncio.ensure_future(channel.send(say("only once")))
            await rig.phone.until_seen(HERE, lambda seen: len(seen) == 1)
            sending.cancel()
            await asyncio.wait({sending})
            answering.set()
            await deliver(channel, say("only once"))
            assert await words(rig.phone, HERE) == ["only once"]


async def test_what_was_said_is_found_behind_much_that_came_since(twin: SlackTwin, rig: Rig) -> None:
    """However much people say before the next try: all that came since is looked through."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        with pytest.raises(DeliveryFailed):
            await channel.send(say("only once"))
        for number in range(250):
            post(twin.world, twin.world.direct_with(ANNA), {**author(twin.world, ANNA), "text": str(number)})
        await deliver(channel, say("only once"))
        assert await words(rig.phone, HERE) == ["only once"]


async def test_what_was_said_is_found_though_our_clock_is_ahead(rig: Rig) -> None:
    """Before anything came, what time it is at Slack is known from our own clock alone."""
    await rig.phone.post("clock", scale=0.001)
    async with rig.connected() as channel:
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        await deliver(channel, say("only once"))
        assert await words(rig.phone, HERE) == ["only once"]


async def test_a_message_that_waits_is_not_forgotten_for_others() -> None:
    """What may have been said already is known to be so at its next try, whatever was begun in between."""
    begun = BegunMessages(None)
    (await begun.begin("waits", "")).is_unsure = True
    for number in range(3 * MAX_KEPT):
        await begun.begin(str(number), "")
        if number % (MAX_KEPT // 2) == 0:
            assert (await begun.begin("waits", "")).is_unsure
