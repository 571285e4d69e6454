"""Asks a service for embeddings what texts mean, for a task that searches: over a door of its own at the proxy.

The host holds no key. The door has the lease of the very task that searches: its routes are this one alone, its limits
and purses the task's, so that the proxy adds the key, counts and refuses as it does for the agent itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from credproxy.admin_client.link import ProxyError
from protocol.ids import AttemptId, DoorId, GroupId, mint
from protocol.task import Effects, Lease, Limits, ModelRoute, Purse, Task
from runtime.config import RouteSettings, resolve_model
from runtime.group import Group, Groups
from runtime.home import Home, checked_socket
from runtime.money.payers import Payer
from runtime.recall.vectors import OddAnswer, Vector, read_vectors, request_body
from runtime.store.records import TaskRow

DOOR = DoorId("door_recall")
"""One after the other: what a host that died left open, the next use takes over."""
TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0


class MeaningFailed(Exception):
    """A service for embeddings did not do its part; the text says why."""


class Doors(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that is needed. Raises ProxyError."""

    async def open_door(
        self, door_id: DoorId, path: Path, uid: int | None = None, lease: Lease | None = None
    ) -> None: ...
    async def close_door(self, door_id: DoorId) -> None: ...


class Money(Protocol):
    """The part of `money.spending.Spending` that says what a task pays from."""

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]: ...
    async def payer_of(self, row: TaskRow) -> Payer | None: ...
    def limits_of(self, task: Task) -> Limits: ...


class Meaning:
    """One for the whole host."""

    def __init__(
        self,
        home: Home,
        proxy: Doors,
        money: Money,
        *,
        groups: Callable[[], Groups],
        routes: Callable[[], Mapping[str, RouteSettings]],
    ) -> None:
        self._path = home.run / "m" / "recall.sock"
        self._proxy = proxy
        self._money = money
        self._groups = groups
        self._routes = routes
        self._turn = asyncio.Lock()

    def model_of(self, group_id: GroupId) -> ModelRoute | None:
        """Return what a group's passages are embedded with; None: its searches go by words alone."""
        group = self._groups().ready.get(group_id)
        return resolve_model(group.embeddings, self._routes()) if group is not None and group.embeddings else None

    async def vectors(self, row: TaskRow, model: ModelRoute, texts: Sequence[str]) -> tuple[Vector, ...]:
        """Return what texts mean, in their order, at the task's cost; raise MeaningFailed."""
        group, task = self._groups().ready.get(row.group_id), row.spec
        if group is None or task is None or task.effects is not Effects.LIVE:
            raise MeaningFailed("this task asks nobody outside")
        lease = Lease(
            task_id=row.task_id,
            attempt_id=AttemptId(mint("attempt")),
            group_id=row.group_id,
            effects=task.effects,
            limits=self._money.limits_of(task),
            routes=(model.route,),
            purses=self._money.purses_of(group, row.submitter, await self._money.payer_of(row)),
        )
        async with self._turn:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    body = await self._ask(lease, model, request_body(model.model, texts))
                return read_vectors(body, len(texts))
            except TimeoutError:
                raise MeaningFailed(f"{model.full_name} did not answer within {TIMEOUT_S:g} s") from None
            except OddAnswer as error:
                raise MeaningFailed(f"{model.full_name} answered oddly: {error}") from error
            except (ProxyError, OSError, EOFError) as error:
                raise MeaningFailed(f"{model.full_name} cannot be reached: {error}") from error
            finally:
                with suppress(ProxyError, TimeoutError):
                    async with asyncio.timeout(CLOSE_TIMEOUT_S):
                        await self._proxy.close_door(DOOR)

    async def _ask(self, lease: Lease, model: ModelRoute, body: bytes) -> bytes:
        from runtime.proxy_post import post  # late: few hosts ask for embeddings

        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._proxy.open_door(DOOR, checked_socket(self._path), None, lease)
        status, answer = await post(self._path, f"/m/{model.route}/v1/embeddings", body)
        if status != 200:
            raise MeaningFailed(f"{model.full_name} refused ({status})")
        return answer
