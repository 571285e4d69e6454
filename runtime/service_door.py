"""Asks a service one thing for the host itself, over a door of its own at the proxy.

The host holds no key. The door has the lease of one task to one route, so that the proxy adds the key, counts and
refuses as it does for an agent; it is open for one question only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from credproxy.admin_client.link import ProxyError
from protocol.ids import DoorId
from protocol.task import Lease, ModelRoute, Purse
from runtime.group import Group
from runtime.home import checked_socket
from runtime.money.payers import Payer
from runtime.store.records import TaskRow

CLOSE_TIMEOUT_S = 2.0


class AskFailed(Exception):
    """A service was not asked, or did not do its part; the text says why."""


class Doors(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that is needed. Raises ProxyError."""

    async def open_door(
        self, door_id: DoorId, path: Path, uid: int | None = None, lease: Lease | None = None
    ) -> None: ...
    async def close_door(self, door_id: DoorId) -> None: ...


class Payers(Protocol):
    """The part of `money.spending.Spending` that says what a question is paid from."""

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]: ...
    async def payer_of(self, row: TaskRow) -> Payer | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is posted."""

    path: str
    """Below the route's `/v1`."""
    body: AsyncIterator[bytes]
    length: int
    """Of the body."""
    content_type: str


class ServiceDoor:
    """One door, for one question after the other. What a host that died left open, its next use takes over."""

    def __init__(self, proxy: Doors, door_id: DoorId, socket: Path) -> None:
        self._proxy = proxy
        self._door_id = door_id
        self._socket = socket

    async def ask(self, lease: Lease, model: ModelRoute, question: Question, timeout_s: float) -> bytes:
        """Return the body of the answer; raise AskFailed."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._ask(lease, model, question)
        except TimeoutError:
            raise AskFailed(f"{model.full_name} did not answer within {timeout_s:g} s") from None
        except (ProxyError, OSError, EOFError) as error:
            raise AskFailed(f"{model.full_name} cannot be reached: {error}") from error
        finally:
            with suppress(ProxyError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._proxy.close_door(self._door_id)

    async def _ask(self, lease: Lease, model: ModelRoute, question: Question) -> bytes:
        from runtime.proxy_post import post  # late: few hosts ask anything themselves

        socket = checked_socket(self._socket)
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._proxy.open_door(self._door_id, socket, None, lease)
        path = f"/m/{model.route}/v1/{question.path}"
        status, answer = await post(socket, path, question.body, question.length, question.content_type)
        if status != 200:
            raise AskFailed(f"{model.full_name} refused ({status})")
        return answer


def json_question(path: str, body: bytes) -> Question:
    """Return a question of some JSON."""

    async def whole() -> AsyncIterator[bytes]:
        yield body

    return Question(path=path, body=whole(), length=len(body), content_type="application/json")
