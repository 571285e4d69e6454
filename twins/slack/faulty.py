"""What a prepared fault does to a call of the Web API."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from twins.faults import Fault
from twins.slack.refusal import Refusal

CALL_FAULTS = ("error", "reset", "delay", "garbage", "lost_answer", "unauthorized", "flood")
SOCKET_FAULTS = ("close_socket", "silent_socket", "refuse_socket")
EVENT_FAULTS = ("hold", "reorder", "duplicate", "redeliver")
KINDS = (*CALL_FAULTS, *SOCKET_FAULTS, *EVENT_FAULTS)


def break_connection(request: web.Request) -> web.Response:
    """Reset the TCP connection; the answer that is returned goes nowhere."""
    if request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def strike(fault: Fault, request: web.Request) -> web.Response | None:
    """Let the fault happen before the call; return the answer that stands for it, or None where the call goes on."""
    match fault.kind:
        case "reset":
            return break_connection(request)
        case "garbage":
            return web.Response(text="<html>not json", content_type="text/html")
        case "error":
            return web.Response(status=fault.status, text="upstream connect error", content_type="text/plain")
        case "delay":
            await asyncio.sleep(fault.delay_s)
        case "unauthorized":
            raise Refusal("invalid_auth")
        case "flood":
            raise Refusal("ratelimited", status=429, retry_after=fault.retry_after)
    return None
