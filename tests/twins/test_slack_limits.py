"""Rate limits of the Slack twin on its own clock, and calls that break on demand."""

from __future__ import annotations

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from tests.twins.slack_workspace import Workspace, served_workspace
from twins.clock import Clock
from twins.slack.rate_limits import POST_BURST, RateLimits
from twins.slack.refusal import Refusal
from twins.slack.seed import DIRECT, GENERAL
from twins.slack.tokens import BOT_TOKEN


async def limited(workspace: Workspace, method: str, **arguments: str) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(SlackApiError) as caught:
        for _ in range(1000):
            await workspace.bot.api_call(method, json=arguments)
    response = caught.value.response
    return response.status_code, response["error"], dict(response.headers)


async def test_a_channel_takes_one_post_a_second_after_a_burst() -> None:
    """429 with Retry-After and `ratelimited`; another channel is not kept from posting, and a second later this one."""
    async with served_workspace(rate_limits=True) as workspace:
        status, error, headers = await limited(workspace, "chat.postMessage", channel=GENERAL, text="x")
        assert (status, error, headers["Retry-After"]) == (429, "ratelimited", "1")
        assert len(workspace.twin.log.read(event="message")) >= POST_BURST
        await workspace.bot.chat_postMessage(channel=next(iter(DIRECT.values())), text="x")
        await workspace.person("clock", advance_s=1)
        await workspace.bot.chat_postMessage(channel=GENERAL, text="x")


async def test_methods_have_tiers_and_histories_may_be_tighter() -> None:
    """A tier's minute is filled again by the twin's clock; for apps sold elsewhere: one call, fifteen messages."""
    async with served_workspace(rate_limits=True) as workspace:
        assert (await limited(workspace, "users.list"))[:2] == (429, "ratelimited")
        await workspace.person("clock", advance_s=60)
        await workspace.bot.users_list()
        await workspace.person("limits", history_a_minute=1, history_page=15)
        for number in range(20):
            await workspace.person("type", text=str(number))
        direct = DIRECT["U0ANNA001"]
        page = await workspace.bot.conversations_history(channel=direct, limit=100)
        assert (len(page["messages"]), page["has_more"]) == (15, True)
        assert await workspace.error("conversations.history", channel=direct) == "ratelimited"
        await workspace.person("limits", on=False)
        await workspace.bot.conversations_history(channel=direct)


def test_the_wait_that_is_told_is_enough() -> None:
    """Who waits as long as Retry-After says is let through, on a fast clock too."""
    for scale in (1.0, 10.0):
        clock = Clock(scale)
        limits = RateLimits(clock)
        with pytest.raises(Refusal) as caught:
            for _ in range(50):
                limits.take("users.list", 2, "")
        clock.advance(caught.value.beside["retry_after"] * scale)
        limits.take("users.list", 2, "")


async def test_calls_break_in_every_way_that_was_asked_for() -> None:
    """5xx, reset, garbage, refused token, flood; a lost answer is done all the same; the next call is well."""
    async with served_workspace() as workspace:
        api = f"{workspace.address}/api/chat.postMessage"
        headers = {"Authorization": f"Bearer {BOT_TOKEN}"}

        async def call(text: str) -> tuple[int, str]:
            body = {"channel": GENERAL, "text": text}
            async with workspace.http.post(api, json=body, headers=headers) as answer:
                return answer.status, await answer.text()

        await workspace.person("fault", kind="error", method="chat.*", status=503)
        assert (await call("a"))[0] == 503
        await workspace.person("fault", kind="garbage")
        assert (await call("b"))[1].startswith("<html>")
        await workspace.person("fault", kind="unauthorized")
        assert "invalid_auth" in (await call("c"))[1]
        await workspace.person("fault", kind="flood", retry_after=7)
        assert (await call("d"))[0] == 429
        for kind in ("reset", "lost_answer"):
            await workspace.person("fault", kind=kind, method="chat.postMessage")
            with pytest.raises(aiohttp.ClientError):
                await call(kind)
        await workspace.person("fault", kind="delay", delay_s=0.01)
        assert (await call("well"))[0] == 200
        texts = [message["text"] for message in await workspace.chat(GENERAL)]
        assert texts[-2:] == ["lost_answer", "well"]
        assert "reset" not in texts
