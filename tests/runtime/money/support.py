"""Money without a host: a real store, pauses, questions and approvals, and a proxy whose sums a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from credproxy.admin_client.audit import ModelUseRow
from credproxy.admin_client.link import ProxyUnavailable
from protocol.ids import ChatKey, GroupId, TaskId
from protocol.link import Answered
from protocol.task import ModelRoute, Purse, Task
from runtime.approvals.approvals import Approvals
from runtime.config import BudgetSettings, LimitSettings, Settings
from runtime.group import Group, Groups
from runtime.group_settings import GroupBudget
from runtime.money.mirror import UsageMirror
from runtime.money.purses import day_of
from runtime.money.spending import WAITS, Spending
from runtime.pauses import Pauses
from runtime.store.records import Claim, TaskRow
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import StoredSubmission
from runtime.waiting_tasks import WaitingTasks
from tests.runtime.store.support import MAIN, running

SIDE = GroupId("side")


def today() -> str:
    return day_of(datetime.now(UTC))


class Proxy:
    """What the proxy has counted."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], ModelUseRow] = {}
        self.is_away = False
        self.asked = 0
        self.purses: list[tuple[Purse, ...]] = []
        self.not_told = 0

    async def __call__(self, *, task: str | None = None, since: str = "") -> Sequence[ModelUseRow]:
        self.asked += 1
        if self.is_away:
            raise ProxyUnavailable(Path("proxy.sock"), "nobody listens")
        return [row for row in self.rows.values() if (task is None or row.task == task) and row.day >= since]

    async def put_purses(self, purses: Sequence[Purse]) -> None:
        if self.is_away:
            self.not_told += 1
            raise ProxyUnavailable(Path("proxy.sock"), "nobody listens")
        self.purses.append(tuple(purses))

    def use(
        self,
        task: str = "",
        group: str = MAIN,
        *,
        calls: int = 1,
        cost: float | None = 0.0,
        tokens: int = 10,
        day: str = "",
        model: str = "m",
        route: str = "r",
    ) -> None:
        """A task has used more."""
        key = (day or today(), task, f"{route}/{model}")
        known = self.rows.get(key) or ModelUseRow(
            task=task,
            group=group,
            day=key[0],
            model=model,
            model_calls=0,
            input_tokens=0,
            output_tokens=0,
            cost_usd=0.0,
            calls_without_price=0,
            route=route,
        )
        self.rows[key] = replace(
            known,
            last_at=f"{key[0]}T{sum(row.model_calls for row in self.rows.values()):012d}",
            model_calls=known.model_calls + calls,
            input_tokens=known.input_tokens + tokens,
            cost_usd=known.cost_usd + (cost or 0.0),
            calls_without_price=known.calls_without_price + (calls if cost is None else 0),
        )


class Work:
    """What the dispatcher was told to do."""

    def __init__(self) -> None:
        self.stopped_tasks: list[TaskId] = []
        self.stopped_chats: list[ChatKey] = []
        self.cancelled: list[str] = []
        self.resumed: list[TaskId] = []

    async def stop_chat(self, chat: ChatKey, reason: str) -> object:
        self.stopped_chats.append(chat)
        return None

    async def stop_task(self, task_id: TaskId, reason: str) -> object:
        self.stopped_tasks.append(task_id)
        return None

    async def cancel(self, submission: StoredSubmission, reason: str) -> object:
        self.cancelled.append(submission.new.prompt)
        return None

    async def deliver(self, task_id: TaskId, answered: Answered) -> None:
        self.resumed.append(task_id)


def group(group_id: GroupId = MAIN, *, limits: LimitSettings | None = None, budget: GroupBudget | None = None) -> Group:
    return Group(
        group_id=group_id,
        instructions="",
        model=ModelRoute(route="r", api="anthropic", model="m"),
        limits=limits or LimitSettings(),
        budget=budget or GroupBudget(),
    )


class Till:
    """What a test may look at and set."""

    def __init__(self, store: Store, folder: Path, groups: Sequence[Group], budgets: BudgetSettings) -> None:
        self.store = store
        self.proxy = Proxy()
        self.work = Work()
        self.groups = Groups(ready={each.group_id: each for each in groups}, suspended={})
        self.settings = Settings(budgets=budgets)
        self.pauses = Pauses(store)
        self.waiting = WaitingTasks(store)
        self.waiting.when_answered(self.work.deliver)
        self.approvals = Approvals(
            store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group_id: folder / group_id
        )
        self.mirror = UsageMirror(store, self.proxy, lambda: self.spending.wake())
        self.spending = Spending(
            store,
            self.mirror,
            groups=lambda: self.groups,
            settings=lambda: self.settings,
            approvals=self.approvals,
            pauses=self.pauses,
            answers=self.waiting,
            tasks=lambda: self.work,
            wake_delivery=lambda: None,
            tell_proxy=self.proxy.put_purses,
        )
        self.approvals.subscribe("spending", self.spending.decided)
        self.waiting.answer_kind(WAITS, self.spending.asked)

    async def until(self, is_so: object) -> None:
        """Wait until a condition holds: a function, or one that returns an awaitable."""
        async with asyncio.timeout(5):
            while True:
                found = is_so()  # type: ignore[operator]  # a test's lambda
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.01)

    def used(self, task: str = "", **more: object) -> None:
        """A task has used something, and the proxy says so."""
        self.proxy.use(task, **more)  # type: ignore[arg-type]  # handed on as given
        self.mirror.look_at(TaskId(task))

    def is_paused(self, group_id: GroupId = MAIN) -> bool:
        return bool(self.pauses.of(group_id))

    async def card(self) -> str:
        """Return the code of the only card that waits, as soon as there is one."""
        await self.until(self.approvals.waiting)
        (approval,) = await self.approvals.waiting()
        return approval.approval_id

    async def working(self) -> tuple[Claim, TaskRow, Task]:
        """Return a task that runs."""
        claim = await running(self.store)
        row = await self.store.task(claim.task.task_id)
        assert row is not None
        task = Task(task_id=row.task_id, group_id=MAIN, submitter=row.submitter, session_id=row.session_id, prompt="do")
        return claim, row, task


@asynccontextmanager
async def till(
    folder: Path, *groups: Group, budgets: BudgetSettings | None = None, store: Store | None = None
) -> AsyncIterator[Till]:
    """Run the money of a house with these groups."""
    async with open_store(folder) as opened:
        one = Till(opened, folder, groups or (group(),), budgets or BudgetSettings())
        await one.pauses.load()
        await one.spending.load()
        async with asyncio.TaskGroup() as parts:
            running_parts = [
                parts.create_task(part)
                for part in (one.mirror.run(), one.spending.run(), one.approvals.run(), one.waiting.run())
            ]
            try:
                yield one
            finally:
                for part in running_parts:
                    part.cancel()
