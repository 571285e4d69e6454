"""Typing, kept alive."""

from __future__ import annotations

import asyncio

from channels.channel import DeliveryFailed
from channels.presence import Presence
from tests.channels.showing import Stage, running


async def test_typing_is_kept_alive_until_work_ends() -> None:
    """A chat is shown typing again and again, at once when it begins, no more when it ends."""
    stage = Stage()
    presence = Presence(stage.send_typing, repeat_s=0.01)
    async with running(presence.run):
        presence.begin(1)
        presence.begin(1)
        await stage.until(lambda: stage.count("typing", 1) >= 3)
        presence.end(1)
        presence.begin(2)
        seen = stage.count("typing", 1)
        await stage.until(lambda: stage.count("typing", 2) >= 3)
        assert stage.count("typing", 1) <= seen + 1  # one may have been under way


async def test_a_chat_that_is_refused_rests_alone() -> None:
    """A chat for which the platform asks for a pause is left alone so long; others go on."""
    stage = Stage()
    stage.refusals[1] = [DeliveryFailed("slow down", retry_after_s=600.0)]
    presence = Presence(stage.send_typing, repeat_s=0.01)
    async with running(presence.run):
        presence.begin(1)
        presence.begin(2)
        await stage.until(lambda: stage.count("typing", 2) >= 4)
    assert stage.count("typing", 1) == 1


async def test_a_chat_that_does_not_answer_holds_up_no_other() -> None:
    """One call that hangs is one chat's."""
    stage = Stage()
    stage.held[1] = asyncio.Event()
    presence = Presence(stage.send_typing, repeat_s=0.01)
    async with running(presence.run):
        presence.begin(1)
        presence.begin(2)
        await stage.until(lambda: stage.count("typing", 2) >= 4)
    assert stage.count("typing", 1) == 1
