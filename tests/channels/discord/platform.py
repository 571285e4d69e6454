"""The Discord channel on its twin, as the conformance suite and the scenarios run it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from channels.channel import Channel
from channels.discord.channel import DiscordChannel
from channels.discord.facts import PERMISSIONS
from channels.discord.timings import Timings
from protocol.ids import ChannelId, ChatKey
from tests.channels.conformance_support import Facts, Json, Phone, Room, Served
from tests.channels.discord.support import QUICK, reads
from twins.clock import Clock
from twins.discord.seed import ANNA, BACKSTAGE, BEN, BOT, DIRECT, GENERAL, THREAD
from twins.discord.server import DiscordTwin
from twins.discord.world import DEFAULT_TOKEN

HASTE = 20.0
"""So much faster than ours goes the twin's clock: a heartbeat is due every two seconds."""
FACTS = Facts(
    channel_id=ChannelId("discord"),
    anna=ANNA,
    ben=BEN,
    direct=Room(chat=DIRECT[ANNA], key=ChatKey(f"discord:{DIRECT[ANNA]}")),
    second_direct=Room(chat=DIRECT[BEN], key=ChatKey(f"discord:{DIRECT[BEN]}")),
    many=Room(chat=GENERAL, key=ChatKey(f"discord:{GENERAL}")),
    mention=f"<@{BOT}>",
    send_method="create_message",
    receive_methods=("get_my_user", "get_my_oauth2_application", "gateway"),
    losses=(
        ({"kind": "close_socket", "code": 4000},),
        ({"kind": "close_socket", "code": 1001},),
        ({"kind": "silent_socket"},),
        ({"kind": "no_resume", "method": "gateway"}, {"kind": "close_socket", "code": 4000}),
        ({"kind": "close_socket", "code": 4007},),
        ({"kind": "close_socket", "code": 4009},),
    ),
    duplicate={"kind": "duplicate", "method": "message_create"},
    message_chars=2000,
)


class DiscordPlatform:
    facts = FACTS

    def __init__(self, *, limits: bool = False, haste: float = HASTE, timings: Timings = QUICK) -> None:
        self.twin = DiscordTwin(clock=Clock(scale=haste), limits=limits)
        for role in self.twin.world.roles.values():  # nobody, so the bot too, may more than its invite link asks for
            role["permissions"] = str(sum(PERMISSIONS.values()))
        self.timings = timings

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Served]:
        async with self.twin.serve() as address:
            yield Served(url=self.twin.url, api=address, secret=DEFAULT_TOKEN)

    def build(self, fetch_secret: Callable[[], Awaitable[str]], url: str, kept: Path, token_retry_s: float) -> Channel:
        timings = replace(self.timings, token_retry_s=token_retry_s)
        return DiscordChannel(FACTS.channel_id, fetch_secret, url, timings, kept=kept)

    def reads(self, message: Json) -> str:
        return reads(message)

    async def replace_token(self, phone: Phone, secret: str) -> str:
        fresh = f"{secret.partition('.')[0]}.Another.token-of-the-same-bot-000000000"
        await phone.post("token", token=fresh)
        return fresh

    async def open_thread(self, phone: Phone) -> Room:
        del phone  # the world has one
        return Room(chat=GENERAL, thread=THREAD, key=ChatKey(f"discord:{GENERAL}:{THREAD}"))

    async def forward(self, phone: Phone, text: str) -> None:
        said = await phone.post("type", text=text, chat=BACKSTAGE)
        await phone.post("forward", message_id=said["message_ids"][0], chat=DIRECT[ANNA])
