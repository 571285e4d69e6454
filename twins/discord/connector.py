"""How an aiohttp client, discord.py's above all, is led to a twin: every host is the twin, its authority is trusted."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL


class _ToTwin(AbstractResolver):
    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 (the interface's)
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        found: ResolveResult = {
            "hostname": host,
            "host": self._host,
            "port": self._port,
            "family": socket.AF_INET,
            "proto": 0,
            "flags": 0,
        }
        return [found]

    async def close(self) -> None:
        pass


def connector_to(address: str, ca_file: Path) -> aiohttp.TCPConnector:
    """Return a connector with which `discord.Client(connector=…)` talks to the twin at that address."""
    url = URL(address)
    resolver = _ToTwin(url.host or "127.0.0.1", url.port or 443)
    return aiohttp.TCPConnector(resolver=resolver, ssl=ssl.create_default_context(cafile=str(ca_file)))
