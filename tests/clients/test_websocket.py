"""WebSockets of real clients: Python's aiohttp and the one that Node has built in."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.clients.quarter import Quarter, open_quarter
from tests.clients.test_node import NODE
from tests.clients.tools import node_clients, python_clients
from tests.credproxy.street import CANARY

pytestmark = [pytest.mark.engine, pytest.mark.long]

CLOSE = 8
PYTHON = """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.ws_connect(PLACE) as socket:
        await socket.send_str("hello")
        print(await socket.receive_str())
        await socket.send_bytes(b"x" * 50000)
        print(len(await socket.receive_bytes()))
asyncio.run(main())
"""
SCRIPT = """
const socket = new WebSocket(PLACE)
socket.binaryType = "arraybuffer"
socket.onerror = (event) => { console.log("error", event.message); process.exit(1) }
socket.onopen = () => socket.send("hello")
socket.onmessage = (event) => {
  if (typeof event.data === "string") { console.log(event.data); socket.send(new Uint8Array(50000)) }
  else { console.log(event.data.byteLength); socket.close() }
}
"""


class EchoHost:
    """A WebSocket server that sends every message back, and keeps what it was shown."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
            key = next(value for name, value in lines.items() if name.lower() == b"sec-websocket-key")
            proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
            )
            opcode = 0
            while opcode != CLOSE:
                first, second = await reader.readexactly(2)
                length = second & 0x7F
                extended = await reader.readexactly({126: 2, 127: 8}.get(length, 0))
                length = int.from_bytes(extended, "big") if extended else length
                mask = await reader.readexactly(4)
                content = await reader.readexactly(length)
                pattern = mask * (length // 4 + 1)
                plain = bytes(byte ^ mixed for byte, mixed in zip(content, pattern, strict=False))
                writer.write(bytes((first, second & 0x7F)) + extended + plain)
                opcode = first & 0x0F
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def echoing(quarter: Quarter) -> AsyncIterator[tuple[EchoHost, str]]:
    host, context = EchoHost(), quarter.street.outside.context_for("ws.example")
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    quarter.street.addresses["ws.example"] = ["127.0.0.1"]
    quarter.grant(host="ws.example", port=port, addresses=["127.0.0.1"], secret="key", inject="bearer")
    try:
        yield host, f"wss://ws.example:{port}/socket"
    finally:
        server.close()


async def test_aiohttp_talks_over_a_websocket(agent_image: str) -> None:
    """A handshake through the proxy gets the key, and messages go both ways."""
    async with open_quarter(agent_image, python_clients(agent_image)) as quarter, echoing(quarter) as (host, place):
        ran = await quarter.run(f"PYTHONPATH=/skills/python-clients python3 - <<'END'\nPLACE = '{place}'{PYTHON}END")
    assert ran.well().split() == ["hello", "50000"]
    assert f"Bearer {CANARY}".encode() in host.heads[0]


async def test_node_talks_over_a_websocket(agent_image: str) -> None:
    """Node's own WebSocket finds the proxy and trusts it; its handshake gets the key, and messages go both ways."""
    async with open_quarter(agent_image, node_clients()) as quarter, echoing(quarter) as (host, place):
        ran = await quarter.run(f"cat > a.mjs <<'END'\nconst PLACE = '{place}'{SCRIPT}END\n{NODE} a.mjs")
    assert ran.well().split() == ["hello", "50000"]
    assert f"Bearer {CANARY}".encode() in host.heads[0]
