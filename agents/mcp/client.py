"""What we say to an MCP server: the handshake, its tools, a call, its resources. How it gets there is a Transport's.

https://modelcontextprotocol.io/specification/2025-06-18/basic/lifecycle and …/server/tools. We offer a server nothing
of our own: neither our model (sampling) nor our person (elicitation) nor our folders (roots).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from agents import VERSION
from agents.interrupt import Interrupted
from agents.mcp import rpc
from agents.mcp.rpc import Message, object_at, text_at
from agents.mcp.transport import ServerFailed, SessionLost, Transport

START_S = 30.0
LIST_S = 20.0
MAX_PAGES = 50
MAX_LISTED = 500
MAX_MESSAGES = 10_000
"""What a server may say on the way to one answer."""
MAX_ERROR_CHARS = 2_000

OnProgress = Callable[[str], None]


class ServerRefused(Exception):
    """A server's own error to a request; it goes on."""


class Client:
    """The conversation with one server; begins by itself with the first request."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._number = 0
        self._is_open = False
        self._capabilities: Message = {}
        self.has_changed = False
        """Whether the server has said that its tools are others now."""

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def has_resources(self) -> bool:
        return "resources" in self._capabilities

    def begin(self, timeout_s: float = START_S) -> None:
        """Shake hands, if that is not done; raise ServerFailed, Interrupted."""
        if self._is_open:
            return
        try:
            self._transport.open()
            params = {
                "protocolVersion": rpc.VERSIONS[0],
                "capabilities": {},
                "clientInfo": {"name": "nightyard", "title": "Nightyard", "version": VERSION},
            }
            welcome = self._ask("initialize", params, timeout_s)
            version = text_at(welcome, "protocolVersion")
            if version not in rpc.VERSIONS:
                raise ServerFailed(f"speaks the protocol {version[:40]!r}, and we do not")
            self._transport.use(version)
            self._transport.tell(rpc.notification("notifications/initialized"))
        except (ServerRefused, ServerFailed) as error:
            self.close()
            raise ServerFailed(str(error)) from error
        self._capabilities = object_at(welcome, "capabilities")
        self._is_open = True

    def tools(self, timeout_s: float = LIST_S) -> list[Message]:
        """Return the tools as the server describes them; raise ServerFailed, Interrupted."""
        if "tools" not in self._capabilities:
            return []
        return list(self._pages("tools/list", "tools", timeout_s))

    def resources(self) -> list[Message]:
        return list(self._pages("resources/list", "resources", LIST_S))

    def call(self, tool: str, arguments: object, timeout_s: float, on_progress: OnProgress) -> Message:
        """Return a call's result; raise ServerRefused, ServerFailed, Interrupted."""
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": f"call-{self._number + 1}"}}
        return self._in_session("tools/call", params, timeout_s, on_progress)

    def read_resource(self, uri: str, timeout_s: float) -> Message:
        return self._in_session("resources/read", {"uri": uri}, timeout_s)

    def listen(self) -> None:
        """Take in what the server has said of its own accord; one that has ended begins anew with the next request."""
        if not self._is_open:
            return
        try:
            for message in self._transport.overheard():
                self._hear(message, 0, None)
        except ServerFailed:
            self.close()

    def close(self) -> None:
        self._is_open = False
        self._transport.close()

    # --- Requests

    def _pages(self, method: str, name: str, timeout_s: float) -> Iterator[Message]:
        """Yield what is on all pages, which together may take this time."""
        cursor, count, deadline = "", 0, time.monotonic() + timeout_s
        for _ in range(MAX_PAGES):
            try:
                page = self._ask(method, {"cursor": cursor} if cursor else {}, deadline - time.monotonic())
            except ServerRefused as error:
                raise ServerFailed(f"refused {method}: {error}") from error
            found = page.get(name)
            for each in found if isinstance(found, list) else ():
                count += 1
                if count > MAX_LISTED:
                    return
                if isinstance(each, dict):
                    yield each
            cursor = text_at(page, "nextCursor")
            if not cursor:
                return

    def _in_session(
        self, method: str, params: Message, timeout_s: float, on_progress: OnProgress | None = None
    ) -> Message:
        """Ask; where the server has forgotten us, and so has done nothing, begin anew and ask once more."""
        self.begin()
        try:
            return self._ask(method, params, timeout_s, on_progress)
        except SessionLost:
            self.begin()
            return self._ask(method, params, timeout_s, on_progress)

    def _ask(self, method: str, params: Message, timeout_s: float, on_progress: OnProgress | None = None) -> Message:
        """Return a request's result. A server that has failed is let go: the next request begins anew."""
        self._number += 1
        number = self._number
        try:
            for count, message in enumerate(
                self._transport.ask(rpc.request(number, method, params), time.monotonic() + timeout_s)
            ):
                answer = self._hear(message, number, on_progress)
                if answer is not None:
                    return answer
                if count >= MAX_MESSAGES:
                    raise ServerFailed(f"sent {MAX_MESSAGES} messages and no answer")
            raise ServerFailed(f"gave no answer to {method}")
        except Interrupted as stopped:
            self._take_back(number, method, str(stopped))
            raise
        except TimeoutError as error:
            self._take_back(number, method, "it takes too long")
            self.close()
            raise ServerFailed(f"gave no answer to {method} within {max(0.0, round(timeout_s, 1)):g} s") from error
        except ServerFailed:
            self.close()
            raise

    def _hear(self, message: Message, number: int, on_progress: OnProgress | None) -> Message | None:
        """Return the result if a message is the answer to the request `number`; do what else it asks for."""
        method, given = message.get("method"), message.get("id")
        if isinstance(method, str) and "id" in message:
            answer = rpc.result(given, {}) if method == "ping" else _not_offered(given, method)
            self._transport.tell(answer)
        elif method == "notifications/tools/list_changed":
            self.has_changed = True
        elif method == "notifications/progress" and on_progress is not None:
            on_progress(text_at(object_at(message, "params"), "message"))
        elif method is None and type(given) is int and given == number:
            return _result(message)
        return None  # a log line, or the answer to what we took back

    def _take_back(self, number: int, method: str, reason: str) -> None:
        if method != "initialize":  # that one may not be taken back
            params = {"requestId": number, "reason": reason}
            self._transport.tell(rpc.notification("notifications/cancelled", params))


def _not_offered(request_id: object, method: str) -> Message:
    return rpc.failure(request_id, rpc.METHOD_NOT_FOUND, f"{method[:60]} is not offered here")


def _result(message: Message) -> Message:
    found = message.get("result")
    if isinstance(found, dict):
        return found
    error = object_at(message, "error")
    if not error:
        raise ServerFailed("gave an answer with neither a result nor an error")
    raise ServerRefused(text_at(error, "message")[:MAX_ERROR_CHARS] or f"error {str(error.get('code'))[:20]}")
