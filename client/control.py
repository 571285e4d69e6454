"""The async client of control.sock: `request`, `stream` and `chat`, a connection each.

Half of it for callers without an event loop is `blocking.py`; the host's end is `runtime/control/server.py`. All three
raise HostNotRunning, HostUnreadable and Refused; cancelling one closes its connection and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from client.connection import Connection, connected
from client.errors import HostSilent, HostUnreadable, Refused
from protocol.codec import Json
from protocol.control import SERVER_FRAMES, Event, Problem, Reply, Request, Say, Shown
from protocol.frames import PROTOCOL_VERSION

AS_A_FILE = "send it as a file"


class Conversation:
    """A terminal chat that is open: say things, read what is to be shown."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def say(self, say: Say) -> None:
        """Send one thing; it is stored when its `accepted` is shown. Raises HostNotRunning if the host is gone."""
        await self._connection.send(say)

    async def shown(self) -> AsyncIterator[Shown]:
        """Yield what is to be shown, until the host closes the chat; one reader."""
        async for frame in self._connection.frames():
            if isinstance(frame, Problem):
                raise Refused(frame.code, frame.message, frame.mend)
            if isinstance(frame, Shown):
                yield frame


class ControlClient:
    """Asks the host that listens at `path`."""

    def __init__(self, path: Path, *, connect_timeout_s: float = 5.0) -> None:
        self._path = path
        self._connect_timeout_s = connect_timeout_s

    async def request(self, verb: str, arguments: Mapping[str, object] | None = None, timeout_s: float = 30.0) -> Json:
        """Return the answer's value. Raises HostSilent after `timeout_s`; what was asked may still happen."""
        try:
            async with asyncio.timeout(timeout_s), self._ask(verb, arguments) as connection:
                async for frame in connection.frames():
                    if isinstance(frame, Reply):
                        return frame.value
                    if isinstance(frame, Problem):
                        raise Refused(frame.code, frame.message, frame.mend)
        except TimeoutError:
            raise HostSilent(verb, timeout_s) from None
        raise HostUnreadable(self._path, f"the connection ended without an answer to {verb}")

    async def stream(self, verb: str, arguments: Mapping[str, object] | None = None) -> AsyncIterator[Json]:
        """Yield the verb's events and, last, its reply."""
        async with self._ask(verb, arguments) as connection:
            async for frame in connection.frames():
                if isinstance(frame, Problem):
                    raise Refused(frame.code, frame.message, frame.mend)
                if isinstance(frame, (Event, Reply)):
                    yield frame.value
                if isinstance(frame, Reply):
                    return
        raise HostUnreadable(self._path, f"the connection ended without an answer to {verb}")

    @contextlib.asynccontextmanager
    async def chat(self, group: str = "", name: str = "") -> AsyncIterator[Conversation]:
        """Open a terminal chat with a group (empty: the terminal channel's own); `name` tells chats of one group apart.

        Everybody who opens the same chat sees the same; what was said while nobody looked is shown first.
        """
        async with self._ask("chat", {"group": group, "name": name}) as connection:
            yield Conversation(connection)

    @contextlib.asynccontextmanager
    async def _ask(self, verb: str, arguments: Mapping[str, object] | None) -> AsyncIterator[Connection]:
        async with connected(
            self._path, self._connect_timeout_s, SERVER_FRAMES, too_large_mend=AS_A_FILE, not_json_mend=AS_A_FILE
        ) as connection:
            await connection.send(Request(protocol=PROTOCOL_VERSION, verb=verb, arguments=dict(arguments or {})))
            yield connection
