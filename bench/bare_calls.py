"""A bare client of the model service, `python -m bench.bare_calls PORT CA KEY CLIENTS SECONDS`: h11 on asyncio's
streams over TLS, one call after another on kept connections. What a call costs here is upstream's own: any proxy in
Python pays it before it has decided, recorded or searched anything.

Prints one JSON object: the calls, and the CPU of each in ms, user and system, connecting left out.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import h11

READ_BYTES = 64 << 10
BODY = b'{"model":"bench-model","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}'
"""As `native/load.c` has it."""


class Leg(NamedTuple):
    """A kept connection."""

    http: h11.Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _open(port: int, context: ssl.SSLContext) -> Leg:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    return Leg(h11.Connection(our_role=h11.CLIENT), reader, writer)


async def _call(leg: Leg, request: h11.Request) -> None:
    wire = (leg.http.send(part) or b"" for part in (request, h11.Data(data=BODY), h11.EndOfMessage()))
    leg.writer.write(b"".join(wire))
    answer = b""
    while True:
        event = leg.http.next_event()
        if event is h11.NEED_DATA:
            leg.http.receive_data(await leg.reader.read(READ_BYTES))
        elif isinstance(event, h11.Data):
            answer += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
    if b'"key":"right"' not in answer:
        raise RuntimeError(f"the service answered {answer[:200]!r}")
    leg.http.start_next_cycle()


async def _call_until(leg: Leg, request: h11.Request, until: float) -> int:
    calls = 0
    while time.monotonic() < until:
        await _call(leg, request)
        calls += 1
    return calls


async def measure(port: int, ca: str, key: str, clients: int, seconds: float) -> dict[str, float]:
    """Return what is printed."""
    headers = [
        *(("Host", f"localhost:{port}"), ("x-api-key", key), ("Content-Type", "application/json")),
        ("Content-Length", str(len(BODY))),
    ]
    request = h11.Request(method="POST", target="/v1/messages", headers=headers)
    context = ssl.create_default_context(cafile=ca)
    legs = [await _open(port, context) for _ in range(clients)]
    for leg in legs:
        await _call(leg, request)  # the first one pays for caches
    before, until = _cpu_s(), time.monotonic() + seconds
    calls = sum(await asyncio.gather(*(_call_until(leg, request, until) for leg in legs)))
    cpu_ms = (_cpu_s() - before) * 1000 / calls
    for leg in legs:
        leg.writer.close()
    return {"calls": calls, "cpu_ms": cpu_ms}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(words: Sequence[str]) -> None:
    port, ca, key, clients, seconds = words
    print(json.dumps(asyncio.run(measure(int(port), ca, key, int(clients), float(seconds)))))


if __name__ == "__main__":
    main(sys.argv[1:])
