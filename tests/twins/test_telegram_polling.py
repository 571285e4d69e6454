"""Updates come as the real server gives them: slowed down when asked too eagerly, for a day, by webhook too."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.twins.telegram_side import ADA, BEN, Server, serving
from twins.http_server import Exchange, Request, serve_http
from twins.telegram.polling import BY_WEBHOOK, TAKEN_OVER, WEBHOOK_ACTIVE


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


class Receiver:
    """A bot's own address: keeps what comes, answers what it is told to."""

    def __init__(self) -> None:
        self.came: list[tuple[float, dict[str, Any], str | None]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.now: Callable[[], float] = time.time

    async def handle(self, request: Request, exchange: Exchange) -> None:
        secret = request.headers.get("x-telegram-bot-api-secret-token")
        self.came.append((self.now(), request.json(), secret))
        status, headers, body = self.answers.pop(0) if self.answers else (200, {}, b"")
        await exchange.answer(status, body, headers, content_type="application/json")

    def texts(self) -> list[str]:
        return [update["message"]["text"] for _, update, _ in self.came]


@asynccontextmanager
async def webhook(server: Server, **more: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.now = server.world.clock.now
    async with serve_http(receiver.handle) as port:
        assert await server.result("setWebhook", url=f"http://127.0.0.1:{port}/hook", **more)
        yield receiver


async def test_the_same_offset_again_at_once_gets_one_update(server: Server) -> None:
    """Within half a second a repeated offset gets one update, later all of them."""
    server.world.clock.scale = 0.001
    for text in ("a", "b"):
        await server.types(text)
    assert len(await server.updates()) == 2
    assert len(await server.updates()) == 1
    server.world.clock.advance(1)
    assert len(await server.updates()) == 2


async def test_the_same_offset_again_waits_at_least_three_seconds(server: Server) -> None:
    """A poll that comes again within three seconds is held for three, however short it asked."""
    server.world.clock.scale = 0.001
    assert await server.updates() == []
    async with asyncio.TaskGroup() as tasks:
        again = tasks.create_task(server.updates())
        await server.until_event("poll", after=(await server.until_event("poll"))["number"])
        assert not again.done()
        await server.person("clock", advance_s=3.1)
        assert await again == []


async def test_further_conflicts_are_told_three_seconds_late(server: Server) -> None:
    """The first poll that was taken over hears of it at once, the next one after three seconds."""
    server.world.clock.scale = 0.001
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(server.refused("getUpdates", timeout=50, offset=1))
        seen = (await server.until_event("poll"))["number"]
        second = tasks.create_task(server.refused("getUpdates", timeout=50, offset=2))
        assert await first == (409, TAKEN_OVER)
        seen = (await server.until_event("poll", after=seen))["number"]
        third = tasks.create_task(server.updates(timeout=50, offset=3))
        await server.until_event("poll", after=seen)
        assert not second.done()
        await server.person("clock", advance_s=3.1)
        assert await second == (409, TAKEN_OVER)
        await server.types("now")
        assert len(await third) == 1


async def test_an_update_lives_for_a_day(server: Server) -> None:
    """What was not fetched within 24 hours is gone."""
    await server.types("old")
    await server.person("clock", advance_s=20 * 3600)
    await server.types("new")
    await server.person("clock", advance_s=5 * 3600)
    assert [update["message"]["text"] for update in await server.updates()] == ["new"]


async def test_reactions_come_only_if_they_are_asked_for(server: Server) -> None:
    """The default kinds lack reactions and members; an empty list brings the default back."""
    number = await server.types("x")
    await server.person("react", message_id=number, emoji="👍")
    assert [list(update) for update in await server.updates()] == [["message", "update_id"]]
    await server.updates(offset=-1, allowed_updates=["message_reaction"])
    await server.person("react", message_id=number, emoji="🎉")
    await server.types("unwanted")
    came = await server.updates(offset=-1, allowed_updates=[])
    assert came[0]["message_reaction"]["new_reaction"] == [{"type": "emoji", "emoji": "🎉"}]
    await server.types("wanted")
    assert (await server.updates(offset=-1))[0]["message"]["text"] == "wanted"


async def test_held_updates_come_when_they_are_released(server: Server) -> None:
    """The fault `hold` keeps updates back, `redeliver` brings a confirmed one once more."""
    await server.person("fault", kind="hold", method="update", count=-1)
    await server.types("later")
    assert await server.updates() == []
    await server.http.delete("/twin/fault")
    server.world.clock.advance(4)
    (came,) = await server.updates()
    await server.person("fault", kind="redeliver", method="update")
    assert await server.updates(offset=came["update_id"] + 1) == [came]
    assert await server.updates(offset=came["update_id"] + 2) == []


async def test_a_webhook_is_brought_what_happens(server: Server) -> None:
    """Updates come with the secret, one after another within a chat; polls are refused meanwhile."""
    async with webhook(server, secret_token="s3cret_-") as receiver:
        for text in ("a", "b", "c"):
            await server.types(text)
        await server.until(lambda: len(receiver.came) == 3)
        assert receiver.texts() == ["a", "b", "c"]
        assert {secret for _, _, secret in receiver.came} == {"s3cret_-"}
        assert await server.refused("getUpdates") == (409, WEBHOOK_ACTIVE)
        info = await server.result("getWebhookInfo")
        assert info["url"].startswith("http://127.0.0.1")
        assert await server.result("deleteWebhook")
        assert (await server.result("getWebhookInfo"))["url"] == ""


async def test_a_waiting_poll_ends_when_a_webhook_is_set(server: Server) -> None:
    """The poll hears which request ended it."""
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(server.refused("getUpdates", timeout=50))
        await server.until_event("poll")
        async with webhook(server):
            assert await poll == (409, BY_WEBHOOK)


async def test_what_a_webhook_does_not_take_comes_again_later(server: Server) -> None:
    """After a failure at once, then after 2, 4, 8 seconds of the twin's; another chat does not wait for it."""
    server.world.clock.scale = 1000
    async with webhook(server) as receiver:
        receiver.answers = [(500, {}, b""), (500, {}, b""), (500, {}, b""), (500, {}, b"")]
        await server.types("a")
        await server.until(lambda: len(receiver.came) == 5)
        assert receiver.texts() == ["a"] * 5
        waits = [later[0] - earlier[0] for earlier, later in zip(receiver.came, receiver.came[1:], strict=False)]
        assert [wait >= least for wait, least in zip(waits, (0, 2, 4, 8), strict=True)] == [True] * 4
        info = await server.result("getWebhookInfo")
        assert info["last_error_message"] == "Wrong response from the webhook: 500 Internal Server Error"


async def test_one_chats_failures_do_not_hold_up_another(server: Server) -> None:
    """While one chat's update waits for its next try, another chat's is brought."""
    server.world.clock.scale = 0.001
    async with webhook(server) as receiver:
        receiver.answers = [(503, {"retry-after": "60"}, b"")]
        await server.types("stuck")
        await server.until_event("webhook_failed")
        await server.types("through", person=BEN)
        await server.until_event("webhook_delivered")
        assert receiver.texts() == ["stuck", "through"]


async def test_a_webhook_that_is_gone_for_23_hours_is_removed(server: Server) -> None:
    """410 is taken at its word after 23 hours of nothing else."""
    server.world.clock.scale = 0.001
    async with webhook(server) as receiver:
        receiver.answers = [(410, {}, b"")] * 9
        await server.types("x")
        seen = await server.until_event("webhook_failed")
        await server.until_event("webhook_failed", after=seen["number"])
        server.world.clock.advance(23.5 * 3600)
        await server.person("clock", advance_s=60)
        await server.until(lambda: server.world.webhook is None)


async def test_a_webhooks_answer_may_hold_a_call(server: Server) -> None:
    """A method named in the answer is called, but none that asks for something."""
    async with webhook(server) as receiver:
        call = {"method": "sendMessage", "chat_id": ADA, "text": "by answer"}
        receiver.answers = [(200, {}, json.dumps(call).encode()), (200, {}, b'{"method": "deleteWebhook"}')]
        receiver.answers.append((200, {}, b'{"method": "getMe"}'))
        for text in ("a", "b", "c"):
            await server.types(text)
        await server.until(lambda: len(receiver.came) == 3 and not server.updates_waiting())
        assert [message["text"] for message in await server.sees() if message["is_bot"]] == ["by answer"]
        assert "getme" not in [call["method"].lower() for call in server.world.log.read(event="call")]
        assert (await server.result("getWebhookInfo"))["url"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "http://example.org/x"}, "bad webhook: An HTTPS URL must be provided for webhook"),
        (
            {"url": "https://example.org:81/x"},
            "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        ),
        ({"url": "https://example.org", "secret_token": "no blanks"}, "secret token contains unallowed characters"),
        ({"url": "https://example.org", "secret_token": "x" * 257}, "secret token is too long"),
    ],
)
async def test_a_wrong_webhook_is_refused(server: Server, arguments: dict[str, Any], words: str) -> None:
    """Addresses and secrets that the real server does not take are not taken."""
    assert await server.refused("setWebhook", **arguments) == (400, f"Bad Request: {words}")


async def test_a_webhook_may_be_set_once_a_second(server: Server) -> None:
    """A second one within the second waits for it."""
    server.world.clock.scale = 0.001
    assert await server.result("setWebhook", url="https://example.org/a")
    assert await server.refused("setWebhook", url="https://example.org/b") == (
        429,
        "Too Many Requests: retry after 1",
    )
    server.world.clock.advance(1)
    assert await server.result("setWebhook", url="https://example.org/b")
