"""What is to be known of the connection itself: the environment's proxy, sockets that are refused."""

from __future__ import annotations

import asyncio
import urllib.request
from urllib.parse import urlsplit

import aiohttp


def proxy_for(address: str) -> str | None:
    """Return the proxy that the environment names for an address; the SDK alone knows no NO_PROXY."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host in ("127.0.0.1", "::1", "localhost") or urllib.request.proxy_bypass(host):
        return None
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    return urllib.request.getproxies().get(scheme) or None


def refusals(refused: asyncio.Future[str]) -> aiohttp.TraceConfig:
    """Return what tells of a socket that is not opened: the SDK only logs it."""

    async def answered(_: object, __: object, told: aiohttp.TraceRequestEndParams) -> None:
        if told.response.status != 101 and not refused.done():
            refused.set_result(f"the socket was refused (HTTP {told.response.status})")

    async def failed(_: object, __: object, told: aiohttp.TraceRequestExceptionParams) -> None:
        if not refused.done():
            refused.set_result(f"the socket was refused: {type(told.exception).__name__}")

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(answered)
    trace.on_request_exception.append(failed)
    return trace
