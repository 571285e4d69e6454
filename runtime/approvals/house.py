"""All rooms of decisions of one host, wired: what services/wired_host.py makes, runs and hands to others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Protocol

from credproxy.admin_client.audit import read_taints
from credproxy.admin_client.link import ProxyAdmin
from protocol.proxy_admin import ProxyEvent
from runtime.approvals.approvals import Approvals
from runtime.approvals.desk import ApprovalDesk
from runtime.approvals.egress import EgressApprovals
from runtime.approvals.exceptions import Exceptions
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.taint import Taints
from runtime.approvals.tools import ToolApprovals
from runtime.config import ParsedSettings
from runtime.group import Groups
from runtime.home import Home
from runtime.mcp.book import KIND, McpBook
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.waiting_tasks import WaitingTasks


class Surroundings(Protocol):
    """What of the running host the rooms go by."""

    @property
    def settings(self) -> ParsedSettings: ...
    @property
    def groups(self) -> Groups: ...


class DecisionHouse:
    """Approvals, policy, taint, and what brings them to the proxy and to waiting tasks."""

    def __init__(
        self,
        store: Store,
        admin: ProxyAdmin,
        home: Home,
        around: Surroundings,
        waiting: WaitingTasks,
        wake_delivery: Callable[[], None],
    ) -> None:
        def zone_name() -> str:
            return around.settings.settings.time_zone

        self.approvals = Approvals(
            store,
            wake_delivery=wake_delivery,
            zone_name=zone_name,
            files=lambda group_id: home.group(group_id) / "outbox",
        )
        self.book = PolicyBook(store, lambda: around.groups, zone_name)
        self.taints = Taints(store, self.approvals, partial(read_taints, admin))
        self.desk = ApprovalDesk(store, self.approvals, self.book, self.taints, lambda: around.groups, zone_name)
        self._egress = EgressApprovals(admin, self.approvals, self.book)
        self.mcp = McpBook(store, self.approvals, home.path / "mcp", lambda: around.groups)
        waiting.answer_kind(KIND, self.mcp.listed)
        waiting.answer_kind("approval", ToolApprovals(store, self.approvals, self.book, waiting).asked)
        self._exceptions = Exceptions(
            store, lambda: around.groups, wake_approvals=self.approvals.wake, wake_delivery=wake_delivery
        )

    async def load(self) -> None:
        """Read policy, before any task begins."""
        await self.book.load()
        await self.mcp.load()

    def parts(self) -> tuple[Coroutine[None, None, None], ...]:
        """Return what runs as long as the host."""
        return (
            self.approvals.run(),
            self.book.run(),
            self.mcp.run(),
            self.taints.run(),
            self._egress.run(),
            self._exceptions.run(),
        )

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once."""
        self.taints.note(event)
        self._egress.note(event)

    def task_ended(self, row: TaskRow) -> None:
        """Hear that a task has ended; returns at once."""
        self._exceptions.task_ended(row)
