"""The twin as one HTTP server: `/api/<method>`, the sockets under `/link/`, and the user's side under `/twin/`."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from twins.clock import Clock
from twins.event_log import EventLog
from twins.faults import Faults
from twins.same_site import FOREIGN, is_from_another_site
from twins.slack.arguments import read_arguments
from twins.slack.background import Background
from twins.slack.controls import Controls
from twins.slack.events import Events
from twins.slack.faulty import CALL_FAULTS, KINDS, break_connection, strike
from twins.slack.file_transfer import FileTransfer
from twins.slack.interactions import Interactions
from twins.slack.methods.method import Call, Method
from twins.slack.methods.table import METHODS
from twins.slack.people_acts import PeopleActs
from twins.slack.rate_limits import RateLimits
from twins.slack.refusal import Refusal
from twins.slack.seed import seeded_world
from twins.slack.sockets import Sockets
from twins.slack.tokens import bearer
from twins.slack.user_side import UserSide

MAX_BODY_BYTES = 256 << 20
CLOSE_S = 1.0


class SlackTwin:
    """The whole workspace; `rate_limits` may be switched off for tests that are about something else."""

    def __init__(self, *, rate_limits: bool = True, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.log = EventLog(self.clock)
        self.world = seeded_world(self.clock, self.log)
        self.faults = Faults(KINDS)
        self.rate_limits = RateLimits(self.clock, is_on=rate_limits)
        self._background = Background(self.clock)
        self.sockets = Sockets(self.world, self.faults, self._background)
        self.events = Events(self.world, self.sockets)
        self.world.publish = self.events.publish
        self.world.open_socket = self.sockets.open_ticket
        self.world.later = self._background.later
        interactions = Interactions(self.world, self.sockets)
        controls = Controls(self.world, self.faults, self.rate_limits, self.sockets, self.events)
        user_side = UserSide(self.world, PeopleActs(self.world, interactions), controls)
        self._rooms = (user_side, interactions, FileTransfer(self.world, self.faults))

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve until the block is left; yields the address. The Web API is at `<address>/api/`."""
        application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_own_site_only])
        application.router.add_route("*", "/api/{method}", self._api)
        application.router.add_get("/link/", self.sockets.handle)
        for room in self._rooms:
            room.add_routes(application)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_S, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = runner.addresses[0][1]
            self.world.address = f"http://{host}:{bound}"
            async with self._background.serve():
                yield self.world.address
                await site.stop()  # whose socket is closed comes back at once, and must find nobody
                await self.sockets.close()
        finally:
            await runner.cleanup()

    async def _api(self, request: web.Request) -> web.Response:
        name = request.match_info["method"]
        noted: dict[str, Any] = {"method": name}
        headers: dict[str, str] = {}
        fault = self.faults.take(name, CALL_FAULTS)
        if fault is not None:
            noted["fault"] = fault.kind
        try:
            if fault is not None and (answered := await strike(fault, request)) is not None:
                return answered
            body = {"ok": True, **await self._call(name, request, noted, headers)}
        except Refusal as refusal:
            noted["error"] = refusal.error
            return _refused(refusal)
        finally:
            self.log.note("call", **noted)
        if fault is not None and fault.kind == "lost_answer":
            return break_connection(request)
        return web.json_response(body, headers=headers)

    async def _call(
        self, name: str, request: web.Request, noted: dict[str, Any], headers: dict[str, str]
    ) -> dict[str, Any]:
        arguments = await read_arguments(request)
        noted["arguments"] = {key: value for key, value in arguments.values.items() if key != "token"}
        method = METHODS.get(name)
        if method is None:
            raise Refusal("unknown_method", req_method=name)
        given = bearer(request.headers.get("Authorization", "")) or arguments.text("token")
        if not method.needs_token:
            token = self.world.tokens.of_kind("bot")
        else:
            token = self.world.tokens.known(given)
            if token.kind not in method.kinds:
                raise Refusal("not_allowed_token_type")
            headers["X-OAuth-Scopes"] = ",".join(sorted(token.scopes))
            _check_scopes(method, token.scopes)
        self.rate_limits.take(name, method.tier, arguments.text("channel"))
        return method.function(Call(world=self.world, token=token, arguments=arguments))


@web.middleware
async def _own_site_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith("/twin/") and is_from_another_site(request.headers):
        return web.json_response({"error": FOREIGN}, status=403)
    return await handler(request)


def _check_scopes(method: Method, scopes: set[str]) -> None:
    if method.scopes and not scopes.intersection(method.scopes):
        raise Refusal("missing_scope", needed=",".join(method.scopes[:1]), provided=",".join(sorted(scopes)))


def _refused(refusal: Refusal) -> web.Response:
    wait_s = refusal.beside.pop("retry_after", None)
    headers = {} if wait_s is None else {"Retry-After": str(math.ceil(wait_s))}
    return web.json_response(refusal.as_json(), status=refusal.status, headers=headers)
