"""Ask the credential proxy one thing, and ask a person for what goes into its vault, without echo.

Imported by the verbs that need it, when they need it: asyncio is dear.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cli.place import find_home
from cli.problem import NOT_RUNNING, CliProblem
from credproxy.admin_client.link import ProxyAdmin, ProxyRefused, ProxyUnavailable, connect
from runtime.home import SocketPathTooLong

T = TypeVar("T")


def ask_proxy(ask: Callable[[ProxyAdmin], Awaitable[T]], *, answer_timeout_s: float = 3.0) -> T:
    """Ask over a connection of its own; what the proxy refuses, and that it is away, is a CliProblem from the cause."""

    async def connected() -> T:
        path = find_home().proxy_socket
        if not path.exists():
            raise ProxyUnavailable(path, "there is no such socket")
        async with connect(path, answer_timeout_s=answer_timeout_s) as admin:
            return await ask(admin)

    try:
        return asyncio.run(connected())
    except ProxyRefused as refusal:
        raise CliProblem(refusal.message, _as_typed(refusal.mend)) from refusal
    except (ProxyUnavailable, SocketPathTooLong) as error:
        raise CliProblem(str(error), "./nightyard up", NOT_RUNNING) from error


def type_hidden(prompt: str) -> str | None:
    """Return what a person types without seeing it; None where standard input is no terminal."""
    return getpass.getpass(prompt).strip() if sys.stdin.isatty() else None


def _as_typed(command: str) -> str:
    return f"./{command}" if command.startswith("nightyard ") else command
