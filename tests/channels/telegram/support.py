"""What the tests of the Telegram channel stand on: an inbox that keeps, and a person with a phone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import httpx

from channels.telegram.channel import TelegramChannel
from channels.telegram.flood import PUBLISHED
from channels.telegram.timings import Timings
from protocol.ids import ChannelId
from protocol.message import InboundMessage
from twins.telegram.world import DEFAULT_TOKEN

CHANNEL = ChannelId("telegram")
QUICK = Timings(
    token_retry_s=0.05,
    longest_backoff_s=0.05,
    poll_slack_s=1.0,
    ready_s=2.0,
    send_s=5.0,
    rates=PUBLISHED.times(1000),
)
Connected = Callable[[], AbstractAsyncContextManager[TelegramChannel]]


class KeepingInbox:
    """Stores each event once, in the order of its coming; `refuse` makes it fail."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.offered: list[str] = []
        self.refuse: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    async def accept(self, channel_id: ChannelId, event_id: str, raw: bytes) -> None:
        assert channel_id == CHANNEL
        async with self._changed:
            self.offered.append(event_id)
            self._changed.notify_all()
        await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        async with self._changed:
            self.stored.setdefault(event_id, raw)
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when it holds: each event is a reason to look again, and so is a moment's silence."""
        async with asyncio.timeout(10), self._changed:
            while not condition():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()

    async def raw(self, count: int) -> list[bytes]:
        """Return what is stored, as soon as it is so many."""
        await self.until(lambda: len(self.stored) >= count)
        return list(self.stored.values())


class Phone:
    """A person's side of the twin."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def post(self, what: str, **body: Any) -> Any:
        answer = await self._http.post(f"/twin/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, what: str, **query: Any) -> Any:
        answer = await self._http.get(f"/twin/{what}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def address(self) -> str:
        return str(self._http.base_url)

    async def type(self, text: str, **body: Any) -> int:
        return int((await self.post("type", text=text, **body))["message_ids"][0])

    async def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the Bot API beside the channel."""
        answer = await self._http.post(f"/bot{DEFAULT_TOKEN}/{method}", json=arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def upload(self, name: str, content: bytes, **body: Any) -> Any:
        return await self.post("upload", name=name, content=base64.b64encode(content).decode(), **body)

    async def clear_faults(self) -> None:
        assert (await self._http.delete("/twin/fault")).status_code == 200

    async def sees(self, chat: int = 1001, after: int = 0) -> list[Any]:
        """Return the bot's messages in the chat, at once."""
        seen = await self.get("chat", chat=chat, after=after)
        return [message["raw"] for message in seen["messages"] if message["is_bot"]]

    async def file(self, file_id: str) -> bytes:
        return (await self._http.get("/twin/file", params={"id": file_id})).content

    async def calls(self, method: str) -> list[Any]:
        log = await self.get("log", event="call")
        return [entry for entry in log["events"] if entry["method"].lower() == method.lower()]

    async def until_event(self, event: str, after: int = 0) -> Any:
        found = (await self.get("log", event=event, after=after, wait_s=10))["events"]
        assert found, f"no {event} within 10 s"
        return found[-1]

    async def last_event(self) -> int:
        return int((await self.get("log"))["events"][-1]["number"])


def decoded(channel: TelegramChannel, raw: bytes) -> InboundMessage:
    message = channel.decode(raw)
    assert message is not None
    return message


async def fetch_secret() -> str:
    return DEFAULT_TOKEN


async def until(phone: Phone, holds: Callable[[], Any]) -> None:
    """Return when something holds; each event of the twin is a reason to look again."""
    async with asyncio.timeout(15):
        while not holds():
            await phone.get("log", after=10**9, wait_s=0.02)
