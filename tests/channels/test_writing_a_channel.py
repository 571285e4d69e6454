"""The worked example of docs/writing-a-channel.md is run as it stands there, against a server that does as it says."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import channels
from channels.channel import Channel, DeliveryFailed, NotYet
from protocol.ids import ChannelId, ChatKey
from protocol.message import Button, OutboundMessage
from tests.channels.conformance_support import Inbox

DOCUMENT = Path(__file__).parents[2] / "docs" / "writing-a-channel.md"
ROOM = ChatKey("pigeon:loft")


class PigeonServer:
    """Pigeon, as the document describes it."""

    def __init__(self) -> None:
        self.token = "coo"
        self.events: dict[int, dict[str, Any]] = {}
        """Those that were not seen."""
        self.said: dict[str, tuple[str, str]] = {}
        self.wait_s = 0.0
        self._writers: list[asyncio.StreamWriter] = []
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()[:2]
            yield f"{host}:{port}"
            self.hang_up()

    async def tell(self, text: str) -> None:
        number = 100 + len(self.events)
        self.events[number] = {"event": number, "room": "loft", "who": "u1", "name": "Anna", "text": text}
        for writer in self._writers:
            await _write(writer, self.events[number])

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def until_seen(self) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: not self.events)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            told = json.loads(line)
            if "hello" in told:
                if told["hello"] != self.token:
                    await _write(writer, {"refused": "token"})
                    break
                self._writers.append(writer)
                await _write(writer, {"me": "bot"})
                for event in list(self.events.values()):
                    await _write(writer, event)
            elif "seen" in told:
                async with self._changed:
                    self.events.pop(told["seen"], None)
                    self._changed.notify_all()
            else:
                await _write(writer, self._answer(told))
        writer.close()

    def _answer(self, told: dict[str, Any]) -> dict[str, Any]:
        key = told["key"]
        if self.wait_s:
            return {"wait": self.wait_s, "key": key}
        if len(told["say"]) > 400:
            return {"no": "too long", "key": key}
        self.said.setdefault(key, (told["room"], told["say"]))
        return {"said": list(self.said).index(key), "key": key}


async def _write(writer: asyncio.StreamWriter, what: dict[str, Any]) -> None:
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()


@pytest.fixture
def pigeon(tmp_path: Path) -> Iterator[Any]:
    """The example's four files, out of the document and into a folder that is part of `channels`."""
    (tmp_path / "pigeon").mkdir()
    for name, code in re.findall(
        r"```python\n# channels/pigeon/(\w+\.py)\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S
    ):
        (tmp_path / "pigeon" / name).write_text(code, "utf-8")
    channels.__path__.append(str(tmp_path))
    yield importlib.import_module("channels.pigeon.channel")
    channels.__path__.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("channels.pigeon")]:
        del sys.modules[name]


class Loft:
    """A server, an inbox, a channel that runs."""

    def __init__(self, pigeon: Any, server: PigeonServer, url: str) -> None:
        self.server, self.inbox, self._pigeon, self._url = server, Inbox(), pigeon, url
        self.secret = "coo"

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        async def fetch() -> str:
            return self.secret

        timings = self._pigeon.Timings(answer_s=5.0, again_s=0.01, token_retry_s=0.01)
        channel: Channel = self._pigeon.PigeonChannel(ChannelId("pigeon"), fetch, self._url, timings)
        running = asyncio.ensure_future(channel.run(self.inbox))
        try:
            yield channel
        finally:
            running.cancel()
            await asyncio.wait({running})


@pytest.fixture
async def loft(pigeon: Any) -> AsyncIterator[Loft]:
    server = PigeonServer()
    async with server.serve() as url:
        yield Loft(pigeon, server, url)


async def healthy(channel: Channel, words: str = "ok") -> None:
    async with asyncio.timeout(10):
        while channel.health() != words:  # noqa: ASYNC110 - a channel calls nobody when its health changes
            await asyncio.sleep(0)


async def test_what_is_said_is_stored_then_acknowledged(loft: Loft) -> None:
    """An event is stored before the server hears that it was seen; one that could not be stored comes again."""
    loft.inbox.gate.clear()
    async with loft.channel() as channel:
        await healthy(channel)
        await loft.server.tell("hello @bot")
        await loft.inbox.until(lambda: len(loft.inbox.offered) == 1)
        assert list(loft.server.events) == [100]
    loft.inbox.gate.set()
    async with loft.channel() as channel:
        await loft.server.until_seen()
        message = channel.decode(loft.inbox.stored["100"])
    assert message is not None
    assert (message.chat, message.text, message.mentions_me) == (ROOM, "hello @bot", True)
    assert message.chat_kind == "many"


async def test_what_is_answered_is_said_once_and_in_order(loft: Loft) -> None:
    """A long answer is several messages, in order; said again with its key it is the same ones; nobody is rung."""
    text = "\n\n".join(f"**Line {number}** for @all" for number in range(60))
    message = OutboundMessage(chat=ROOM, text=text, buttons=(Button(label="Yes", value="y"),), idempotency_key="task:1")
    async with loft.channel() as channel:
        await healthy(channel)
        receipt = await channel.send(message)
        assert await channel.send(message) == receipt
    said = [words for _, words in loft.server.said.values()]
    assert len(said) == len(receipt.platform_message_ids) > 2
    assert re.findall(r"Line (\d+)", " ".join(said)) == [str(number) for number in range(60)]
    assert "@all" not in " ".join(said)
    assert said[-1].endswith("· Yes")


async def test_what_goes_wrong_is_said_truly(loft: Loft) -> None:
    """A wait, a chat that is none, a refused token and a broken connection are told apart, and mended."""
    async with loft.channel() as channel:
        await healthy(channel)
        loft.server.wait_s = 7.0
        with pytest.raises(NotYet) as not_yet:
            await channel.send(OutboundMessage(chat=ROOM, text="x", idempotency_key="k"))
        assert not_yet.value.retry_after_s == 7.0
        with pytest.raises(DeliveryFailed) as nowhere:
            await channel.send(OutboundMessage(chat=ChatKey("other:1"), text="x"))
        assert nowhere.value.permanent
        loft.server.token = "new"
        loft.server.hang_up()
        await healthy(channel, "token refused")
        loft.secret = "new"
        await healthy(channel)
