"""control.sock: the operator's door to the host. One connection is one question, or one terminal chat.

What each verb does is its room's business (`verb.py`), what a terminal chat is the terminal channel's; this file
listens, counts connections, bounds frames and waits, and keeps one client's misbehaviour to that client. The other
end is `client/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from credproxy.admin_client.link import ProxyRefused, ProxyUnavailable
from protocol.codec import ShapeError, from_json
from protocol.control import CLIENT_FRAMES, Event, Problem, Reply, Request, Say, Shown
from protocol.frames import FrameError, check_version
from protocol.ids import ChatKey
from runtime.control.verb import CHAT, VerbTable, perform
from runtime.frame_connection import ClientGone, FrameConnection, serve_socket
from runtime.refusal import OperationRefused
from runtime.store.errors import StoreError

log = logging.getLogger(__name__)

FIRST_FRAME_TIMEOUT_S = 10.0
"""A client that connects and says nothing does not keep its place longer."""
VERB_TIMEOUT_S = 60.0
UNREAD_BYTES = 256 << 10
"""With more than this unread, deltas and progress are dropped; whole messages still wait for room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatArguments:
    group: str = ""
    """Empty: the terminal channel's own group."""
    name: str = ""
    """Tells several chats with one group apart."""


class Screen(Protocol):
    """One attached terminal, as the terminal channel sees it."""

    def said(self) -> AsyncIterator[Say]:
        """Yield what the person says, until the terminal goes."""

    async def show(self, shown: Shown) -> bool:
        """Show it; False if the terminal is gone or does not read any more."""

    def show_soon(self, shown: Shown) -> None:
        """Show it if the terminal keeps up; for what is worth nothing later."""


class TerminalDoor(Protocol):
    """What control.sock needs of the terminal channel."""

    async def attach(self, chat: ChatKey, screen: Screen) -> None:
        """Serve one terminal until it goes."""


class ControlServer:
    """Listens at `path` (mode 0600) until cancelled."""

    def __init__(
        self,
        path: Path,
        verbs: VerbTable,
        open_chat: Callable[[str, str], Awaitable[ChatKey]],
        terminal: TerminalDoor,
        *,
        max_connections: int = 64,
    ) -> None:
        """`open_chat` returns the chat of a terminal, from a group's and a chat's name, either empty."""
        self._path = path
        self._verbs = verbs
        self._open_chat = open_chat
        self._terminal = terminal
        self._max_connections = max_connections
        self._connections = 0
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; removes the socket at the end. Raises OSError if the path cannot be bound."""
        await serve_socket(
            self._path, self.listening, lambda reader, writer: _Terminal(reader, writer, CLIENT_FRAMES), self._serve
        )

    async def _serve(self, connection: _Terminal) -> None:
        """Answer one client. Whatever goes wrong here ends this connection and nothing else."""
        self._connections += 1
        try:
            if self._connections > self._max_connections:
                text = f"{self._max_connections} programs are connected to the host already"
                await connection.send(Problem(code="too_many", message=text, mend="close a terminal chat"))
                return
            await self._answer(connection)
        except FrameError as error:
            await connection.send(Problem(code=error.code, message=f"this is not a question to the host: {error}"))
        except ClientGone:
            log.debug("a control client went away", extra={"action": "control_client_gone"})
        except Exception:
            log.exception("a control request failed", extra={"action": "control_failed"})
            message = "the host made a mistake of its own; its log says which"
            await connection.send(Problem(code="host_bug", message=message, mend="./nightyard logs host"))
        finally:
            self._connections -= 1

    async def _answer(self, connection: _Terminal) -> None:
        try:
            async with asyncio.timeout(FIRST_FRAME_TIMEOUT_S):
                request = await connection.receive()
        except TimeoutError:
            raise ClientGone from None
        if not isinstance(request, Request):
            raise FrameError("unknown_type", "the first frame of a connection is a request")
        check_version(request.protocol)
        problem = await self._carry_out(request, connection)
        if problem is not None:
            await connection.send(problem)

    async def _carry_out(self, request: Request, connection: _Terminal) -> Problem | None:
        """Do what is asked and answer it; return the problem where it cannot be done."""
        try:
            if request.verb == CHAT:
                asked = from_json(ChatArguments, request.arguments or {}, CHAT)
                chat = await self._open_chat(asked.group, asked.name)
                await connection.send(Event(value={"chat": chat}))
                await self._terminal.attach(chat, connection)
                return None
            async with asyncio.timeout(VERB_TIMEOUT_S):
                value = await perform(self._verbs, request.verb, request.arguments or {})
            await connection.send(Reply(value=value))
        except OperationRefused as refused:
            return Problem(code=refused.code, message=refused.message, mend=refused.mend)
        except ShapeError as error:
            return Problem(code="wrong_arguments", message=f"the arguments of {request.verb[:40]} are wrong: {error}")
        except ProxyRefused as refused:
            return Problem(code=refused.code, message=refused.message, mend=refused.mend)
        except ProxyUnavailable as error:
            return Problem(code="proxy_unavailable", message=str(error), mend="./nightyard logs credproxy")
        except StoreError as error:
            return Problem(code="store", message=str(error))
        except TimeoutError:
            message = f"{request.verb} was not done within {VERB_TIMEOUT_S:g} s"
            return Problem(code="timeout", message=message, mend="./nightyard logs host")
        return None


class _Terminal(FrameConnection):
    """A client of control.sock. It is a `Screen`."""

    async def said(self) -> AsyncIterator[Say]:
        with contextlib.suppress(ClientGone):
            while True:
                frame = await self.receive()
                if not isinstance(frame, Say):
                    raise FrameError("unknown_type", "a terminal chat takes say frames only")
                yield frame

    async def show(self, shown: Shown) -> bool:
        return await self.send(shown)

    def show_soon(self, shown: Shown) -> None:
        self.send_soon(shown, UNREAD_BYTES)
