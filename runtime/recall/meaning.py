"""Asks a service for embeddings what texts mean, for a task that searches: over a door of its own at the proxy.

The host holds no key. The door has the lease of the very task that searches: its routes are this one alone, its limits
and purses the task's, so that the proxy adds the key, counts and refuses as it does for the agent itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from protocol.ids import AttemptId, DoorId, GroupId, mint
from protocol.task import Effects, Lease, Limits, ModelRoute, Task
from runtime.config import RouteSettings, resolve_model
from runtime.group import Groups
from runtime.home import Home
from runtime.recall.vectors import OddAnswer, Vector, read_vectors, request_body
from runtime.service_door import AskFailed, Doors, Payers, ServiceDoor, json_question
from runtime.store.records import TaskRow

TIMEOUT_S = 10.0


class Money(Payers, Protocol):
    """The part of `money.spending.Spending` that says what a task may use and pays from."""

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
        self._door = ServiceDoor(proxy, DoorId("door_recall"), home.run / "m" / "recall.sock")
        self._money = money
        self._groups = groups
        self._routes = routes
        self._turn = asyncio.Lock()

    def model_of(self, group_id: GroupId) -> ModelRoute | None:
        """Return what a group's passages are embedded with; None: its searches go by words alone."""
        group = self._groups().ready.get(group_id)
        return resolve_model(group.embeddings, self._routes()) if group is not None and group.embeddings else None

    async def vectors(self, row: TaskRow, model: ModelRoute, texts: Sequence[str]) -> tuple[Vector, ...]:
        """Return what texts mean, in their order, at the task's cost; raise AskFailed."""
        group, task = self._groups().ready.get(row.group_id), row.spec
        if group is None or task is None or task.effects is not Effects.LIVE:
            raise AskFailed("this task asks nobody outside")
        lease = Lease(
            task_id=row.task_id,
            attempt_id=AttemptId(mint("attempt")),
            group_id=row.group_id,
            effects=task.effects,
            limits=self._money.limits_of(task),
            routes=(model.route,),
            purses=self._money.purses_of(group, row.submitter, await self._money.payer_of(row)),
        )
        question = json_question("embeddings", request_body(model.model, texts))
        async with self._turn:
            answer = await self._door.ask(lease, model, question, TIMEOUT_S)
        try:
            return read_vectors(answer, len(texts))
        except OddAnswer as error:
            raise AskFailed(f"{model.full_name} answered oddly: {error}") from error
