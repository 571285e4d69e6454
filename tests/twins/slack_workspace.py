"""A served Slack twin for tests: a person's side, the official SDK as the bot, and a bare socket without an SDK."""

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

from twins.slack.server import SlackTwin
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN

WAIT_S = 20.0

Json = dict[str, Any]


class Workspace:
    def __init__(self, twin: SlackTwin, address: str, http: aiohttp.ClientSession) -> None:
        self.twin = twin
        self.address = address
        self.http = http
        self.bot = AsyncWebClient(token=BOT_TOKEN, base_url=f"{address}/api/", session=http)

    async def person(self, verb: str, **body: Any) -> Json:
        async with self.http.post(f"{self.address}/twin/{verb}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def clear_faults(self) -> None:
        async with self.http.delete(f"{self.address}/twin/fault") as answer:
            assert answer.status == 200

    async def chat(self, chat: str, person: str = "Anna", **query: str) -> list[Json]:
        """What that person sees there."""
        asked = {"chat": chat, "person": person, **query}
        async with self.http.get(f"{self.address}/twin/chat", params=asked) as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["messages"])

    async def refused(self, method: str, token: str = BOT_TOKEN, **arguments: Any) -> Json:
        """The body of a call that the SDK raises for."""
        with pytest.raises(SlackApiError) as caught:
            await self.bot.api_call(method, json=arguments, headers={"Authorization": f"Bearer {token}"})
        return dict(caught.value.response.data)

    async def error(self, method: str, token: str = BOT_TOKEN, **arguments: Any) -> str:
        return str((await self.refused(method, token, **arguments))["error"])

    async def noted(self, event: str, count: int = 1) -> list[Json]:
        """What the twin's log has of an event, once it has so many."""
        async with asyncio.timeout(WAIT_S):
            await self.twin.log.until(lambda: len(self.twin.log.read(event=event)) >= count, WAIT_S)
        return self.twin.log.read(event=event)

    async def socket_address(self) -> str:
        answer = await self.bot.apps_connections_open(app_token=APP_TOKEN)
        return str(answer["url"])

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[Socket]:
        """A bare socket: what it is sent is seen as it is, and acknowledged only by hand."""
        async with self.http.ws_connect(await self.socket_address(), autoping=False) as channel:
            yield Socket(channel)

    @asynccontextmanager
    async def listening(self, **options: Any) -> AsyncIterator[asyncio.Queue[SocketModeRequest]]:
        """An SDK's socket that acknowledges everything; yields what arrives."""
        arrived: asyncio.Queue[SocketModeRequest] = asyncio.Queue()

        async def listen(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            arrived.put_nowait(request)

        client = SocketModeClient(app_token=APP_TOKEN, web_client=self.bot, **options)
        client.socket_mode_request_listeners.append(listen)
        await client.connect()  # type: ignore[no-untyped-call]  # the SDK's own
        try:
            yield arrived
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # the SDK's own


class Socket:
    def __init__(self, channel: aiohttp.ClientWebSocketResponse) -> None:
        self.channel = channel

    async def receive(self) -> Json:
        """The next text frame; pings are answered on the way."""
        async with asyncio.timeout(WAIT_S):
            while True:
                frame = await self.channel.receive()
                if frame.type is aiohttp.WSMsgType.PING:
                    await self.channel.pong(frame.data)
                    continue
                assert frame.type is aiohttp.WSMsgType.TEXT, frame
                return dict(frame.json())

    async def envelope(self, name: str = "message") -> Json:
        """The next events_api envelope of that event, or the next one of another kind."""
        while True:
            frame = await self.receive()
            if frame.get("payload", {}).get("event", {}).get("type", frame["type"]) == name:
                return frame

    async def acknowledge(self, envelope: Json, payload: Json | None = None) -> None:
        body = {"envelope_id": envelope["envelope_id"], **({} if payload is None else {"payload": payload})}
        await self.channel.send_json(body)


@asynccontextmanager
async def served_workspace(*, rate_limits: bool = False) -> AsyncIterator[Workspace]:
    twin = SlackTwin(rate_limits=rate_limits)
    async with twin.serve() as address, aiohttp.ClientSession() as http:
        yield Workspace(twin, address, http)
