"""What the common faults do to a call of the Bot API."""

from __future__ import annotations

import asyncio
import math

from twins.faults import Fault
from twins.http_server import Exchange
from twins.telegram.polling import TAKEN_OVER
from twins.telegram.refusal import Refusal

CALL_KINDS = ("error", "reset", "unauthorized", "conflict", "flood", "delay", "garbage", "lost_answer")


async def strike(fault: Fault, exchange: Exchange) -> bool:
    """Let the fault happen; return whether the call goes on all the same. Raise Refusal for one in the API's form."""
    match fault.kind:
        case "reset":
            exchange.reset()
            return False
        case "garbage":
            await exchange.answer(200, b"<html>not json", content_type="text/html")
            return False
        case "delay":
            await asyncio.sleep(fault.delay_s)
            return True
        case "unauthorized":
            raise Refusal(401, "Unauthorized")
        case "conflict":
            raise Refusal(409, TAKEN_OVER)
        case "flood":
            wait_s = math.ceil(fault.retry_after)
            raise Refusal(429, f"Too Many Requests: retry after {wait_s}", retry_after=wait_s)
        case "error":
            raise Refusal(fault.status, "Bad Gateway" if fault.status == 502 else "Internal Server Error")
        case _:
            return True
