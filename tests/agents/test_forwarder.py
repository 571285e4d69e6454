"""The byte copier between 127.0.0.1 and proxy.sock."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.forwarder import MAX_CONNECTIONS, ForwarderThread
from agents.refusals import Refusals

WAIT_S = 15.0
REFUSAL = b'{"error": {"message": "No grant for a.example.", "grant_with": "", "retry": false}}'


@pytest.fixture
def proxy(root: Path) -> Iterator[socket.socket]:
    """The listener at proxy.sock."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(WAIT_S)
        listener.bind(str(root / "run/yard/proxy.sock"))
        listener.listen(256)
        yield listener


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
def forwarder(root: Path, refusals: Refusals) -> ForwarderThread:
    thread = ForwarderThread(0, str(root / "run/yard/proxy.sock"), refusals)
    thread.start()
    return thread


@contextmanager
def pair(forwarder: ForwarderThread, proxy: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A tool's connection and the same connection as the proxy sees it."""
    with socket.create_connection(("127.0.0.1", forwarder.port), timeout=WAIT_S) as tool:
        there, _ = proxy.accept()
        with there:
            there.settimeout(WAIT_S)
            yield tool, there


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_bytes_go_both_ways(forwarder: ForwarderThread, proxy: socket.socket) -> None:
    """What one side sends the other gets, unchanged, and the end of one direction leaves the other open."""
    with pair(forwarder, proxy) as (tool, there):
        tool.sendall(b"question\0\xff")
        tool.shutdown(socket.SHUT_WR)
        assert read_all(there) == b"question\0\xff"
        there.sendall(b"answer after the end")
        there.close()
        assert read_all(tool) == b"answer after the end"


def test_much_in_both_directions_at_once(forwarder: ForwarderThread, proxy: socket.socket) -> None:
    """Megabytes both ways, with slow readers on either side, arrive whole."""
    up, down = bytes(range(256)) * 20_000, bytes(range(255, -1, -1)) * 20_000
    got: dict[str, bytes] = {}
    with pair(forwarder, proxy) as (tool, there):

        def send(connection: socket.socket, data: bytes) -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        def receive(name: str, connection: socket.socket) -> None:
            got[name] = read_all(connection)

        threads = [
            threading.Thread(target=send, args=(tool, up)),
            threading.Thread(target=send, args=(there, down)),
            threading.Thread(target=receive, args=("up", there)),
            threading.Thread(target=receive, args=("down", tool)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
    assert got == {"up": up, "down": down}


def test_peer_that_does_not_read_is_not_read_for(forwarder: ForwarderThread, proxy: socket.socket) -> None:
    """A sender is held back when the other side takes nothing: memory stays bounded."""
    with pair(forwarder, proxy) as (tool, there):
        tool.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += tool.send(b"x" * (1 << 16))
        assert sent < 32 << 20
        there.settimeout(WAIT_S)
        tool.shutdown(socket.SHUT_WR)
        assert len(read_all(there)) >= sent


def test_abrupt_end_closes_the_other_side(forwarder: ForwarderThread, proxy: socket.socket) -> None:
    """A side that is killed takes its pair with it, and others go on."""
    with pair(forwarder, proxy) as (tool, there), pair(forwarder, proxy) as (other, other_there):
        there.close()
        assert tool.recv(1) == b""
        other.sendall(b"still here")
        assert other_there.recv(100) == b"still here"


def test_without_a_proxy_the_connection_closes(root: Path, forwarder: ForwarderThread) -> None:
    """While the proxy is away a tool is hung up on at once; afterwards it works again."""
    with socket.create_connection(("127.0.0.1", forwarder.port), timeout=WAIT_S) as tool:
        assert tool.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.settimeout(WAIT_S)
        proxy.bind(str(root / "run/yard/proxy.sock"))
        proxy.listen()
        with pair(forwarder, proxy) as (tool, there):
            tool.sendall(b"x")
            assert there.recv(1) == b"x"


def test_connections_are_bounded(forwarder: ForwarderThread, proxy: socket.socket) -> None:
    """Beyond the bound a connection waits until another has ended."""
    proxy.settimeout(0.5)
    tools, there = [], []
    try:
        for _ in range(MAX_CONNECTIONS + 1):
            tools.append(socket.create_connection(("127.0.0.1", forwarder.port), timeout=WAIT_S))
        for _ in range(MAX_CONNECTIONS):
            there.append(proxy.accept()[0])
        with pytest.raises(TimeoutError):
            proxy.accept()
        there.pop().close()
        tools.pop(MAX_CONNECTIONS - 1).close()
        there.append(proxy.accept()[0])
    finally:
        for connection in (*tools, *there):
            connection.close()


def test_a_refusal_is_noted_and_passed_on(forwarder: ForwarderThread, proxy: socket.socket, refusals: Refusals) -> None:
    """What the proxy first says on a connection is looked at for a refusal; all of it reaches the tool as it is."""
    answer = b"HTTP/1.1 403 \r\nx-nightyard: host_not_granted\r\n\r\n" + REFUSAL
    with pair(forwarder, proxy) as (tool, there):
        there.sendall(answer)
        there.close()
        assert read_all(tool) == answer
    with pair(forwarder, proxy) as (tool, there):
        there.sendall(b"HTTP/1.1 200 \r\n\r\n")
        assert tool.recv(1 << 16)
        there.sendall(answer)
        there.close()
        assert read_all(tool) == answer
    assert [refusal.message for refusal in refusals.take()] == ["No grant for a.example."]
    assert refusals.take() == ()
