"""Other official clients than the one that we use take the Slack twin for Slack too."""

from __future__ import annotations

import asyncio
import queue

import pytest
from slack_sdk import WebClient
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from tests.twins.slack_workspace import WAIT_S, served_workspace
from twins.slack.seed import ANNA, GENERAL
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN


@pytest.mark.long  # the client takes seconds to end its threads
async def test_the_client_with_a_websocket_of_its_own_hears_and_answers() -> None:
    """The SDK's built-in client, in threads and with its own WebSocket code: hears, acknowledges, posts, reconnects."""
    async with served_workspace() as workspace:
        web = WebClient(token=BOT_TOKEN, base_url=f"{workspace.address}/api/")
        client = SocketModeClient(app_token=APP_TOKEN, web_client=web, ping_interval=1)
        arrived: queue.Queue[SocketModeRequest] = queue.Queue()

        def listen(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            arrived.put(request)

        client.socket_mode_request_listeners.append(listen)
        await asyncio.to_thread(client.connect)
        try:
            await workspace.person("type", text="grüß dich")
            event = (await asyncio.to_thread(arrived.get, timeout=WAIT_S)).payload["event"]
            assert (event["text"], event["user"]) == ("grüß dich", ANNA)
            await workspace.noted("ack")
            await asyncio.to_thread(web.chat_postMessage, channel=event["channel"], text="dich auch")
            await workspace.noted("ack", 2)
            await workspace.person("disconnect", reason="refresh_requested")
            await workspace.noted("socket_opened", 2)
            await workspace.person("type", text="x" * 70_000, chat=GENERAL)
            texts = []
            while "x" * 40_000 not in texts:
                request = await asyncio.to_thread(arrived.get, timeout=WAIT_S)
                texts.append(request.payload["event"]["text"])
        finally:
            await asyncio.to_thread(client.close)
