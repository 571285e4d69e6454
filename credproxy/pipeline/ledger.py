"""What tasks and purses have used, against what leases allow. Pure: the audit keeps the sums over restarts.

A call is reserved before it begins, at the most that it can use, and settled when it ends. It may begin while what is
settled and what is reserved together stay under every limit; so of all the calls that share a purse at most one ever
goes past its end, however many run at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from credproxy.audit.task_use import TaskUse
from protocol.ids import CallId, TaskId
from protocol.task import Lease, Limits, Purse


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The most that a call under way can use."""

    input_tokens: int
    output_tokens: int
    cost_usd: float


@dataclass(slots=True)
class Account:
    """What one task, or one purse on one day, has used, and what its calls under way may use yet."""

    use: TaskUse
    reserved: dict[CallId, Reserved] = field(default_factory=dict)

    def with_reserved(self) -> TaskUse:
        """Return the use as it will be at most when the calls under way have ended."""
        held = self.reserved.values()
        return TaskUse(
            model_calls=self.use.model_calls,
            input_tokens=self.use.input_tokens + sum(each.input_tokens for each in held),
            output_tokens=self.use.output_tokens + sum(each.output_tokens for each in held),
            cost_usd=self.use.cost_usd + sum(each.cost_usd for each in held),
        )


class Ledger:
    """The sums of the tasks that have a lease now, and of today's purses."""

    def __init__(self) -> None:
        self._tasks: dict[TaskId, Account] = {}
        self._purses: dict[tuple[str, str], Account] = {}
        """By day and name."""
        self._allowed: dict[str, Purse] = {}
        """Purses as the newest lease that names them has them."""

    def open(self, task_id: TaskId, stored: TaskUse) -> None:
        """Take up a task with what the audit knows of it; a task that is open already goes on."""
        self._tasks.setdefault(task_id, Account(stored))

    def open_purse(self, day: str, purse: Purse, stored: TaskUse) -> None:
        """Take up a purse: its limits are these from now on, for all who pay from it."""
        self._purses = {key: account for key, account in self._purses.items() if key[0] >= day}
        self._purses.setdefault((day, purse.name), Account(stored))
        self._allowed[purse.name] = purse

    def allow(self, purse: Purse) -> None:
        """Have a purse's limits be these from now on, for all who pay from it."""
        self._allowed[purse.name] = purse

    def allowed(self, name: str) -> Purse:
        """Return a purse as it is now; without a limit where nobody has said one."""
        return self._allowed.get(name) or Purse(name=name)

    def has_purse(self, day: str, name: str) -> bool:
        """Return whether a purse has been taken up today: then what is stored of it is known."""
        return (day, name) in self._purses

    def find(self, task_id: TaskId) -> TaskUse | None:
        account = self._tasks.get(task_id)
        return account.use if account is not None else None

    def close(self, task_id: TaskId) -> None:
        self._tasks.pop(task_id, None)

    def find_limit(self, lease: Lease, day: str) -> tuple[str, str] | None:
        """Return code and sentence of a limit that is reached, None if a model call is within all of them."""
        for account, allowed in self._accounts(lease, day):
            reached = _find_limit(account.use, allowed)
            if reached is not None:
                return reached
        return None

    def must_wait(self, lease: Lease, day: str) -> bool:
        """Whether the calls under way may use up what is left: then another begins when they have ended."""
        return any(
            account.reserved and _find_limit(account.with_reserved(), allowed) is not None
            for account, allowed in self._accounts(lease, day)
        )

    def reserve(self, lease: Lease, day: str, call_id: CallId, most: Reserved) -> None:
        """Count a call that begins. `release` must follow."""
        for account, _ in self._accounts(lease, day):
            account.use.model_calls += 1
            account.reserved[call_id] = most

    def release(self, call_id: CallId) -> None:
        """Take back what a call reserved: it has ended."""
        for account in (*self._tasks.values(), *self._purses.values()):
            account.reserved.pop(call_id, None)

    def settle(
        self, lease: Lease, day: str, *, calls: int, input_tokens: int, output_tokens: int, cost_usd: float | None
    ) -> None:
        """Add what a call has used. `calls`: 1 for one that was not counted when it began."""
        for account, _ in self._accounts(lease, day):
            account.use.model_calls += calls
            account.use.add(input_tokens, output_tokens, cost_usd)

    def _accounts(self, lease: Lease, day: str) -> Iterator[tuple[Account, Limits | Purse]]:
        task = self._tasks.get(lease.task_id)
        if task is not None:
            yield task, lease.limits
        for purse in lease.purses:
            account = self._purses.setdefault((day, purse.name), Account(TaskUse()))
            yield account, self._allowed.get(purse.name, purse)


def _find_limit(use: TaskUse, allowed: Limits | Purse) -> tuple[str, str] | None:
    return _find_task_limit(use, allowed) if isinstance(allowed, Limits) else _find_purse_limit(use, allowed)


def _find_task_limit(use: TaskUse, limits: Limits) -> tuple[str, str] | None:
    if use.model_calls >= limits.model_calls:
        return "limit_calls", f"This task has used up its {limits.model_calls} model calls."
    if use.input_tokens >= limits.input_tokens:
        return "limit_input_tokens", f"This task has used up its {limits.input_tokens} input tokens."
    if use.output_tokens >= limits.output_tokens:
        return "limit_output_tokens", f"This task has used up its {limits.output_tokens} output tokens."
    if limits.cost_usd is not None and use.cost_usd >= limits.cost_usd:
        return "limit_cost", f"This task has used up its {limits.cost_usd:.2f} US dollars."
    return None


def _find_purse_limit(use: TaskUse, purse: Purse) -> tuple[str, str] | None:
    if purse.model_calls is not None and use.model_calls >= purse.model_calls:
        return "limit_day_calls", f"The {purse.model_calls} model calls of today are used up ({purse.name})."
    if purse.tokens is not None and use.input_tokens + use.output_tokens >= purse.tokens:
        return "limit_day_tokens", f"The {purse.tokens} tokens of today are used up ({purse.name})."
    if purse.cost_usd is not None and use.cost_usd >= purse.cost_usd:
        return "limit_day_cost", f"The {purse.cost_usd:.2f} US dollars of today are used up ({purse.name})."
    return None
