"""What every request to the API goes through: faults, the token, limits, its body, and one form for every answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from twins.discord.attachments import MAX_REQUEST_BYTES
from twins.discord.gateway.hub import Hub
from twins.discord.refusal import PlainRefusal, Refusal
from twins.discord.rest import accounts, commands, guilds, interactions, messages, reactions, threads, webhooks
from twins.discord.rest.call import Answer, Call, Route, check_ids
from twins.discord.rest.limits import Limits, Verdict, refused
from twins.discord.threads import archive_idle
from twins.discord.world import Json, Upload, World
from twins.faults import Fault

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *reactions.ROUTES,  # before messages: `/messages/pins`
    *messages.ROUTES,
    *threads.ROUTES,
    *guilds.ROUTES,
    *commands.ROUTES,
    *interactions.ROUTES,
    *webhooks.ROUTES,
)
REST_FAULTS = ("error", "reset", "delay", "garbage", "lost_answer", "unauthorized", "flood")
_PREFIX = re.compile(r"/api(?:/v(\d+))?(/.*)")
_FILE_FIELD = re.compile(r"files\[(\d+)\]|file(\d*)")
_EXEMPT = ("create_interaction_response", "execute_webhook")
_BAN_PAGE = (
    "<!DOCTYPE html><html><head><title>Access denied | discord.com used Cloudflare to restrict access</title></head>"
    "<body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>"
)


class Reset(Exception):
    """The connection breaks instead of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request that met a route, and its answer: for whoever compares them with Discord's description."""

    operation: str
    body: Any
    status: int
    answer: Any


class Front:
    def __init__(self, world: World, hub: Hub, limits: Limits) -> None:
        self._world = world
        self._hub = hub
        self._limits = limits
        self.address = ""
        self.watchers: list[Callable[[Exchange], None]] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer a request; raise Reset where a fault breaks the connection."""
        now = self._world.now
        if self._limits.is_on and self._limits.is_banned(now):
            return web.Response(status=429, text=_BAN_PAGE, content_type="text/html", headers={"Retry-After": "600"})
        headers = {"Via": "1.1 google"}
        facts: Json = {"method": "", "verb": request.method, "path": request.path, "status": 0}
        fault: Fault | None = None
        try:
            answer, fault = await self._call(request, headers, facts)
            status, body = answer.status, answer.body
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
            headers |= refusal.headers
            if status == 429 and "Retry-After" not in headers:
                headers |= refused(body["retry_after"], "shared", {}).headers
            facts["code"] = body.get("code")
        except Reset:
            self._world.log.note("call", **facts)
            raise
        self._world.log.note("call", **facts | {"status": status})
        self._tell_watchers(facts, status, body)
        if fault is not None and fault.kind == "lost_answer":
            raise Reset
        if fault is not None and fault.kind == "garbage":
            return web.Response(text="<html>not json", content_type="text/html", headers=headers)
        if self._limits.is_on and status in (401, 403, 429) and headers.get("X-RateLimit-Scope") != "shared":
            self._limits.note_invalid(now)
        if status == 204:
            return web.Response(status=204, headers=headers)
        text = json.dumps(body).encode()
        return web.Response(status=status, body=text, headers={**headers, "Content-Type": "application/json"})

    def _tell_watchers(self, facts: Json, status: int, body: Any) -> None:
        for watcher in self.watchers if facts["method"] else ():
            answer = None if status == 204 else body
            watcher(Exchange(operation=facts["method"], body=facts.get("body"), status=status, answer=answer))

    async def _call(
        self, request: web.BaseRequest, headers: dict[str, str], facts: Json
    ) -> tuple[Answer, Fault | None]:
        route, parameters = _find(request)
        facts["method"] = route.operation
        fault = self._hub.faults.take(route.operation, REST_FAULTS)
        if fault is not None:
            facts["fault"] = fault.kind
            await _strike(fault)
        if route.needs_token and request.headers.get("Authorization") != f"Bot {self._world.token}":
            raise PlainRefusal(401, "Unauthorized")
        if self._limits.is_on:
            verdict = self._limits.take(
                route.operation,
                parameters,
                self._world.now,
                exempt=route.operation in _EXEMPT or not route.needs_token,
                scale=self._world.clock.scale,
            )
            headers |= verdict.headers
            _pass(verdict)
        check_ids(parameters)
        body, uploads = await _read_body(request)
        facts["body"] = body
        call = Call(
            world=self._world,
            operation=route.operation,
            parameters=parameters,
            query=request.query,
            body=body,
            uploads=uploads,
            address=self.address,
            identifies_left=self._hub.identifies_left,
        )
        archive_idle(self._world)
        return route.handle(call), fault


def _find(request: web.BaseRequest) -> tuple[Route, dict[str, str]]:
    matched = _PREFIX.fullmatch(request.rel_url.raw_path)
    if matched is None or matched[1] not in (None, "9", "10"):
        raise PlainRefusal(404, "Not Found")
    known = False
    for route in ROUTES:
        if found := route.pattern.fullmatch(matched[2]):
            if route.method == request.method:
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
            known = True
    raise PlainRefusal(405, "Method Not Allowed") if known else PlainRefusal(404, "Not Found")


async def _strike(fault: Fault) -> None:
    match fault.kind:
        case "error":
            raise PlainRefusal(fault.status, "Bad Gateway" if fault.status == 502 else "Internal Server Error")
        case "reset":
            raise Reset
        case "delay":
            await asyncio.sleep(fault.delay_s)
        case "unauthorized":
            raise PlainRefusal(401, "Unauthorized")
        case "flood":
            _pass(refused(fault.retry_after, "user", {}))


def _pass(verdict: Verdict) -> None:
    if verdict.retry_after_s is not None:
        refusal = PlainRefusal(429, "Too Many Requests")
        refusal.body, refusal.headers = verdict.body(), verdict.headers
        raise refusal


async def _read_body(request: web.BaseRequest) -> tuple[Any, dict[int, Upload]]:
    if (request.content_length or 0) > MAX_REQUEST_BYTES:
        raise Refusal(40005)
    if request.content_type == "multipart/form-data":
        return await _read_multipart(request)
    raw = bytearray()
    async for piece in request.content.iter_any():
        raw += piece
        if len(raw) > MAX_REQUEST_BYTES:
            raise Refusal(40005)
    return _parse(bytes(raw)), {}


async def _read_multipart(request: web.BaseRequest) -> tuple[Any, dict[int, Upload]]:
    uploads: dict[int, Upload] = {}
    body: Any = {}
    left = MAX_REQUEST_BYTES
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise Refusal(50035)
        content = bytes(await part.read())
        left -= len(content)
        if left < 0:
            raise Refusal(40005)
        if part.name == "payload_json":
            body = _parse(content)
        elif matched := _FILE_FIELD.fullmatch(part.name or ""):
            number = int(matched[1] or matched[2] or 0)
            media_type = part.headers.get("Content-Type", "application/octet-stream")
            uploads[number] = Upload(name=part.filename or "file", content=content, media_type=media_type)
        elif isinstance(body, dict) and part.name:
            body[part.name] = content.decode()
    return body, uploads


def _parse(raw: bytes) -> Any:
    if not raw:
        return {}
    try:
        return json.loads(raw)
    except ValueError as error:
        raise Refusal(50109) from error
