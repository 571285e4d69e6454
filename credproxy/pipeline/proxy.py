"""The proxy's state in one place: policy, doors' leases, what is frozen, who watches. Its parts do the work.

`door.py` listens and reads requests, `exchange.py` carries one through, `admin.py` lets the host say what holds.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from credproxy.approvals.approvals import Approvals
from credproxy.approvals.held import HeldRequest
from credproxy.audit.entry import AuditEntry, entry_of
from credproxy.audit.jobs import AuditFailed
from credproxy.audit.log import Audit
from credproxy.audit.prices import Prices
from credproxy.audit.task_use import TaskUse
from credproxy.injection.idempotency import IdempotencyKeys
from credproxy.injection.placeholders import PlaceholderName, Placeholders
from credproxy.issuers.credentials import Credentials
from credproxy.issuers.token_client import TokenClient
from credproxy.pipeline.hold import Hold
from credproxy.pipeline.house_purses import PURSES_MARK, HousePurses
from credproxy.pipeline.ledger import Ledger
from credproxy.pipeline.scrub import Needles, needles_of
from credproxy.pipeline.under_way import CallUnderWay
from credproxy.policy.decide import decide
from credproxy.policy.dry_runs import MARK_PREFIX, DryRuns
from credproxy.policy.quotas import Quotas
from credproxy.policy.rules import Policy, users_of_secret
from credproxy.policy.secret_uses import placeholders_of
from credproxy.policy.verdict import Deny, Quota
from credproxy.vault.secret import Secret
from credproxy.vault.sources import Sources
from credproxy.vault.upkeep import forget_ended
from credproxy.vault.vault import Vault
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.upstream import Upstreams
from protocol.ids import CallId, DoorId, mint
from protocol.proxy_admin import ProxyEvent
from protocol.task import Lease, Usage

if TYPE_CHECKING:
    from credproxy.issuers.capture_desk import CaptureDesk
    from credproxy.trust.certificates import CertificateAuthority

log = logging.getLogger(__name__)

MAX_WAITING_EVENTS = 10_000
QUOTAS_MARK = "quotas"
QUOTAS_STORED_S = 2.0
"""What a killed proxy forgets of the day's counts."""
NO_USAGE = Usage()
FREE_DENIALS = 500
DENIALS_RESET_S = 60.0
DENIAL_DELAY_S = 1.0

PolicyLoader = Callable[[], tuple[Policy, tuple[str, ...]]]
"""Reads routes and grants, on a thread; returns the policy and what is wrong with the files."""


