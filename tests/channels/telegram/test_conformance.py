"""The Telegram channel does what every channel must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from channels.channel import Channel
from channels.growth import GrowingPace
from channels.telegram.channel import TelegramChannel
from channels.telegram.flood import PUBLISHED
from channels.telegram.timings import Timings
from protocol.ids import ChannelId, ChatKey
from tests.channels.conformance import Conformance
from tests.channels.conformance_support import Facts, Json, Phone, Room, Served
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN

ANNA, BEN, YARD, TOPIC = 1001, 1002, -1001000000001, 7
SOON = GrowingPace(first_after_s=0.0, every_s=0.02, answer_within_s=1.0)
QUICK = Timings(
    longest_backoff_s=0.05,
    poll_s=1,
    poll_slack_s=2.0,
    ready_s=2.0,
    send_s=5.0,
    draft=replace(SOON, again_s=0.5),
    growing=SOON,
    rates=PUBLISHED.times(1000),
)

FACTS = Facts(
    channel_id=ChannelId("telegram"),
    anna=ANNA,
    ben=BEN,
    direct=Room(chat=ANNA, key=ChatKey(f"telegram:{ANNA}")),
    second_direct=Room(chat=BEN, key=ChatKey(f"telegram:{BEN}")),
    many=Room(chat=YARD, key=ChatKey(f"telegram:{YARD}")),
    mention="@rehearsal_bot",
    send_method="sendmessage",
    receive_methods=("getUpdates", "getMe", "deleteWebhook"),
    losses=(
        ({"kind": "error", "method": "getupdates", "count": 2},),
        ({"kind": "reset", "method": "getupdates", "count": 2},),
        ({"kind": "garbage", "method": "getupdates", "count": 2},),
        ({"kind": "conflict", "method": "getupdates", "count": 2},),
        ({"kind": "delay", "method": "getupdates", "count": -1, "delay_s": 60},),
    ),
    duplicate={"kind": "redeliver", "method": "update"},
    message_chars=4096,
    lacks={"test_a_deletion_arrives_as_one": "Telegram tells bots of no deletion"},
)


class TelegramPlatform:
    facts = FACTS

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Served]:
        twin = TelegramTwin()
        async with twin.serve() as address:
            yield Served(url=address, api=address, secret=DEFAULT_TOKEN)

    def build(self, fetch_secret: Callable[[], Awaitable[str]], url: str, kept: Path, token_retry_s: float) -> Channel:
        timings = replace(QUICK, token_retry_s=token_retry_s)
        return TelegramChannel(FACTS.channel_id, fetch_secret, url, timings, kept=kept)

    def reads(self, message: Json) -> str:
        return str(message["text"]).replace("\u200b", "")  # in a name, so that it is no mention

    async def replace_token(self, phone: Phone, secret: str) -> str:
        fresh = f"{secret.partition(':')[0]}:another-token-of-the-same-bot-0000000"
        await phone.post("token", token=fresh)
        return fresh

    async def open_thread(self, phone: Phone) -> Room:
        del phone  # the world has one
        return Room(chat=YARD, thread=TOPIC, key=ChatKey(f"telegram:{YARD}:{TOPIC}"))

    async def forward(self, phone: Phone, text: str) -> None:
        said = await phone.post("type", text=text, person=BEN, chat=YARD)
        await phone.post("forward", message_id=said["message_ids"][0], from_chat=YARD, chat=ANNA)


class TestTelegram(Conformance):
    platform = TelegramPlatform()
