"""The twin as one HTTPS server: the API under `/api/`, the gateway wherever a WebSocket is opened, the CDN under
`/attachments/`, the user's side under `/twin/`. The user's side alone is served in plain HTTP too, for browsers, which
warn of a certificate of the twin's own making."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from twins.clock import Clock
from twins.discord import cdn
from twins.discord.certificate import write_certificates
from twins.discord.gateway.hub import EVENT_FAULTS, Hub
from twins.discord.gateway.socket import SOCKET_FAULTS, Socket
from twins.discord.rest.front import REST_FAULTS, Front, Reset
from twins.discord.rest.limits import Limits
from twins.discord.seed import seeded_world
from twins.discord.user_side.door import Door
from twins.discord.world import DEFAULT_TOKEN
from twins.event_log import EventLog
from twins.faults import Faults

FAULTS = (*REST_FAULTS, *EVENT_FAULTS, *SOCKET_FAULTS, "refuse_socket", "no_resume")
_SHUTDOWN_S = 1.0
_MAX_BODY_BYTES = 128 * 1024 * 1024
"""aiohttp's own cap; Discord's, below it, is the API's to refuse."""


class DiscordTwin:
    """One server with one bot. `limits`: whether rate limits, the gateway's too, are as Discord's or off."""

    def __init__(self, token: str = DEFAULT_TOKEN, *, clock: Clock | None = None, limits: bool = True) -> None:
        self.clock = clock or Clock()
        self.log = EventLog(self.clock)
        self.world = seeded_world(self.clock, self.log, token)
        self.faults = Faults(FAULTS)
        self.hub = Hub(self.world, self.faults)
        self.address = ""
        self.phone_address = ""
        self.ca_file = Path()
        self.limits = Limits(is_on=limits)
        self.front = Front(self.world, self.hub, self.limits)
        self._door = Door(self.world, self.hub, self.limits)

    @property
    def url(self) -> str:
        """The address with the file of the authority to trust: what a channel's setting `url` takes."""
        return f"{self.address}#{self.ca_file}"

    @asynccontextmanager
    async def serve(
        self, host: str = "127.0.0.1", port: int = 0, directory: Path | None = None, *, phone_port: int = 0
    ) -> AsyncIterator[str]:
        """Serve until the block is left; yields the address. The certificates are written to `directory`, else to a
        folder that goes with the twin. `phone_port`: where the user's side is in plain HTTP."""
        with tempfile.TemporaryDirectory(prefix="discord-twin-") as made:
            folder = directory or Path(made)
            context = write_certificates(folder, host)
            self.ca_file = folder / "ca.pem"
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=_SHUTDOWN_S)
            await runner.setup()
            try:
                site = web.TCPSite(runner, host, port, ssl_context=context)
                await site.start()
                await web.TCPSite(runner, host, phone_port).start()
                bound, plain = (address[1] for address in runner.addresses)
                self.address = f"https://{host}:{bound}"
                self.front.address = f"wss://{host}:{bound}"
                self.phone_address = self._door.phone = f"http://{host}:{plain}/twin/phone"
                yield self.address
            finally:
                self.hub.close_sockets(1001)
                await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except Reset:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.secure:
            return await self._door.handle(request.clone(client_max_size=_MAX_BODY_BYTES))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            if self.faults.take("gateway", ("refuse_socket",)) is not None:
                self.log.note("gateway_refused")
                return web.Response(status=503)
            return await Socket(self.hub, self.front.address, self.limits).serve(request)
        request = request.clone(client_max_size=_MAX_BODY_BYTES)
        if request.path.startswith("/api"):
            return await self.front.handle(request)
        if request.path.startswith("/attachments/"):
            return cdn.download(self.world, request)
        return await self._door.handle(request)