@dataclass(slots=True, eq=False)
class DoorState:
    """What one door's container may do now, and what it is doing."""

    door_id: DoorId
    lease: Lease | None = None
    hold: Hold = field(default_factory=Hold)
    """On while the lease is granted and not released."""
    model_calls_under_way: int = 0
    denials: int = 0
    """In the minute that began at `denials_since` (monotonic)."""
    denials_since: float = 0.0
    last_usage: Usage = NO_USAGE
    """What the task of the last lease had used when that ended."""
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    changing_body: asyncio.Lock = field(default_factory=asyncio.Lock)
    spooled_bytes: int = 0
    """Of bodies under way that are kept for a second try (`spool.py`)."""

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
        has_policy_changed: Callable[[], bool] = lambda: True,
        deadlines: Deadlines,
        placeholders: Placeholders,
        spool_folder: Path,
    ) -> None:
        """`spool_folder`: where large bodies are kept while they are under way."""
        self.vault = vault
        self.audit = audit
        self.approvals = Approvals(audit, self._tell_wanted)
        self.quotas = Quotas()
        self.dry_runs = DryRuns()
        self.credentials = Credentials(
            vault, Sources(), TokenClient(upstreams, deadlines).send, note=self._note_renewal
        )
        self.under_way: set[CallUnderWay] = set()
        """Calls between their begin and their end."""
        self._needles: dict[str, tuple[tuple[Secret, ...], Needles]] = {}
        self._quota_was_used = asyncio.Event()
        self._load_authority = load_authority
        self.upstreams = upstreams
        self.prices = prices
        self.deadlines = deadlines
        self.placeholders = placeholders
        self.spool_folder = spool_folder
        self.idempotency = IdempotencyKeys()
        self.ledger = Ledger()
        self.purses = HousePurses(self.ledger, self._wake_waiting)
        self._settled = asyncio.Event()
        self.doors: dict[DoorId, DoorState] = {}
        self.watchers: set[Watcher] = set()
        self.is_frozen = False
        self.problems: tuple[str, ...] = ()
        self.policy = Policy()
        self.when_reloaded: list[Callable[[], None]] = []
        """Called after the settings were read again; must return at once."""
        self._load_policy = load_policy
        self._has_policy_changed = has_policy_changed
        self._reading_policy = asyncio.Lock()
        self._call_prefix = mint("call")
        self._call_numbers = itertools.count(1)
        self.reload()

    @cached_property
    def authority(self) -> CertificateAuthority:
        """Loaded with the first tunnel: many an agent needs none, and it takes 5 MB."""
        return self._load_authority()

    @cached_property
    def capture_desk(self) -> CaptureDesk:
        """Made with the first tool that logs in by itself."""
        from credproxy.issuers.capture_desk import CaptureDesk

        return CaptureDesk(
            self.vault,
            self.credentials,
            placeholder_of=self.placeholders.of,
            is_used=lambda name: bool(users_of_secret(name, self.policy)),
            note=self._note_renewal,
            clock=time.time,
        )

    async def run(self) -> None:
        """Run what the proxy needs besides its doors, until cancelled."""
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(self.upstreams.run())
                parts.create_task(self.credentials.run())
                parts.create_task(self._keep_quotas())
                parts.create_task(forget_ended(self.vault))
        finally:
            await self._store_quotas()

    def next_call_id(self) -> CallId:
        """Return a new id: this process's random part and a count, since randomness costs a system call."""
        return CallId(f"{self._call_prefix}{next(self._call_numbers):08x}")

    async def take_up_policy(self) -> tuple[str, ...]:
        """Read policy again where its files have changed, beside the requests that go on: every one that begins when
        this returns is judged by it. Return what is wrong with it."""
        async with self._reading_policy:
            if self._has_policy_changed():
                self._loaded = await asyncio.to_thread(self._load_policy)
            return self._put_in_force()

    def reload(self) -> tuple[str, ...]:
        """Read policy again, at once."""
        self._loaded = self._load_policy()
        return self._put_in_force()

    def _put_in_force(self) -> tuple[str, ...]:
        before = self.policy
        loaded, self.problems = self._loaded
        self.policy = self.dry_runs.lay_over(loaded)
        if self.policy != before:
            self.upstreams.drop_all()
            self._cut_what_is_not_allowed()
            self.placeholders.watch(partial(self._placeholders_of, self.policy))
        for tell in self.when_reloaded:
            tell()
        return self.problems

    async def take_up(self) -> None:
        """Be frozen at start if that was so at the end, and know what was used of the day's quotas."""
        self.is_frozen = await self.audit.mark("frozen") == "yes"
        self.quotas.load(await self.audit.mark(QUOTAS_MARK) or "", time.time())
        self.purses.load(await self.audit.mark(PURSES_MARK) or "")
        self.dry_runs.load(await self.audit.marks(MARK_PREFIX))
        self.policy = self.dry_runs.lay_over(self.policy)

    def take_quota(self, quota: Quota, now: float, *, url_chars: int) -> Deny | None:
        """Count a request against its grant's quota, or say which limit it meets."""
        deny = self.quotas.take(quota, now, url_chars=url_chars)
        self._quota_was_used.set()
        return deny

    def needles(self, name: str) -> Needles:
        """Return the forms in which a secret must not come back, as it was when it was used last."""
        secrets = self.credentials.needles(name)
        known = self._needles.get(name)
        if known is None or known[0] is not secrets:
            known = self._needles[name] = (secrets, needles_of(secret.reveal() for secret in secrets))
        return known[1]

    def secret_changed(self, name: str, *, is_gone: bool = False) -> None:
        """Use nothing of a secret as it was before. `is_gone`: what is sent with it right now is cut."""
        self.credentials.forget(name)
        self._needles.pop(name, None)
        self.upstreams.drop_all()
        if is_gone:
            for call in tuple(self.under_way):
                if call.allow.secret == name:
                    call.cut("secret_removed")

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

    async def grant(self, door: DoorState, lease: Lease, *, is_held: bool = False) -> None:
        """Let a door do what a lease says. A lease of another task first ends what ran before. `is_held`: whatever is
        asked at the door waits until the lease is released."""
        stored, day = await self.audit.task_use(lease.task_id), datetime.datetime.now(datetime.UTC).date().isoformat()
        purses = [(purse, await self._purse_use(purse.name, day)) for purse in lease.purses]
        await self.take_up_policy()
        if door.lease is not None and door.lease.attempt_id != lease.attempt_id:
            self._end_lease(door)
        self.ledger.open(lease.task_id, stored)
        for purse, used in purses:
            self.ledger.open_purse(day, purse, used)
        door.lease = lease
        door.hold.put(is_held)
        self._wake_waiting()

    async def _purse_use(self, name: str, day: str) -> TaskUse:
        """Return what was paid from a purse today: the file is asked once a day, a lease is on the way of a message."""
        return TaskUse() if self.ledger.has_purse(day, name) else await self.audit.purse_use(name, day)

    def settle(
        self,
        lease: Lease,
        call_id: CallId,
        *,
        calls: int,
        input_tokens: int,
        output_tokens: int,
        cost_usd: float | None,
    ) -> None:
        """Put what a call has used in the place of what it reserved. `calls`: 1 for one not counted before."""
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.ledger.settle(
            lease, day, calls=calls, input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd
        )
        self.release(call_id)

    def release(self, call_id: CallId) -> None:
        """Take back what a call reserved; let those look again that waited for it."""
        self.ledger.release(call_id)
        self._wake_waiting()

    async def next_settled(self) -> None:
        """Return when a call has been settled, or a lease has brought other limits."""
        self._settled.clear()
        await self._settled.wait()

    def _wake_waiting(self) -> None:
        self._settled.set()

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

    def _placeholders_of(self, policy: Policy) -> Iterator[PlaceholderName]:
        """Yield those that containers were given, and those that tools got for their logins."""
        from credproxy.issuers.capture_desk import captured_placeholders

        yield from placeholders_of(policy)
        yield from captured_placeholders(self.vault, policy.groups)

    def _cut_what_is_not_allowed(self) -> None:
        """End the calls under way that the policy now in force would not let begin, or not with the same secret."""
        now = time.time()
        for call in tuple(self.under_way):
            verdict = decide(call.judged, call.lease, self.policy, now)
            if isinstance(verdict, Deny) or verdict.secret != call.allow.secret:
                call.cut("revoked")

    async def _note_renewal(self, secret: str, what: str) -> bool:
        try:
            await self.audit.note(AuditEntry(kind="secret", secret=secret, detail=what))
        except AuditFailed:
            return False
        return True

    async def _keep_quotas(self) -> None:
        """Store the day's counts some seconds after they changed; waits without a timer while they do not."""
        while True:
            await self._quota_was_used.wait()
            await asyncio.sleep(QUOTAS_STORED_S)
            self._quota_was_used.clear()
            await self._store_quotas()

    async def _store_quotas(self) -> None:
        if not self.quotas.is_dirty:
            return
        try:
            await self.audit.set_mark(QUOTAS_MARK, self.quotas.dump())
        except AuditFailed as failure:
            log.error("the day's quotas are not stored: %s", failure, extra={"action": "quotas_not_stored"})

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
        door.hold.put(False)
        door.cut()
        if lease is not None:
            self.idempotency.forget(lease.attempt_id)
        if lease is not None and not any(
            other.lease is not None and other.lease.task_id == lease.task_id for other in self.doors.values()
        ):
            self.ledger.close(lease.task_id)
