"""The proxy's state in one place: policy, doors' leases, what is frozen, who watches. Its parts do the work.

`door.py` listens and reads requests, `exchange.py` carries one through, `admin.py` lets the host say what holds.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from credproxy.approvals.approvals import Approvals
from credproxy.approvals.held import HeldRequest
from credproxy.audit.file import entry_of
from credproxy.audit.log import Audit
from credproxy.audit.prices import Prices
from credproxy.injection.idempotency import IdempotencyKeys
from credproxy.injection.placeholders import Placeholders
from credproxy.pipeline.ledger import Ledger
from credproxy.policy.decide import Policy
from credproxy.policy.secret_uses import placeholders_of
from credproxy.vault.vault import Vault
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.upstream import Upstreams
from protocol.ids import CallId, DoorId, mint
from protocol.proxy_admin import ProxyEvent
from protocol.task import Lease, Usage

if TYPE_CHECKING:
    from credproxy.trust.certificates import CertificateAuthority

log = logging.getLogger(__name__)

MAX_WAITING_EVENTS = 10_000
NO_USAGE = Usage()
FREE_DENIALS = 500
DENIALS_RESET_S = 60.0
DENIAL_DELAY_S = 1.0

PolicyLoader = Callable[[], tuple[Policy, tuple[str, ...]]]
"""Reads routes and grants; returns the policy and what is wrong with the files."""


@dataclass(slots=True, eq=False)
class DoorState:
    """What one door's container may do now, and what it is doing."""

    door_id: DoorId
    lease: Lease | None = None
    model_calls_under_way: int = 0
    denials: int = 0
    """In the minute that began at `denials_since` (monotonic)."""
    denials_since: float = 0.0
    last_usage: Usage = NO_USAGE
    """What the task of the last lease had used when that ended."""
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def pace_denial(self) -> None:
        """Let a container that is denied again and again wait: it must not fill the disk with audit rows."""
        now = asyncio.get_running_loop().time()
        if now - self.denials_since > DENIALS_RESET_S:
            self.denials, self.denials_since = 0, now
        self.denials += 1
        if self.denials > FREE_DENIALS:
            await asyncio.sleep(DENIAL_DELAY_S)

    def cut(self) -> None:
        """End every connection, calls under way included."""
        for connection in tuple(self.connections):
            connection.cancel()


class Watcher:
    """One admin connection that is sent events. Too slow a one is cut off: `usage` and `calls` tell it later."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[ProxyEvent | None] = asyncio.Queue(MAX_WAITING_EVENTS)

    def tell(self, event: ProxyEvent) -> None:
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            while not self.events.empty():
                self.events.get_nowait()
            self.events.put_nowait(None)


class CredentialProxy:
    """Everything that one request needs."""

    def __init__(
        self,
        *,
        vault: Vault,
        audit: Audit,
        load_authority: Callable[[], CertificateAuthority],
        upstreams: Upstreams,
        prices: Prices,
        load_policy: PolicyLoader,
        deadlines: Deadlines,
        placeholders: Placeholders,
    ) -> None:
        self.vault = vault
        self.audit = audit
        self.approvals = Approvals(audit, self._tell_wanted)
        self._load_authority = load_authority
        self.upstreams = upstreams
        self.prices = prices
        self.deadlines = deadlines
        self.placeholders = placeholders
        self.idempotency = IdempotencyKeys()
        self.ledger = Ledger()
        self.doors: dict[DoorId, DoorState] = {}
        self.watchers: set[Watcher] = set()
        self.is_frozen = False
        self.problems: tuple[str, ...] = ()
        self.policy = Policy()
        self.when_reloaded: list[Callable[[], None]] = []
        """Called after the settings were read again; must return at once."""
        self._load_policy = load_policy
        self._call_prefix = mint("call")
        self._call_numbers = itertools.count(1)
        self.reload()

    @cached_property
    def authority(self) -> CertificateAuthority:
        """Loaded with the first tunnel: many an agent needs none, and it takes 5 MB."""
        return self._load_authority()

    def next_call_id(self) -> CallId:
        """Return a new id: this process's random part and a count, since randomness costs a system call."""
        return CallId(f"{self._call_prefix}{next(self._call_numbers):08x}")

    def reload(self) -> tuple[str, ...]:
        """Read policy again: every request that begins from now on is judged by it. Return what is wrong with it."""
        before = self.policy
        self.policy, self.problems = self._load_policy()
        if self.policy != before:
            self.upstreams.drop_all()
            self.placeholders.watch(partial(placeholders_of, self.policy))
        for tell in self.when_reloaded:
            tell()
        return self.problems

    async def take_up_freeze(self) -> None:
        """Be frozen at start if that was so at the end."""
        self.is_frozen = await self.audit.mark("frozen") == "yes"

    async def freeze(self, on: bool) -> None:
        """Stop all egress at once, calls under way included; or let it go on."""
        self.is_frozen = on
        if on:
            for door in self.doors.values():
                door.cut()
            self.approvals.withdraw()
            self.upstreams.drop_all()
        entry = entry_of("freeze", DoorId(""), None, detail="on" if on else "off")
        await self.audit.set_mark("frozen", "yes" if on else "no", entry)

    async def grant(self, door: DoorState, lease: Lease) -> None:
        """Let a door do what a lease says. A lease of another task first ends what ran before."""
        stored = await self.audit.task_use(lease.task_id)
        if door.lease is not None and door.lease.attempt_id != lease.attempt_id:
            self._end_lease(door)
        self.ledger.open(lease.task_id, stored)
        door.lease = lease
        self.reload()

    def end(self, door: DoorState) -> Usage:
        """Take a door's lease away; return what its task has used."""
        if door.lease is not None:
            use = self.ledger.find(door.lease.task_id)
            door.last_usage = use.usage() if use is not None else Usage()
            self._end_lease(door)
        return door.last_usage

    def tell(self, event: ProxyEvent) -> None:
        for watcher in tuple(self.watchers):
            watcher.tell(event)

    def _tell_wanted(self, request: HeldRequest, approval_id: str) -> None:
        event = ProxyEvent(
            kind="approval_wanted",
            group_id=request.group_id,
            task_id=request.task_id,
            attempt_id=request.attempt_id,
            call_id=request.call_id,
            target=request.shown_target,
            detail=approval_id,
        )
        self.tell(event)

    def _end_lease(self, door: DoorState) -> None:
        lease, door.lease = door.lease, None
        door.cut()
        if lease is not None:
            self.approvals.withdraw(lease.attempt_id)
        if lease is not None and not any(
            other.lease is not None and other.lease.task_id == lease.task_id for other in self.doors.values()
        ):
            self.ledger.close(lease.task_id)
