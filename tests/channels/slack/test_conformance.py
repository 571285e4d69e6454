"""The Slack channel does what every channel must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from channels.channel import Channel
from channels.slack.channel import SlackChannel
from protocol.ids import ChannelId, ChatKey
from tests.channels.conformance import Conformance
from tests.channels.conformance_support import Facts, Json, Phone, Room, Served
from tests.channels.slack.support import QUICK, SECRET, read_text
from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL, RANDOM
from twins.slack.server import SlackTwin

FACTS = Facts(
    channel_id=ChannelId("slack"),
    anna=ANNA,
    ben=BEN,
    direct=Room(chat=DIRECT[ANNA], key=ChatKey(f"slack:{DIRECT[ANNA]}")),
    second_direct=Room(chat=DIRECT[BEN], key=ChatKey(f"slack:{DIRECT[BEN]}")),
    many=Room(chat=GENERAL, key=ChatKey(f"slack:{GENERAL}")),
    mention="@nightyard_bot",
    send_method="chat.postmessage",
    receive_methods=("apps.connections.open", "auth.test"),
    losses=(
        ({"kind": "close_socket", "code": 1000},),
        ({"kind": "close_socket", "code": 4000},),
        ({"kind": "silent_socket"},),
        ({"kind": "refuse_socket"}, {"kind": "close_socket", "code": 4000}),
    ),
    duplicate={"kind": "duplicate"},
    message_chars=4000,
    emoji="+1",
    lacks={"test_a_reply_is_shown_as_one": "on Slack a reply is a thread, and the thread is the chat"},
)


class SlackPlatform:
    facts = FACTS

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Served]:
        async with SlackTwin(rate_limits=False).serve() as address:
            yield Served(url=address, api=address, secret=SECRET)

    def build(self, fetch_secret: Callable[[], Awaitable[str]], url: str, kept: Path, token_retry_s: float) -> Channel:
        timings = replace(QUICK, token_retry_s=token_retry_s)
        return SlackChannel(FACTS.channel_id, fetch_secret, url, timings, kept=kept)

    def reads(self, message: Json) -> str:
        return read_text(message)

    async def replace_token(self, phone: Phone, secret: str) -> str:
        bot, app = secret.split()
        fresh = f"{app}-renewed"
        await phone.post("token", token=fresh)
        return f"{bot} {fresh}"

    async def open_thread(self, phone: Phone) -> Room:
        chats = {chat["id"]: chat for chat in (await phone.get("world"))["chats"]}
        thread = chats[GENERAL]["threads"][0]["id"]
        return Room(chat=GENERAL, thread=thread, key=ChatKey(f"slack:{GENERAL}:{thread}"))

    async def forward(self, phone: Phone, text: str) -> None:
        said = await phone.post("type", person=BEN, chat=RANDOM, text=text)
        await phone.post("share", message_id=said["message_id"], chat=RANDOM, to=DIRECT[ANNA])


class TestSlack(Conformance):
    platform = SlackPlatform()
