"""Discord's protocol by hand: the API's requests and the gateway's payloads, for what no SDK does."""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from twins.discord.server import DiscordTwin

ALL_INTENTS = 53608447
WAIT_S = 20.0


class Raw:
    """An API client that says what it is told to say."""

    def __init__(self, twin: DiscordTwin, session: aiohttp.ClientSession, context: ssl.SSLContext) -> None:
        self.twin = twin
        self._session = session
        self._context = context
        self.headers: dict[str, str] = {}
        """Of the last answer."""

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Return status and body."""
        headers = more.pop("headers", {"Authorization": f"Bot {self.twin.world.token}"})
        if body is not None:
            more["data"] = json.dumps(body)
            headers["Content-Type"] = "application/json"
        url = f"{self.twin.address}/api/v10{path}"
        async with self._session.request(method, url, headers=headers, ssl=self._context, **more) as answer:
            self.headers = dict(answer.headers)
            text = await answer.text()
            return answer.status, json.loads(text) if answer.headers.get("Content-Type") == "application/json" else text

    async def person(self, verb: str, body: Any = None, *, method: str = "POST") -> Any:
        """Do something on the user's side."""
        url = f"{self.twin.address}/twin/{verb}"
        async with self._session.request(method, url, json=body, ssl=self._context) as answer:
            return await answer.json()

    async def download(self, url: str) -> tuple[int, bytes]:
        """Fetch a CDN link from the twin."""
        there = self.twin.address + "/" + url.split("/", 3)[3]
        async with self._session.get(there, ssl=self._context) as answer:
            return answer.status, await answer.read()

    @asynccontextmanager
    async def gateway(self, query: str = "?v=10&encoding=json") -> AsyncIterator[Gateway]:
        url = self.twin.address.replace("https", "wss") + "/" + query
        async with self._session.ws_connect(url, ssl=self._context, autoping=False) as socket:
            yield Gateway(self.twin, socket)


class Gateway:
    def __init__(self, twin: DiscordTwin, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._twin = twin
        self.socket = socket
        self._inflate = zlib.decompressobj()
        self.sequence = 0
        self.session_id = ""

    async def receive(self) -> dict[str, Any]:
        """Return the next payload; raise Closed for a close frame."""
        async with asyncio.timeout(WAIT_S):
            message = await self.socket.receive()
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
            raise Closed(self.socket.close_code or message.data)
        data = message.data
        if isinstance(data, bytes):
            assert data.endswith(b"\x00\x00\xff\xff")
            data = self._inflate.decompress(data).decode()
        payload: dict[str, Any] = json.loads(data)
        if payload["s"] is not None:
            self.sequence = payload["s"]
        if payload["t"] == "READY":
            self.session_id = payload["d"]["session_id"]
        return payload

    async def until(self, name: str) -> dict[str, Any]:
        """Return the data of the next event of that name."""
        while True:
            payload = await self.receive()
            if payload["t"] == name:
                return dict(payload["d"])

    async def until_op(self, op: int) -> Any:
        while True:
            payload = await self.receive()
            if payload["op"] == op:
                return payload["d"]

    async def send(self, op: int, data: Any) -> None:
        await self.socket.send_str(json.dumps({"op": op, "d": data}))

    async def identify(self, **changed: Any) -> None:
        await self.until_op(10)
        token = self._twin.world.token
        await self.send(2, {"token": token, "intents": ALL_INTENTS, "properties": {}, **changed})

    async def resume(self, session_id: str, sequence: int, **changed: Any) -> None:
        await self.until_op(10)
        token = self._twin.world.token
        await self.send(6, {"token": token, "session_id": session_id, "seq": sequence, **changed})

    async def until_closed(self) -> int:
        """Return the code the twin closes with."""
        while True:
            try:
                await self.receive()
            except Closed as closed:
                return closed.code


def form_errors(body: Any) -> Any:
    """Return what a refusal with 50035 says of the fields."""
    assert (body["code"], body["message"]) == (50035, "Invalid Form Body")
    return body["errors"]


class Closed(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@asynccontextmanager
async def raw_client(twin: DiscordTwin) -> AsyncIterator[Raw]:
    context = ssl.create_default_context(cafile=str(twin.ca_file))
    async with aiohttp.ClientSession() as session:
        yield Raw(twin, session, context)
