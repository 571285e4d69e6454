"""The Slack twin takes the official SDK, unmodified, through its Web API and its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from twins.slack.seed import ANNA, DIRECT, GENERAL
from twins.slack.server import SlackTwin
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN
from twins.slack.world import BOT_ID, BOT_USER_ID

WAIT_S = 20.0


class Workspace:
    """A served twin with a person's side and an SDK client."""

    def __init__(self, twin: SlackTwin, address: str, http: aiohttp.ClientSession) -> None:
        self.twin = twin
        self.address = address
        self.http = http
        self.bot = AsyncWebClient(token=BOT_TOKEN, base_url=f"{address}/api/", session=http)

    async def person(self, verb: str, **body: Any) -> dict[str, Any]:
        async with self.http.post(f"{self.address}/twin/{verb}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def chat(self, chat: str, person: str = "Anna", **query: str) -> list[dict[str, Any]]:
        asked = {"chat": chat, "person": person, **query}
        async with self.http.get(f"{self.address}/twin/chat", params=asked) as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["messages"])

    async def refused(self, method: str, **arguments: Any) -> dict[str, Any]:
        with pytest.raises(SlackApiError) as caught:
            await self.bot.api_call(method, json=arguments)
        return dict(caught.value.response.data)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Queue[SocketModeRequest]]:
        """An SDK's socket that acknowledges everything; yields what arrives."""
        arrived: asyncio.Queue[SocketModeRequest] = asyncio.Queue()

        async def listen(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            arrived.put_nowait(request)

        client = SocketModeClient(app_token=APP_TOKEN, web_client=self.bot)
        client.socket_mode_request_listeners.append(listen)
        await client.connect()  # type: ignore[no-untyped-call]  # the SDK's own
        try:
            yield arrived
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # the SDK's own


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    twin = SlackTwin(rate_limits=False)
    async with twin.serve() as address, aiohttp.ClientSession() as http:
        yield Workspace(twin, address, http)


async def test_the_sdk_hears_a_typed_message_and_answers(workspace: Workspace) -> None:
    """A typed message comes as an events_api envelope; what the SDK posts is shown to the person."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("type", text="hello & <you>")
        request = await arrived.get()
        assert request.type == "events_api"
        event = request.payload["event"]
        assert (event["type"], event["user"], event["channel_type"]) == ("message", ANNA, "im")
        assert (event["channel"], event["text"]) == (DIRECT[ANNA], "hello &amp; &lt;you&gt;")
        posted = await workspace.bot.chat_postMessage(channel=event["channel"], text="good evening")
        echo = (await arrived.get()).payload["event"]
        assert (echo["ts"], echo["bot_id"], echo["user"]) == (posted["ts"], BOT_ID, BOT_USER_ID)
    shown = await workspace.chat(DIRECT[ANNA])
    assert [(message["text"], message["is_bot"]) for message in shown] == [
        ("hello & <you>", False),
        ("good evening", True),
    ]


async def test_a_mention_in_a_joined_channel_comes_twice(workspace: Workspace) -> None:
    """Once as app_mention and once as message, with the same ts."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("type", text="@nightyard_bot hi", chat="#general")
        events = [(await arrived.get()).payload["event"] for _ in range(2)]
    assert sorted(event["type"] for event in events) == ["app_mention", "message"]
    assert events[0]["ts"] == events[1]["ts"]
    assert {event["channel"] for event in events} == {GENERAL}
    assert events[0]["text"] == f"<@{BOT_USER_ID}> hi"


async def test_metadata_is_found_again_in_history(workspace: Workspace) -> None:
    """What a message was tagged with comes back where history is asked for all metadata, and only there."""
    tag = {"event_type": "outbox", "event_payload": {"key": "k1"}}
    await workspace.bot.chat_postMessage(channel=GENERAL, text="tagged", metadata=tag)
    plain = await workspace.bot.conversations_history(channel=GENERAL, limit=1)
    found = await workspace.bot.conversations_history(channel=GENERAL, limit=1, include_all_metadata=True)
    assert "metadata" not in plain["messages"][0]
    assert found["messages"][0]["metadata"] == tag
