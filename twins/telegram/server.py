"""The twin as one HTTP server: `/bot<token>/<method>`, `/file/bot<token>/<path>` and the user's side under `/twin/`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from twins.clock import Clock
from twins.faults import Fault
from twins.http_server import Exchange, Request, serve_http
from twins.phone.files import phone_file
from twins.same_site import FILE_HEADERS, FOREIGN, is_from_another_site
from twins.telegram import user_side
from twins.telegram.arguments import Arguments, parse_arguments
from twins.telegram.deliveries import Deliveries
from twins.telegram.faults import CALL_KINDS, strike
from twins.telegram.limits import FLOOD_DELAY_S, FLOOD_RETRY_S
from twins.telegram.methods.table import call_method
from twins.telegram.polling import Polling
from twins.telegram.refusal import Refusal
from twins.telegram.world import DEFAULT_TOKEN, World

_BOT_PATH = re.compile(r"/bot(?P<token>[^/]*)/(?P<method>\w+)/?")
_FILE_PATH = re.compile(r"/file/bot(?P<token>[^/]+)/(?P<path>.+)")
_TOKEN = re.compile(r"[1-9]\d{0,18}(?::.*)?")
MAX_TOKEN = 80


class TelegramTwin:
    def __init__(self, token: str = DEFAULT_TOKEN, *, clock: Clock | None = None, limits: bool = False) -> None:
        """With `limits`, more messages than the published rates are refused."""
        self.world = World(token, clock=clock)
        self.world.limits.is_on = limits
        self._polling = Polling(self.world)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve until the block is left; yields the address."""
        failed: Exception | None = None
        async with asyncio.TaskGroup() as tasks, serve_http(self.handle, host=host, port=port) as bound:
            deliveries = tasks.create_task(Deliveries(self.world, call_method).run())
            try:
                yield f"http://{host}:{bound}"
            except Exception as error:  # noqa: BLE001 - what failed in the block is the caller's: the group would wrap it
                failed = error
            finally:
                deliveries.cancel()
        if failed is not None:
            raise failed

    async def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer one request."""
        path = unquote(request.path)  # clients may escape the colon of a token
        try:
            if called := _BOT_PATH.fullmatch(path):
                await self._call(request, exchange, called["token"], called["method"])
            elif wanted := _FILE_PATH.fullmatch(path):
                await self._download(exchange, wanted["token"], wanted["path"])
            elif request.path.startswith("/twin/"):
                await self._user_side(request, exchange)
            else:
                raise Refusal(404, "Not Found")
        except Refusal as refusal:
            wait = refusal.parameters.get("retry_after")
            headers = {} if wait is None else {"retry-after": str(wait)}
            await exchange.answer_json(refusal.status, refusal.as_json(), headers)

    async def _call(self, request: Request, exchange: Exchange, token: str, method: str) -> None:
        fault = self.world.faults.take(method, CALL_KINDS)
        outcome: dict[str, Any] = {"method": method, "fault": fault.kind if fault else ""}
        try:
            if fault is not None and not await strike(fault, exchange):
                return
            self._check_token(token)
            arguments = parse_arguments(request.query, request.headers.get("content-type", ""), request.body)
            outcome["arguments"] = dict(arguments.values)
            await self._queue_upload(arguments)
            if method.lower() == "getupdates":
                result: Any = await self._polling.get_updates(arguments)
            else:
                result = call_method(self.world, method, arguments)
            outcome["status"] = 200
        except Refusal as refusal:
            outcome |= {"status": refusal.status, "description": refusal.description}
            raise
        finally:
            self.world.log.note("call", **outcome)
        await _answer(exchange, result, fault)

    async def _queue_upload(self, arguments: Arguments) -> None:
        """Hold back what is one of many large uploads of one size, as the open server does; raise Refusal."""
        size = sum(len(upload.content) for upload in arguments.uploads.values())
        wait_s = self.world.limits.queue_upload(size, self.world.clock.now())
        if wait_s is None:
            await self.world.clock.sleep(FLOOD_DELAY_S)
            words = f"Too Many Requests: retry after {FLOOD_RETRY_S}"
            raise Refusal(429, words, retry_after=FLOOD_RETRY_S)
        if wait_s:
            await self.world.clock.sleep(wait_s)

    def _check_token(self, token: str) -> None:
        if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
            raise Refusal(401, "Unauthorized: invalid token specified")
        if token != self.world.token:
            raise Refusal(401, "Unauthorized")

    async def _download(self, exchange: Exchange, token: str, path: str) -> None:
        fault = self.world.faults.take("download", CALL_KINDS)
        if fault is not None and not await strike(fault, exchange):
            return
        self._check_token(token)
        file = self.world.files.at_path(path)
        if file is None or file.link_until < self.world.clock.now():
            raise Refusal(404, "Not Found")
        await exchange.answer(200, file.content, content_type="application/octet-stream")

    async def _user_side(self, request: Request, exchange: Exchange) -> None:
        if is_from_another_site(request.headers):
            raise Refusal(403, FOREIGN)
        page = phone_file(request.path) if request.method == "GET" else None
        if page is not None:
            return await exchange.answer(200, page[1], content_type=page[0])
        if request.path == "/twin/file" and request.method == "GET":
            return await self._show_file(exchange, request.query.get("id", ""))
        try:
            body = request.json() if request.body else {}
            answer = await self._act(f"{request.method} {request.path.removeprefix('/twin/')}", request, body)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            words = f"the request lacks something or has it wrong: {type(error).__name__} {error}"
            raise Refusal(400, words) from error
        return await exchange.answer_json(200, answer)

    async def _act(self, action: str, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        act = user_side.ACTS.get(action)
        if act is not None:
            return await act(self.world, body)
        match action:
            case "POST token":
                self.world.token = str(body["token"])
                self._polling.cut_short()
                return {}
            case "POST fault":
                fault = self.world.faults.add(body)
                if fault.method in ("*", "getupdates"):
                    self._polling.cut_short()
                return {}
            case "DELETE fault":
                self.world.faults.clear()
                self.world.log.note("faults_cleared")
                return {}
            case "GET fault":
                return self.world.faults.as_json()
            case "GET world":
                return user_side.show_world(self.world)
            case "GET chat":
                return await user_side.show_chat(self.world, request.query)
            case "GET log":
                return await self.world.log.answer(request.query)
            case _:
                raise Refusal(404, f"the twin has no {action}")

    async def _show_file(self, exchange: Exchange, file_id: str) -> None:
        file = self.world.files.get(file_id)
        if file is None:
            raise Refusal(404, "there is no such file in this twin")
        await exchange.answer(200, file.content, FILE_HEADERS, content_type=file.media_type)


async def _answer(exchange: Exchange, result: Any, fault: Fault | None) -> None:
    if fault is not None and fault.kind == "lost_answer":
        return exchange.reset()
    return await exchange.answer_json(200, {"ok": True, "result": result})
