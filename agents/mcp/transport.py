"""How messages reach an MCP server and come back: what `stdio.py` and `streamable.py` have in common."""

from __future__ import annotations

from collections.abc import Iterator

from agents.mcp.rpc import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:  # importing `typing` would cost every agent's start
    Protocol = object

MAX_EXCHANGE_BYTES = 32 << 20
"""What a server may say on the way to one answer."""


class ServerFailed(Exception):
    """A server that is not there, or does not speak the protocol; the message follows on `the MCP server x`."""


class SessionLost(ServerFailed):
    """A server that does not know our session any more: nothing was done, and a new one may be begun."""


class Transport(Protocol):
    """The way to one server; used by one thread at a time."""

    def open(self) -> None:
        """Be ready for the first message; raise ServerFailed."""

    def use(self, version: str) -> None:
        """Speak this version from now on."""

    def ask(self, message: Message, deadline: float) -> Iterator[Message]:
        """Send a request and yield what the server says, until it says no more to it. `deadline`: monotonic. Raises
        ServerFailed, Interrupted, TimeoutError."""

    def tell(self, message: Message) -> None:
        """Send what has no answer, if that is possible at once."""

    def overheard(self) -> list[Message]:
        """Return what the server has said of its own accord; raise ServerFailed where it has ended."""

    def close(self) -> None:
        """Let go of the server; `open` begins anew."""
