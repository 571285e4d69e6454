"""MCP servers with an address: the client against the twin over a socket that stands for the proxy's."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agents.interrupt import Interrupt, Interrupted
from agents.mcp.client import Client, ServerRefused
from agents.mcp.streamable import Streamable
from agents.mcp.transport import ServerFailed
from agents.places import Places
from protocol.link import McpServer
from twins.mcp.server import HttpTwin, serve_mcp

REFUSAL = {"error": {"message": "No grant for mcp.example.", "grant_with": "nightyard allow x", "retry": False}}


class Proxy:
    """At proxy.sock: passes plain requests to the server, in the form that servers take; refuses the rest as the
    proxy does."""

    def __init__(self, path: Path, port: int) -> None:
        self._port = port
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self.heads: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            first = connection.recv(1 << 20)
            self.heads.append(first)
            if first.startswith(b"CONNECT"):
                body = json.dumps(REFUSAL).encode()
                head = f"HTTP/1.1 403 No\r\nx-nightyard: host_not_granted\r\ncontent-length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                return
            with socket.create_connection(("127.0.0.1", self._port)) as twin:
                twin.sendall(re.sub(rb"http://[^/ ]+", b"", first, count=1))
                threading.Thread(target=_pump, args=(connection, twin), daemon=True).start()
                _pump(twin, connection)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # a reset ends the other side, too
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class Place:
    def __init__(self, root: Path) -> None:
        self.twin = HttpTwin()
        self.interrupt = Interrupt()
        self.places = Places(root=str(root))
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._port = 0
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._up.wait(10)
        self.proxy = Proxy(root / "run/yard/proxy.sock", self._port)

    async def _serve(self) -> None:
        async with serve_mcp(self.twin) as (self._port, _):
            self._up.set()
            await self._over.wait()

    def close(self) -> None:
        self.proxy.close()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    def waits_for(self, method: str) -> bool:
        """Return whether the twin hears this soon."""
        until = time.monotonic() + 10
        while method not in self.twin.methods and time.monotonic() < until:
            threading.Event().wait(0.01)
        return method in self.twin.methods

    def client(self, url: str = "http://mcp.example/mcp?x=1", **more: Any) -> Client:
        return Client(Streamable(McpServer(name="twin", url=url, **more), self.places, self.interrupt))


@pytest.fixture
def place(root: Path) -> Iterator[Place]:
    made = Place(root)
    yield made
    made.close()


def call(client: Client, tool: str, *, timeout_s: float = 10.0, **arguments: object) -> str:
    result = client.call(tool, arguments, timeout_s, lambda _: None)
    content: Any = result["content"]
    return str(content[0]["text"])


@pytest.mark.parametrize("is_streaming", [True, False])
def test_a_server_is_spoken_with(place: Place, is_streaming: bool) -> None:
    """Answers come as JSON or as a stream; the session and the version go along with each request, through the proxy's
    socket, with the headers of the settings."""
    place.twin.is_streaming = is_streaming
    place.twin.wants_header = ("X-Team", "blue")
    client = place.client(headers={"X-Team": "blue"})
    assert call(client, "echo", text="é") == "é"
    assert len(client.tools()) == 13 and client.has_resources
    assert place.twin.methods == ["initialize", "notifications/initialized", "tools/call", "tools/list"]
    assert {request.headers.get("mcp-session-id") for request in place.twin.requests[1:]} == place.twin.sessions
    assert {request.headers.get("mcp-protocol-version") for request in place.twin.requests[1:]} == {"2025-11-25"}
    assert place.proxy.heads[0].startswith(b"POST http://mcp.example/mcp?x=1 HTTP/1.1\r\nhost: mcp.example\r\n")


def test_progress_and_errors_come_over_a_stream(place: Place) -> None:
    """As over stdio."""
    client = place.client()
    said: list[str] = []
    client.call("slow", {"steps": 2, "pause_s": 0}, 10, said.append)
    assert said == ["step 0 \x1b[2J", "step 1 \x1b[2J"]
    with pytest.raises(ServerRefused, match="there is no tool refuse"):
        call(client, "refuse")


def test_a_servers_own_requests_are_answered(place: Place) -> None:
    """In a request beside the stream: what is not offered is refused, a ping is answered."""
    assert call(place.client(), "ask back") == '{"ours-1": -32601, "ours-2": {}}'


def test_a_broken_stream_is_taken_up(place: Place) -> None:
    """Where it broke, by the id of the last event: the call is made once."""
    client = place.client()
    client.begin()
    place.twin.breaks_after = 1
    said: list[str] = []
    client.call("slow", {"steps": 2, "pause_s": 0}, 10, said.append)
    assert [word[:6] for word in said] == ["step 0", "step 1"]
    assert [request.method for request in place.twin.requests[2:]] == ["POST", "GET"]


def test_a_broken_stream_without_ids_is_an_error(place: Place) -> None:
    """Nobody knows whether the call was made; it is not made again."""
    client = place.client()
    client.begin()
    place.twin.has_ids, place.twin.breaks_after = False, 1
    with pytest.raises(ServerFailed, match="gave no whole answer"):
        client.call("slow", {"steps": 2, "pause_s": 0}, 10, lambda _: None)
    assert place.twin.methods.count("tools/call") == 1


def test_a_lost_session_is_begun_anew(place: Place) -> None:
    """A server that was started anew has not made the call: it is made again, once."""
    client = place.client()
    assert call(client, "echo", text="a") == "a"
    place.twin.forget()
    assert call(client, "echo", text="b") == "b"
    assert place.twin.methods.count("initialize") == 2


@pytest.mark.parametrize(("status", "words"), [(500, "answered with status 500: the twin refuses"), (302, "302")])
def test_what_is_no_answer_is_an_error(place: Place, status: int, words: str) -> None:
    """With what the server said; redirections are not followed."""
    place.twin.refuses_with = status
    with pytest.raises(ServerFailed, match=words):
        place.client().begin()


def test_a_refusal_of_the_proxy_teaches(place: Place) -> None:
    """Who refused what, and what the owner would grant it with."""
    with pytest.raises(ServerFailed, match=r"was not reached. No grant for mcp.example. .*nightyard allow x"):
        place.client("https://mcp.example/mcp").begin()
    assert place.proxy.heads[0].startswith(b"CONNECT mcp.example:443 HTTP/1.1")


def test_a_call_that_takes_too_long_is_taken_back(place: Place) -> None:
    """And the next one has a new session."""
    client = place.client()
    client.begin()
    with pytest.raises(ServerFailed, match=r"gave no answer to tools/call within 0.3 s"):
        call(client, "slow", timeout_s=0.3, steps=20, pause_s=0.1)
    assert place.waits_for("notifications/cancelled")
    assert call(client, "echo", text="a") == "a"


def test_a_stop_ends_a_call_at_once(place: Place) -> None:
    """From another thread; the server is told."""
    client = place.client()
    client.begin()
    stop = threading.Timer(0.3, place.interrupt.trip, ("you said /stop",))
    stop.start()
    with pytest.raises(Interrupted):
        call(client, "slow", timeout_s=60, steps=600, pause_s=0.1)
    stop.join()
    assert place.waits_for("notifications/cancelled")


def test_nobody_at_the_socket_is_an_error(root: Path) -> None:
    """The proxy may be starting."""
    server = McpServer(name="twin", url="http://mcp.example")
    with pytest.raises(ServerFailed, match="nobody answers"):
        Client(Streamable(server, Places(root=str(root)), Interrupt())).begin()
