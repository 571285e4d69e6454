"""The thread that carries 127.0.0.1:3128 to proxy.sock, byte for byte, for every tool that speaks to a proxy.

What may pass is decided at the other end of proxy.sock. The first bytes that come back are shown to `refusals.py`: that
is all that is looked at. One thread for all connections; a pair
that is slow to take bytes is not read from until it has taken them, so memory stays bounded.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from agents.refusals import Refusals

MAX_CONNECTIONS = 128
"""More than any honest tool opens at once; further ones wait in the listen queue."""
_BUFFER_BYTES = 64 << 10


class _End:
    """One socket of a pair. Bytes in `outgoing` came from the peer and wait to be sent here."""

    def __init__(self, connection: socket.socket, peer: _End | None = None) -> None:
        self.connection = connection
        self.peer = peer
        self.is_proxys = False
        self.awaits_answer = False
        """This end is the proxy's, which has not said anything since the other end did."""
        self.outgoing = bytearray()
        self.reads_ended = False
        """This end has sent its last byte."""
        self.writes_ended = False
        """This end has been told that no more will come."""


class ForwarderThread(threading.Thread):
    """Listens at once, so that tools may connect before it runs; ends with the process."""

    def __init__(self, port: int, proxy_socket: str, refusals: Refusals) -> None:
        super().__init__(name="forwarder", daemon=True)
        self._proxy_socket = proxy_socket
        self._refusals = refusals
        # The protocol number is given: without it the kernel's default would do, but TCP_NODELAY must be certain,
        # since Nagle with delayed acks costs 43 ms per handshake (measured).
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._ends: set[_End] = set()
        self.aside: Callable[[socket.socket], None] | None = None
        """Takes the connections in the proxy's place: while a spare warms up, nothing is asked of anybody."""

    def run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, events in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.data in self._ends:
                    self._move(key.data, events)

    def _accept(self) -> None:
        try:
            inside, _ = self._listener.accept()
        except OSError:
            return  # the one who knocked has left
        if self.aside is not None:
            self.aside(inside)
            return
        inside.setblocking(False)
        inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        outside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        outside.setblocking(False)
        try:
            outside.connect(self._proxy_socket)
        except OSError:
            # The proxy restarts or its queue is full: a closed connection is what tools know how to retry.
            inside.close()
            outside.close()
            return
        here, there = _End(inside), _End(outside)
        here.peer, there.peer = there, here
        there.is_proxys = there.awaits_answer = True
        for end in (here, there):
            self._ends.add(end)
            self._selector.register(end.connection, selectors.EVENT_READ, end)
        if len(self._ends) >= 2 * MAX_CONNECTIONS:
            self._selector.unregister(self._listener)

    def _move(self, end: _End, events: int) -> None:
        peer = end.peer
        assert peer is not None  # set where both are made
        try:
            if events & selectors.EVENT_WRITE:
                self._send(end)
            if events & selectors.EVENT_READ:
                self._receive(end, peer)
        except OSError:
            self._close(end, peer)
            return
        if end.writes_ended and peer.writes_ended:
            self._close(end, peer)
            return
        self._watch(end, peer)
        self._watch(peer, end)

    def _receive(self, end: _End, peer: _End) -> None:
        try:
            piece = end.connection.recv(_BUFFER_BYTES)
        except BlockingIOError:
            return
        if end.awaits_answer:
            end.awaits_answer = False
            self._refusals.note(piece)
        elif not end.is_proxys:
            peer.awaits_answer = True  # of a further request on the same connection, it may be
        peer.outgoing += piece
        end.reads_ended = not piece
        self._send(peer)

    def _send(self, end: _End) -> None:
        if end.outgoing:
            with suppress(BlockingIOError):
                del end.outgoing[: end.connection.send(end.outgoing)]
        if not end.outgoing and end.peer is not None and end.peer.reads_ended and not end.writes_ended:
            end.writes_ended = True
            end.connection.shutdown(socket.SHUT_WR)

    def _watch(self, end: _End, peer: _End) -> None:
        wants_read = not end.reads_ended and not peer.outgoing
        events = (selectors.EVENT_READ if wants_read else 0) | (selectors.EVENT_WRITE if end.outgoing else 0)
        registered = self._selector.get_map().get(end.connection)
        if registered is None and events:
            self._selector.register(end.connection, events, end)
        elif registered is not None and not events:
            self._selector.unregister(end.connection)
        elif registered is not None and registered.events != events:
            self._selector.modify(end.connection, events, end)

    def _close(self, end: _End, peer: _End) -> None:
        for one in (end, peer):
            self._ends.discard(one)
            with suppress(KeyError):
                self._selector.unregister(one.connection)
            one.connection.close()
        if self._selector.get_map().get(self._listener) is None:
            self._selector.register(self._listener, selectors.EVENT_READ)
