"""The rooms of money of one host, wired: the mirror of what is used, what holds work to budgets, and who is asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial

from credproxy.admin_client.audit import read_model_use
from credproxy.admin_client.link import ProxyAdmin
from credproxy.admin_client.purses import put_purses
from protocol.proxy_admin import ProxyEvent
from runtime.money.desk import UsageDesk
from runtime.money.mirror import UsageMirror
from runtime.money.spending import WAITS, AskPeople, Spending, Tasks
from runtime.pauses import Pauses
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.task_desk import Surroundings
from runtime.waiting_tasks import WaitingTasks


class MoneyHouse:
    """One for the whole host; `load` before anything starts."""

    def __init__(
        self,
        store: Store,
        admin: ProxyAdmin,
        around: Surroundings,
        approvals: AskPeople,
        pauses: Pauses,
        waiting: WaitingTasks,
        *,
        tasks: Callable[[], Tasks],
        wake_delivery: Callable[[], None],
    ) -> None:
        """`tasks`: the dispatcher, which is made after this."""
        self.mirror = UsageMirror(store, partial(read_model_use, admin), lambda: self.spending.wake())
        self.spending = Spending(
            store,
            self.mirror,
            groups=lambda: around.groups,
            settings=lambda: around.settings.settings,
            approvals=approvals,
            pauses=pauses,
            answers=waiting,
            tasks=tasks,
            wake_delivery=wake_delivery,
            tell_proxy=partial(put_purses, admin),
        )
        waiting.answer_kind(WAITS, self.spending.asked)
        self.desk = UsageDesk(store, self.mirror, self.spending)

    async def load(self) -> None:
        """Read what was decided today, before any task begins."""
        await self.spending.load()

    @property
    def parts(self) -> tuple[Callable[[], Coroutine[None, None, None]], ...]:
        """What runs as long as the host."""
        return self.mirror.run, self.spending.run

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once."""
        self.mirror.note(event)

    def task_ended(self, row: TaskRow) -> None:
        """Hear that a task has ended: by then all its calls have. Returns at once."""
        self.mirror.look_at(row.task_id)
