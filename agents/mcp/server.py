"""Our tools as an MCP server for a harness's command-line program, in the agent's own process.

The harness starts `relay.py`, which connects to a socket in a folder of ours under /tmp. The word that opens it keeps
out who has come there by mistake; who means to is the same user, and may call nothing here that the harness may not:
each call goes the way of all calls (`harness_tools.py`), and the host decides about it.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from agents.host_link import HostGone
from agents.interrupt import Interrupted
from agents.mcp import rpc
from agents.mcp.relay import VARIABLE
from agents.mcp.session import SERVER_NAME, Cancelled, Reply, Session, Wanted
from agents.places import Places
from agents.providers.provider import ToolCard
from protocol.codec import Json
from protocol.link import McpServer
from protocol.transcript import Entry, ToolCall, ToolOutput

COMMAND = ("/usr/bin/python3", "-I", "-S", "/opt/agent", "mcp")
"""Without `site`, which costs the process a megabyte and is of no use to it."""
MAX_CLIENTS = 8
MAX_WAITING_CALLS = 32
"""Of one client; they run one after another, since an agent has one question open at a time."""
PROGRESS_EVERY_S = 10.0
"""A client that asked for it hears so often that its call goes on: some give up on a silent one."""
_SEND_TIMEOUT_S = 20
_READ_BYTES = 64 << 10

RunTool = Callable[[ToolCall], ToolOutput]
"""Runs a call and returns its output, an error too; its `call_id` may be empty. Raises Interrupted, HostGone."""


class ToolServer(threading.Thread):
    """Listens from when it is made; ends with the process. What it offers comes with the task."""

    def __init__(
        self, places: Places, expected: Sequence[ToolCard] = (), *, progress_every_s: float = PROGRESS_EVERY_S
    ) -> None:
        """`expected`: what clients that ask before there is a task are told; who was told something else than what
        comes hears that it has changed."""
        super().__init__(name="mcp", daemon=True)
        self.progress_every_s = progress_every_s
        self._places = places
        self._word = os.urandom(16).hex()
        self._folder = f"{places.root}/tmp/nightyard-{os.urandom(6).hex()}"
        os.mkdir(self._folder, 0o700)  # noqa: PTH102
        self._path = f"{self._folder}/mcp.sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._path)
        self._listener.listen(MAX_CLIENTS)
        self._cards = tuple(expected)
        self._run: RunTool | None = None
        self._one_call = threading.Lock()
        self._changed = threading.Condition()
        self._clients: list[_Client] = []

    @property
    def entry(self) -> McpServer:
        """Return what stands in a harness's own configuration for this server."""
        return McpServer(
            name=SERVER_NAME, command=COMMAND[0], args=COMMAND[1:], env={VARIABLE: f"{self._path} {self._word}"}
        )

    def offer(self, cards: Sequence[ToolCard], run: RunTool) -> None:
        """Have these tools, from now on."""
        with self._changed:
            self._cards, self._run = tuple(cards), run
            clients = tuple(self._clients)
        for client in clients:
            client.tell_of_change()

    def wait_listed(self, timeout_s: float) -> bool:
        """Return whether a client knows the tools that there are now, after at most this time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(client.session.listed == self._cards for client in self._clients), timeout_s
            )

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            client = _Client(self, connection)
            with self._changed:
                is_welcome = len(self._clients) < MAX_CLIENTS
                if is_welcome:
                    self._clients.append(client)
            if is_welcome:
                threading.Thread(target=self._serve, args=(client,), name="mcp-client", daemon=True).start()
            else:
                connection.close()

    def _serve(self, client: _Client) -> None:
        try:
            client.serve(self._word.encode())
        finally:
            with self._changed:
                self._clients.remove(client)

    # -- what clients use

    def cards(self) -> tuple[ToolCard, ...]:
        return self._cards

    def note_listed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def call(self, call: ToolCall) -> dict[str, object]:
        """Run a call when its turn has come and return its result as clients read it; raise Interrupted, HostGone."""
        with self._one_call:
            if self._run is None:
                return _result(ToolOutput(call_id="", text="there is no task yet; try again", is_error=True))
            output = self._run(call)
        return _result(output, self._images(output))

    def _images(self, output: ToolOutput) -> Sequence[tuple[str, str]]:
        """Return media type and base64 of the images that a tool has the model look at."""
        if not output.files:
            return ()
        from agents.seen_files import load_files  # late: few tasks look at anything

        found = load_files([Entry(role="tool", outputs=(output,))], self._places)
        return [
            (file.media_type, found[file.sha256]) for file in output.files if file.is_image and file.sha256 in found
        ]


class _Client:
    """One connection: a thread reads, another runs calls, so that a client can take one back."""

    def __init__(self, server: ToolServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self.session = Session(server.cards)
        self._sending = threading.Lock()
        self._waiting: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self._open: dict[Json, Wanted] = {}
        """By request id: what was wanted, and is neither answered nor taken back."""
        self._now: Wanted | None = None
        self._beats = 0
        self._worker: threading.Thread | None = None

    def serve(self, word: bytes) -> None:
        """Serve until the connection ends."""
        # A time-out in the kernel and not in Python: that one would hold for reading too.
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT_S, 0))
        with self._connection:
            with suppress(OSError, rpc.MessageTooLarge):
                self._read(word)
            self._open.clear()
            self._waiting.put(None)

    def tell_of_change(self) -> None:
        """Say that there are other tools than the client was told of."""
        if self.session.listed not in (None, self._server.cards()):
            self._say(rpc.notification("notifications/tools/list_changed"))

    def _read(self, word: bytes) -> None:
        decoder, is_known = rpc.LineDecoder(), False
        while True:
            if not select.select([self._connection], [], [], self._server.progress_every_s)[0]:
                self._say_progress()
                continue
            piece = self._connection.recv(_READ_BYTES)
            if not piece:
                return
            for line in decoder.feed(piece):
                if is_known:
                    self._take(line)
                elif line == word:
                    is_known = True
                else:
                    return

    def _take(self, line: bytes) -> None:
        for event in self.session.take(line):
            match event:
                case Reply():
                    self._say(event.message)
                case Wanted():
                    self._want(event)
                case Cancelled():
                    self._open.pop(event.request_id, None)
        self._server.note_listed()

    def _want(self, wanted: Wanted) -> None:
        if len(self._open) >= MAX_WAITING_CALLS or wanted.request_id in self._open:
            problem = f"at most {MAX_WAITING_CALLS} calls wait at once, each under an id of its own"
            self._say(rpc.failure(wanted.request_id, rpc.INVALID_REQUEST, problem))
            return
        self._open[wanted.request_id] = wanted
        self._waiting.put(wanted)
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="mcp-calls", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (wanted := self._waiting.get()) is not None:
            if self._open.get(wanted.request_id) is not wanted:
                continue  # taken back before its turn
            self._now = wanted
            try:
                found = self._server.call(
                    ToolCall(call_id=wanted.call_id, name=wanted.name, arguments=wanted.arguments)
                )
            except (Interrupted, HostGone):
                with suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)
                return
            self._now = None
            if self._open.pop(wanted.request_id, None) is wanted:
                self._say(rpc.result(wanted.request_id, found))

    def _say_progress(self) -> None:
        now = self._now
        if now is None or now.progress_token is None or now.request_id not in self._open:
            return
        self._beats += 1
        params = {"progressToken": now.progress_token, "progress": self._beats, "message": f"{now.name} goes on"}
        self._say(rpc.notification("notifications/progress", params))

    def _say(self, message: rpc.Message) -> None:
        with self._sending, suppress(OSError):
            self._connection.sendall(rpc.encode(message))


def _result(output: ToolOutput, images: Sequence[tuple[str, str]] = ()) -> dict[str, object]:
    content: list[dict[str, object]] = [{"type": "text", "text": output.text}]
    content += [{"type": "image", "data": data, "mimeType": media_type} for media_type, data in images]
    return {"content": content, "isError": output.is_error}
