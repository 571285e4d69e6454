"""Bots that send faster than is published are told to wait, where that is switched on."""

from __future__ import annotations

import base64

from tests.twins.telegram_side import ADA, BEN, GROUP, serving
from twins.telegram.limits import ALL, CHAT, Limits
from twins.telegram.limits import GROUP as GROUP_RATE

NOW = 1_000_000.0


def passed(limits: Limits, chat: int, count: int, now: float = NOW, length: int = 1) -> int:
    """Return how many of so many messages pass at once."""
    return sum(1 for _ in range(count) if limits.take(chat, length, now) == 0)


def test_a_chat_takes_one_message_a_second() -> None:
    """After a short burst a person's chat takes one each second; a long text counts double."""
    limits = Limits(is_on=True)
    assert passed(limits, ADA, 50) == CHAT.depth
    assert passed(limits, ADA, 50, NOW + 3) == 3
    assert limits.take(ADA, 1, NOW + 3) == 1
    assert passed(limits, BEN, 50, NOW + 9, length=501) == CHAT.depth // 2
    assert limits.take(BEN, 501, NOW + 9) == 1


def test_a_group_takes_twenty_a_minute() -> None:
    """The twenty-first waits three seconds; a minute later there are twenty again."""
    limits = Limits(is_on=True)
    assert passed(limits, GROUP, 50) == GROUP_RATE.depth == 20
    assert limits.take(GROUP, 1, NOW) == 3
    assert passed(limits, GROUP, 50, NOW + 60) == 20


def test_all_chats_together_take_thirty_a_second() -> None:
    """Many chats at once share the bot's own rate; one that waits takes nothing from the others."""
    limits = Limits(is_on=True)
    assert sum(passed(limits, number, 1) for number in range(1, 100)) == ALL.depth == 30
    assert sum(passed(limits, number, 1, NOW + 1) for number in range(1, 100)) == 30


def test_large_uploads_of_one_size_queue_and_are_then_refused() -> None:
    """Each is held back a little longer; beyond five seconds of queue there is no more of that size."""
    limits = Limits(is_on=True)
    waits = [limits.queue_upload(200_000, NOW) for _ in range(40)]
    assert waits[0] == 0.0
    assert waits[-1] is None
    told = [wait for wait in waits if wait is not None]
    assert told == sorted(told)
    assert 5.0 < max(told) < 5.5
    assert limits.queue_upload(300_000, NOW) == 0.0
    assert [limits.queue_upload(99_999, NOW) for _ in range(40)] == [0.0] * 40


async def test_the_client_is_told_how_long_to_wait() -> None:
    """429 names the seconds in its words, in its parameters and in a header; by the twin's clock they pass."""
    async with serving(limits=True) as server:
        server.world.clock.scale = 0.001
        for _ in range(int(CHAT.depth)):
            await server.result("sendMessage", chat_id=ADA, text="x")
        body = await server.call("sendMessage", chat_id=ADA, text="x")
        assert body["description"] == "Too Many Requests: retry after 1"
        assert body["parameters"] == {"retry_after": 1}
        await server.result("sendMessage", chat_id=BEN, text="another chat")
        await server.person("clock", advance_s=1)
        sent = await server.result("sendMessage", chat_id=ADA, text="x")
        edit = {"chat_id": ADA, "message_id": sent["message_id"], "text": "y"}
        assert (await server.refused("editMessageText", **edit))[0] == 429
        await server.person("limits", on=False)
        await server.result("editMessageText", **edit)


async def test_without_limits_nothing_is_refused() -> None:
    """A test of something else sends as fast as it likes."""
    async with serving() as server:
        for _ in range(40):
            await server.result("sendMessage", chat_id=GROUP, text="x")


async def test_a_burst_of_uploads_is_refused_late() -> None:
    """What is too much is held for three seconds of the twin's and then told to wait a minute."""
    async with serving(limits=True) as server:
        server.world.clock.scale = 0.001
        while server.world.limits.queue_upload(150_000, server.world.clock.now()) is not None:
            pass
        server.world.clock.scale = 1000
        server.world.limits._uploads[150_000] = server.world.clock.now() + 1000
        files = {"document": ("a.bin", base64.b64encode(bytes(112_500)))}
        path = f"/bot{server.world.token}/sendDocument"
        answer = await server.http.post(path, data={"chat_id": str(ADA)}, files=files)
        assert answer.status_code == 429
        assert answer.json()["parameters"] == {"retry_after": 60}
