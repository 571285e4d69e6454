"""What the tests of the Telegram twin stand on: the twin on a real socket, a plain client, the SDK's own bot."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from telegram import Bot, TelegramObject
from telegram.request import HTTPXRequest

from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN, YARD, World

ADA, BEN, MALLORY = 1001, 1002, 1003
GROUP = YARD
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Server:
    """The twin as a client without an SDK sees it."""

    def __init__(self, http: httpx.AsyncClient, twin: TelegramTwin) -> None:
        self.http = http
        self.twin = twin

    @property
    def world(self) -> World:
        return self.twin.world

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/bot{DEFAULT_TOKEN}/{method}", json=arguments)
        body: dict[str, Any] = answer.json()
        assert body["ok"] == (answer.status_code == 200)
        return body

    async def result(self, method: str, **arguments: Any) -> Any:
        body = await self.call(method, **arguments)
        assert body["ok"], body
        return body["result"]

    async def refused(self, method: str, **arguments: Any) -> tuple[int, str]:
        body = await self.call(method, **arguments)
        return body["error_code"], body["description"]

    async def updates(self, **arguments: Any) -> list[Any]:
        return list((await self.call("getUpdates", **arguments))["result"])

    async def person(self, act: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/twin/{act}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def types(self, text: str, **body: Any) -> int:
        return int((await self.person("type", text=text, **body))["message_ids"][0])

    def updates_waiting(self) -> list[int]:
        return self.world.updates.numbers()

    async def sees(self, chat: int = ADA) -> list[Any]:
        return list((await self.http.get("/twin/chat", params={"chat": chat})).json()["messages"])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when it holds; it is looked at again after everything that happens in the twin."""
        assert await self.world.log.until(condition, 10), "not within 10 s"

    async def until_event(self, event: str, after: int = 0) -> Any:
        found = (await self.http.get("/twin/log", params={"event": event, "after": after, "wait_s": 10})).json()
        assert found["events"], f"no {event} within 10 s"
        return found["events"][-1]


@asynccontextmanager
async def serving(*, limits: bool = False) -> AsyncIterator[Server]:
    twin = TelegramTwin(limits=limits)
    async with (
        twin.serve() as address,
        httpx.AsyncClient(base_url=address, timeout=20, trust_env=False) as http,
    ):
        yield Server(http, twin)


@asynccontextmanager
async def sdk_bot(server: Server) -> AsyncIterator[Bot]:
    address = str(server.http.base_url).rstrip("/")
    request, polls = (HTTPXRequest(httpx_kwargs={"trust_env": False}) for _ in range(2))
    made = Bot(
        DEFAULT_TOKEN,
        base_url=f"{address}/bot",
        base_file_url=f"{address}/file/bot",
        request=request,
        get_updates_request=polls,
    )
    async with made:
        yield made


def unknown_fields(value: object) -> list[str]:
    """Return what the SDK does not know in an object of its own, at any depth."""
    if isinstance(value, (list, tuple)):
        return [field for item in value for field in unknown_fields(item)]
    if not isinstance(value, TelegramObject):
        return []
    found = [f"{type(value).__name__}.{key}" for key in value.api_kwargs]
    for name in dir(type(value)):
        if name.startswith("_") or name == "api_kwargs" or callable(getattr(type(value), name)):
            continue
        if isinstance(getattr(type(value), name), property):
            continue
        found += unknown_fields(getattr(value, name, None))
    return found
