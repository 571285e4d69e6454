"""Bringing updates to the bot's own address: one after another within a chat, again and again until they are taken."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import aiohttp

from twins.telegram.arguments import Arguments, parse_arguments
from twins.telegram.chats import Json
from twins.telegram.refusal import Refusal
from twins.telegram.webhook import Webhook
from twins.telegram.world import World

ANSWER_S = 60.0
LONGEST_WAIT_S = 60.0
LONGEST_RETRY_AFTER_S = 3600.0
GONE_S = 23 * 3600.0
LOOK_S = 1.0
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_NOT_EMBEDDED = ("deletewebhook", "setwebhook", "close", "logout")


class Deliveries:
    """Runs beside the server for as long as it serves."""

    def __init__(self, world: World, call: Callable[[World, str, Arguments], Any]) -> None:
        self._world = world
        self._call = call

    async def run(self) -> None:
        """Deliver until cancelled."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as tasks:
            while True:
                await self._world.log.until(lambda: self._next() is not None, LOOK_S)
                while (due := self._next()) is not None:
                    webhook, update = due
                    webhook.busy.add(_chat_of(update))
                    tasks.create_task(self._deliver(http, webhook, update))

    def _next(self) -> tuple[Webhook, Json] | None:
        """Return the oldest update of a chat that none is on its way to."""
        webhook = self._world.webhook
        if webhook is None or len(webhook.busy) >= webhook.max_connections:
            return None
        for update in self._world.updates.waiting():
            if _chat_of(update) not in webhook.busy:
                return webhook, update
        return None

    async def _deliver(self, http: aiohttp.ClientSession, webhook: Webhook, update: Json) -> None:
        """Try until it is taken, the webhook is another one, or the update too old to matter."""
        wait_s, longest_s = 0.0, random.uniform(LONGEST_WAIT_S, 2 * LONGEST_WAIT_S)
        while self._world.webhook is webhook and update in self._world.updates.waiting():
            retry_after_s = await self._try(http, webhook, update)
            if retry_after_s is None:
                break
            await self._world.clock.sleep(max(wait_s, retry_after_s))
            wait_s = min(max(2.0, wait_s * 2), longest_s)  # at once, then after 2, 4, 8 … seconds
        webhook.busy.discard(_chat_of(update))
        self._world.log.note("webhook_free", update_id=update["update_id"])

    async def _try(self, http: aiohttp.ClientSession, webhook: Webhook, update: Json) -> float | None:
        """Return after how many seconds the other side wants it again; None if it was taken."""
        headers = {SECRET_HEADER: webhook.secret_token} if webhook.secret_token else {}
        try:
            async with http.post(webhook.url, json=update, headers=headers) as answer:
                body, status = await answer.read(), answer.status
                kind, after = answer.headers.get("content-type", ""), answer.headers.get("retry-after", "0")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._failed(webhook, update, f"{type(error).__name__}: {error}")
            return 0.0
        if 200 <= status <= 299:
            webhook.gone_since = None
            self._world.updates.confirm([update["update_id"]])
            self._world.log.note("webhook_delivered", update_id=update["update_id"])
            self._call_embedded(kind, body)
            return None
        self._failed(webhook, update, f"Wrong response from the webhook: {status} {HTTPStatus(status).phrase}")
        self._note_gone(webhook, status)
        return min(float(after) if after.isdecimal() else 0.0, LONGEST_RETRY_AFTER_S)

    def _note_gone(self, webhook: Webhook, status: int) -> None:
        """A webhook that has said 410 for 23 hours is removed."""
        now = self._world.clock.now()
        if status != HTTPStatus.GONE:
            webhook.gone_since = None
        elif webhook.gone_since is None:
            webhook.gone_since = now
        elif now > webhook.gone_since + GONE_S:
            self._world.webhook = None
            self._world.log.note("webhook_set", url="")

    def _failed(self, webhook: Webhook, update: Json, words: str) -> None:
        webhook.last_error_date, webhook.last_error_message = self._world.now(), words
        self._world.log.note("webhook_failed", update_id=update["update_id"], words=words)

    def _call_embedded(self, content_type: str, body: bytes) -> None:
        """Do what the answer's body asks for: its outcome is told to nobody."""
        try:
            arguments = parse_arguments({}, content_type, body)
            method = arguments.text("method").lower()
            if method and method not in _NOT_EMBEDDED and not method.startswith("get"):
                self._call(self._world, method, arguments)
                self._world.log.note("call", method=method, status=200, arguments=dict(arguments.values))
        except Refusal as refusal:
            self._world.log.note("call", method="embedded", status=refusal.status, description=refusal.description)


def _chat_of(update: Json) -> str:
    """Return whose queue an update stands in."""
    content = next((value for key, value in update.items() if key != "update_id" and isinstance(value, dict)), {})
    chat = content.get("chat") or content.get("message", {}).get("chat") or content.get("from") or {}
    return json.dumps(chat.get("id", 0))
