"""A porch for tests: the street's proxy with a loopback door, for tools of the host that show a token."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from credproxy.admin_client.link import ProxyAdmin, connect
from credproxy.admin_client.tokens import NewToken, add_token
from credproxy.admin_server.server import AdminServer
from credproxy.pipeline.door import Doors
from credproxy.pipeline.host_door import HostDoor
from credproxy.tokens.token_file import TokenFile
from protocol.task import Effects, Limits
from tests.credproxy.street import GROUP, TIMEOUT_S, Client, Street, Upstream


@dataclass(slots=True)
class Porch:
    """A street whose proxy has a loopback door."""

    street: Street
    door: HostDoor
    admin: ProxyAdmin
    wanted: list[int]
    """Where the settings want the door; looked at with every reload."""

    @property
    def port(self) -> int:
        return self.wanted[0]

    async def token(self, *, limits: Limits | None = None, effects: Effects = Effects.LIVE) -> NewToken:
        limits, routes = limits or Limits(), tuple(self.street.routes)
        return await add_token(self.admin, GROUP, for_s=600, limits=limits, routes=routes, effects=effects)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    async def knock(self, client: Client, upstream: Upstream, *shown: str) -> bytes:
        """CONNECT with these Proxy-Authorization headers and return the answer's head."""
        place = f"api.test:{upstream.port}"
        lines = "".join(f"Proxy-Authorization: {value}\r\n" for value in shown)
        client.writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{lines}\r\n".encode())
        async with asyncio.timeout(TIMEOUT_S):
            return await client.reader.readuntil(b"\r\n\r\n")

    async def tunnel(self, client: Client, upstream: Upstream, *shown: str) -> Client:
        head = await self.knock(client, upstream, *shown)
        assert head.startswith(b"HTTP/1.1 200"), head
        context = ssl.create_default_context(cafile=str(self.street.ca))
        await client.writer.start_tls(context, server_hostname="api.test")
        return Client(client.reader, client.writer)

    @asynccontextmanager
    async def granted(self) -> AsyncIterator[Upstream]:
        """An upstream `api.test` that the group may reach with its key."""
        async with self.street.upstream("api.test") as upstream:
            self.street.addresses["api.test"] = ["127.0.0.1"]
            self.street.grants = (
                f"- {{host: api.test, port: {upstream.port}, secret: key, inject: bearer, addresses: [127.0.0.1]}}"
            )
            self.street.proxy.reload()
            yield upstream

    def rows(self, kind: str) -> list[tuple[str, str, str]]:
        """Return (door, group, detail) of the audit's rows of a kind."""
        with contextlib.closing(sqlite3.connect(self.street.folder / "audit.db")) as audit, audit:
            found = audit.execute("SELECT door_id, group_id, detail FROM entries WHERE kind = ? ORDER BY seq", (kind,))
            return [(str(door), str(group), str(detail)) for door, group, detail in found]


def basic(text: str, user: str = "nightyard") -> str:
    return "Basic " + base64.b64encode(f"{user}:{text}".encode()).decode()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def open_porch(street: Street) -> AsyncIterator[Porch]:
    """Open the loopback door of a street's proxy, and an admin socket that knows of it."""
    wanted = [free_port()]
    doors, tokens = Doors(street.proxy, street.run_folder), TokenFile(street.folder / "tokens.json")
    door = HostDoor(street.proxy, doors, tokens, lambda: wanted[0])
    listening, path = asyncio.Event(), street.run_folder / "host.sock"
    async with asyncio.TaskGroup() as parts:
        running = [
            parts.create_task(door.run()),
            parts.create_task(AdminServer(street.proxy, doors, path, door).run(listening)),
        ]
        await listening.wait()
        async with connect(path) as admin:
            yield Porch(street=street, door=door, admin=admin, wanted=wanted)
        for part in running:
            part.cancel()
