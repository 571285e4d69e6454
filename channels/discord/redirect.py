"""How discord.py is led to a server that is not Discord's: every host that it knows is at that address, over TLS with
the server's own authority. This is a public lever of the SDK (its `connector`), and reaches REST, gateway and files."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from channels.discord.failures import Unreachable

OFFICIAL_URL = "https://discord.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where Discord is, when it is not where it usually is."""

    host: str
    port: int
    authority: str
    """The file of the certificate authority to trust."""


def parse_url(url: str) -> Server | None:
    """Return the server that a channel's `url` names: `https://127.0.0.1:8443#/path/to/ca.pem`; None for Discord
    itself. Raise Unreachable for one that names none."""
    if not url or url.rstrip("/") == OFFICIAL_URL:
        return None
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "https" or not parts.hostname or port is None or not parts.fragment:
        raise Unreachable(f"the url {url} is none of a Discord server: https://HOST:PORT#/path/to/its/ca.pem")
    return Server(host=parts.hostname, port=port, authority=unquote(parts.fragment))


class _Everywhere(AbstractResolver):
    """Finds one server under any name."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port
        found = await asyncio.get_running_loop().getaddrinfo(
            self._server.host, self._server.port, type=socket.SOCK_STREAM, family=family
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        return None


def build_connector(server: Server | None) -> aiohttp.TCPConnector:
    """Return a connector of its own for one client; raise Unreachable where the authority's file cannot be read."""
    if server is None:
        return aiohttp.TCPConnector(limit=0, ssl=_official())
    try:
        trusted = ssl.create_default_context(cafile=server.authority)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"the authority {server.authority} of the server cannot be used: {error}") from error
    return aiohttp.TCPConnector(limit=0, resolver=_Everywhere(server), ssl=trusted)


@functools.cache
def _official() -> ssl.SSLContext:
    """Return the one context of all clients: each one's own copy of the authorities would be 5 MB more."""
    return ssl.create_default_context()
