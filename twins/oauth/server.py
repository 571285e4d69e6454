"""The twin's server: both issuers, what their tokens open, faults on demand, a log of what arrived.

POST /oauth/token (form or JSON) · GET /oauth/authorize · GET /resource, which takes what /oauth/token gave ·
POST /login/oauth/access_token, the same in GitHub's way (a form, and errors with status 200) ·
POST /app/installations/ID/access_tokens · GET /installation/repositories.
For tests from another process: POST /twin/login, /twin/fault, /twin/set, GET /twin/log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import email.utils
import json
import time
import urllib.parse
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from twins.http_server import Exchange, Request, serve_http
from twins.oauth.github import Apps
from twins.oauth.logins import Client, Logins
from twins.oauth.refusal import Refusal, refuse

SILENCE_S = 3600.0
LOG_LENGTH = 10_000


@dataclass(slots=True, kw_only=True)
class Fault:
    """What the next `times` token requests suffer."""

    kind: str
    """status, reset (nothing was done), silence (nothing was done), delay, garbage; lost (the tokens were changed and
    the connection breaks before the answer), late (they were changed, and the answer comes after `seconds`)."""
    times: int = 1
    status: int = 503
    retry_after: str = ""
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class OAuthTwin:
    """The twin's state, shared by its connections."""

    logins: Logins = field(default_factory=Logins)
    apps: Apps = field(default_factory=Apps)
    faults: deque[Fault] = field(default_factory=deque)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each token request."""
    clock_ahead_s: float = 0.0
    """How far GitHub's clock is ahead of this machine's."""

    async def handle(self, request: Request, exchange: Exchange) -> None:
        try:
            if request.path.startswith("/twin/"):
                await exchange.answer_json(200, self._side(request))
            else:
                await self._serve(request, exchange)
        except Refusal as refusal:
            await exchange.answer_json(refusal.status, refusal.body, {"date": self._date()})

    async def _serve(self, request: Request, exchange: Exchange) -> None:
        where = (request.method, request.path)
        bearer = request.headers.get("authorization", "")
        if where == ("GET", "/oauth/authorize"):
            code = self.logins.authorize(request.query)
            query = urllib.parse.urlencode({"code": code, "state": request.query.get("state", "")})
            await exchange.answer(302, headers={"location": f"{request.query.get('redirect_uri', '')}?{query}"})
        elif where == ("GET", "/resource"):
            if not self.logins.is_good(bearer.removeprefix("Bearer ")):
                raise refuse("invalid_token", "unknown or expired access token", 401)
            await exchange.answer_json(200, {"hello": "ada"})
        elif where == ("GET", "/installation/repositories"):
            await exchange.answer_json(200, self.apps.repositories_of(bearer))
        elif request.method == "POST":
            await self._give(request, exchange)
        else:
            raise Refusal(404, {"message": "Not Found"})

    async def _give(self, request: Request, exchange: Exchange) -> None:
        self.log.append({"path": request.path, "headers": dict(request.headers), "body": request.body.decode()})
        self.arrived.set()
        fault = self._next_fault()
        if fault is not None and await self._suffer(fault, exchange):
            return
        given = self._answer(request)
        if fault is not None and fault.kind == "lost":
            exchange.reset()
            return
        if fault is not None and fault.kind == "late":
            await asyncio.sleep(fault.seconds)
        if request.path == "/login/oauth/access_token" and "json" not in request.headers.get("accept", ""):
            body = urllib.parse.urlencode(given).encode()
            await exchange.answer(200, body, content_type="application/x-www-form-urlencoded; charset=utf-8")
            return
        status = 201 if request.path.endswith("/access_tokens") else 200
        await exchange.answer_json(status, given, {"cache-control": "no-store", "date": self._date()})

    def _answer(self, request: Request) -> dict[str, Any]:
        if request.path.startswith("/app/installations/") and request.path.endswith("/access_tokens"):
            asked = request.json() if request.body else {}
            installation, bearer = request.path.split("/")[3], request.headers.get("authorization", "")
            return self.apps.give(installation, bearer, asked, time.time() + self.clock_ahead_s)
        if request.path not in ("/oauth/token", "/login/oauth/access_token"):
            raise Refusal(404, {"message": "Not Found"})
        try:
            return self.logins.give(_fields(request), _basic(request.headers))
        except Refusal as refusal:
            if request.path == "/oauth/token":
                raise
            return dict(refusal.body)  # GitHub says no with a status of 200

    async def _suffer(self, fault: Fault, exchange: Exchange) -> bool:
        """Do what the fault says before the request is looked at; return whether that was the whole answer."""
        if fault.kind == "status":
            headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
            await exchange.answer_json(fault.status, {"error": "temporarily_unavailable"}, headers)
        elif fault.kind == "garbage":
            await exchange.answer(200, b"<html>a gateway's page</html>", content_type="text/html")
        elif fault.kind == "reset":
            exchange.reset()
        elif fault.kind == "silence":
            await asyncio.sleep(SILENCE_S)
        elif fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        return fault.kind not in ("delay", "late", "lost")

    def _next_fault(self) -> Fault | None:
        if not self.faults:
            return None
        fault = self.faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self.faults.popleft()
        return fault

    def _side(self, request: Request) -> dict[str, Any]:
        if request.path == "/twin/log":
            return {"log": list(self.log), "issued": self.logins.issued}
        told = request.json()
        if request.path == "/twin/fault":
            self.faults.append(Fault(**told))
        elif request.path == "/twin/set":
            for name, value in told.items():
                setattr(self.logins, name, value)
        elif request.path == "/twin/login":
            client = Client(**told["client"])
            self.logins.clients[client.client_id] = client
            return asdict(self.logins.log_in(client.client_id))
        else:
            raise Refusal(404, {"message": "Not Found"})
        return {}

    def _date(self) -> str:
        now = datetime.datetime.fromtimestamp(time.time() + self.clock_ahead_s, datetime.UTC)
        return email.utils.format_datetime(now, usegmt=True)


@asynccontextmanager
async def serve_oauth(*, port: int = 0) -> AsyncIterator[tuple[str, OAuthTwin]]:
    """Serve until the block is left; yields the address and the twin."""
    twin = OAuthTwin()
    async with serve_http(twin.handle, port=port) as bound:
        yield f"http://127.0.0.1:{bound}", twin


def _fields(request: Request) -> dict[str, str]:
    if "json" in request.headers.get("content-type", ""):
        try:
            found = json.loads(request.body)
        except ValueError:
            raise refuse("invalid_request", "the body is no JSON") from None
        return {str(name): str(value) for name, value in found.items()}
    return dict(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True))


def _basic(headers: Mapping[str, str]) -> tuple[str, str] | None:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise refuse("invalid_client", "not Basic authentication", 401) from None
    return urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)
