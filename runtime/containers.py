"""All containers of one home: takes, adopts and ends them, and keeps the spares.

The one door of this room for the dispatcher and for recovery. How one is started is `container_start.py`, what it does
then `container_session.py`; which ones wait is `spare_pool.py`'s book, what nobody owns goes by `reaper.py`, and
`disk_watch.py` looks at what they write.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass

from credproxy.admin_client.link import ProxyError, ProxyUnavailable
from protocol.ids import DoorId, GroupId
from protocol.task import Lease
from runtime.agent_link_rules import LinkMemory
from runtime.calm import Calm
from runtime.container_command import ContainerKind
from runtime.container_engine import ContainerEngine
from runtime.container_session import CannotStart, ContainerSession, ProxyDoors
from runtime.container_start import ContainersSetup, ContainerStart, PlaceholdersOf, Plan
from runtime.disk_watch import DiskWatch
from runtime.farewell import Farewells
from runtime.harnesses import NATIVE, reserve_of
from runtime.reaper import KnownDoors, Reaper
from runtime.shortage import find_shortage
from runtime.spare_pool import SparePool

__all__ = ["ContainerStatistics", "Containers", "ContainersSetup", "KnownDoors"]

log = logging.getLogger(__name__)

TEND_EVERY_S = 15.0
LEAVE_TIMEOUT_S = 10.0
"""How long the end of a host waits for starts that are given up and for removals; the rest is the next reaper's."""
PROXY_PAUSE_S = 0.5
"""Between two tries at a proxy that is away; each try itself waits for it."""
STARTS_AT_ONCE = (os.cpu_count() or 2) + 1
"""More at once only makes each slower: two cores saturate at nine starts a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatistics:
    working: int
    spares: int
    starting: int
    removing: int
    """Those that are over and still being removed."""
    started_total: int
    taken_from_spare_total: int
    engine: str
    """`docker 20.10.24 (API 1.41)`, and what it would not do; empty before an engine has answered."""


@dataclass(slots=True)
class _Warming:
    """A spare that is being started; `taker` is who would rather have it at once."""

    key: str
    taker: asyncio.Future[ContainerSession | CannotStart] | None = None


class Containers:
    """`run` must be running before anything else is asked."""

    def __init__(
        self,
        setup: ContainersSetup,
        engine: ContainerEngine,
        proxy: ProxyDoors,
        *,
        known_doors: KnownDoors,
        placeholders: PlaceholdersOf | None = None,
    ) -> None:
        self._setup = setup
        self._engine = engine
        self._proxy = proxy
        self._start = ContainerStart(
            setup,
            engine,
            proxy,
            spawn=self._spawn,
            finish=self._finish,
            when_over=self._when_over,
            let_go=self._let_go,
            placeholders=placeholders,
        )
        self._slots = asyncio.Semaphore(STARTS_AT_ONCE)
        self._pool: SparePool[ContainerSession] = SparePool(limit=setup.spares, idle_s=setup.spare_idle_s)
        self._warming: dict[GroupId, _Warming] = {}
        self._working: set[ContainerSession] = set()
        self._starting: dict[DoorId, int] = {}
        """With the memory that each has still to take, in MB."""
        self._warm_after: dict[ContainerSession, ContainerKind] = {}
        """Whose end has the next spare made: it goes on with what they leave behind."""
        self._disks = DiskWatch(setup.home, floor_bytes=setup.free_disk_floor_mb << 20)
        self._group: asyncio.TaskGroup | None = None
        """What goes when the host does."""
        self._last_group: asyncio.TaskGroup | None = None
        """What the host waits for before it goes."""
        self._finishing: set[asyncio.Task[None]] = set()
        self._running = asyncio.Event()
        self._calm = Calm()
        self._farewells = Farewells(self._calm, self._spawn, lambda: self._shortage(times=2) is not None)
        self._started_total = 0
        self._from_spare_total = 0
        self._reaper = Reaper(
            home_id=setup.home_id,
            doors=setup.home.doors,
            bundles=setup.home.agent_bundles,
            engine=engine,
            proxy=proxy,
            known_doors=known_doors,
            live_doors=self._live_doors,
            current_bundles=self._start.current_bundles,
            every_s=setup.reap_every_s,
        )

    async def run(self) -> None:
        """Keep spares, watch disks, sweep; until cancelled.

        Cancelled: spares go, half started ones too; working containers are left.
        """
        async with asyncio.TaskGroup() as last_group:
            self._last_group = last_group
            try:
                await self._run_until_cancelled()
            finally:
                for session in self._working:
                    session.leave()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_TIMEOUT_S):
                        await self._clear_up()
                self._last_group = None

    async def _run_until_cancelled(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            group.create_task(self._tend())
            group.create_task(self._disks.run())
            group.create_task(self._reaper.run())
            if self._setup.image:
                group.create_task(self._start.prepare(self._setup.image))
            try:
                await asyncio.Event().wait()
            finally:
                # Before the others are cancelled: nothing begins any more.
                self._group = None
                self._running.clear()

    async def _clear_up(self) -> None:
        """Wait until nothing is left of what nobody has got: the engine finishes a start that is given up."""
        await self._calm.wait()
        await self._remove_all((*self._pool.drop_all(), *self._farewells.sessions))
        while self._finishing:
            await asyncio.wait(self._finishing)

    async def take(self, kind: ContainerKind) -> ContainerSession | CannotStart:
        """Return a container whose agent waits for its task: the group's spare, or a fresh one.

        Cancelled while starting: what was made is removed. Some time after, the group gets its next spare.
        """
        await self._running.wait()
        self._farewells.hurry(kind.group_id)
        with self._calm.disturbed():
            session = await self._take(kind)
        if isinstance(session, ContainerSession):
            self._hand_out(session, kind)
        return session

    async def take_spare(self, kind: ContainerKind) -> ContainerSession | None:
        """Return the group's spare if one waits. Its owner uses it as what `take` gives, or gives it back."""
        plan = await self._start.plan(kind)
        spare = None if isinstance(plan, CannotStart) else self._fit_spare(plan)
        if spare is not None:
            self._farewells.hurry(kind.group_id)
            self._hand_out(spare, kind)
        return spare

    def give_back(self, door_id: DoorId, kind: ContainerKind) -> None:
        """Take back what `take_spare` gave for this kind and nobody has used: the group's spare again, or it goes.
        Returns at once; the host waits for it before it goes."""
        session = next(session for session in self._working if session.door_id == door_id)
        self._finish(self._keep_again(session, kind))

    async def adopt(self, memory: LinkMemory, group_id: GroupId, lease: Lease | None = None) -> ContainerSession:
        """Take up a container that an earlier host handed a task to.

        Alive: its frames go on as events. Dead or gone: the events are its last word (what it could not send),
        then ContainerEnded. Either way the same loop as after `take`, without `hand_over`. `lease` is pushed again for
        a proxy that was started anew too; one that has it already takes it as the same.
        """
        await self._running.wait()
        session = self._start.adopt(memory, group_id)
        self._working.add(session)
        self._disks.watch(session, self._setup.disk_bytes, self._setup.spaces_of(group_id))
        self._spawn(session.run())
        self._spawn(self._let_out(session, lease))
        return session

    async def _let_out(self, session: ContainerSession, lease: Lease | None) -> None:
        """Set an adopted agent's door and lease at the proxy, however long that is away: it may have ended with us."""
        door_id = session.door_id
        extra = {"action": "adopted_without_proxy", "door_id": door_id}
        while session in self._working:
            try:
                # The lease comes with the door: the agent at work asks the moment it is open.
                await self._proxy.open_door(door_id, session.door.proxy_socket, self._start.socket_uid, lease)
                if session not in self._working:
                    await self._proxy.close_door(door_id)
                return
            except ProxyUnavailable as error:
                log.warning("an adopted agent has no proxy yet: %s", error, extra=extra)
                await asyncio.sleep(PROXY_PAUSE_S)
            except ProxyError as error:
                log.error("the proxy will not have an adopted agent: %s", error, extra=extra)
                return

    async def warm(self, kind: ContainerKind) -> None:
        """Ask for a spare of this kind (a group that was just active). Returns at once."""
        await self._running.wait()
        self._spawn_warm(kind, 0.0)

    async def drop_spares(self) -> None:
        """Remove all spares: settings changed, `freeze`, memory is short."""
        await self._remove_all(self._pool.drop_all())

    def statistics(self) -> ContainerStatistics:
        return ContainerStatistics(
            working=len(self._working),
            spares=len(self._pool),
            starting=len(self._starting),
            removing=len(self._start.removing) + len(self._farewells),
            started_total=self._started_total,
            taken_from_spare_total=self._from_spare_total,
            engine=self._start.engine_text,
        )

    async def _take(self, kind: ContainerKind) -> ContainerSession | CannotStart:
        plan = await self._start.plan(kind)
        if isinstance(plan, CannotStart):
            return plan
        spare = self._fit_spare(plan)
        if spare is not None:
            return spare
        warming = self._warming.get(kind.group_id)
        if warming is not None and warming.key == plan.key and warming.taker is None:
            return await self._await_warming(warming)
        return await self._start_fresh(plan)

    def _fit_spare(self, plan: Plan) -> ContainerSession | None:
        """Take the group's spare out of the pool; one that is of no use goes."""
        spare, useless = self._pool.take(plan.kind.group_id, plan.key)
        for session in useless:
            self._when_over(session)
        if spare is not None and not spare.is_fit_spare:
            self._when_over(spare)
            return None
        self._from_spare_total += spare is not None
        return spare

    def _hand_out(self, session: ContainerSession, kind: ContainerKind) -> None:
        """Count a container as at work, and have the group's next spare made some time after."""
        self._working.add(session)
        self._disks.watch(session, kind.limits.disk_bytes, kind.spaces)
        if kind.harness == NATIVE:
            self._spawn_warm(kind, self._setup.spare_delay_s)
        else:
            self._warm_after[session] = kind

    async def _await_warming(self, warming: _Warming) -> ContainerSession | CannotStart:
        """A spare that is half started is sooner there than a new container."""
        warming.taker = asyncio.get_running_loop().create_future()
        try:
            session = await warming.taker
        except asyncio.CancelledError:
            if not warming.taker.cancelled() and isinstance(given := warming.taker.result(), ContainerSession):
                # Given up in the moment in which it was there.
                self._when_over(given)
            raise
        if isinstance(session, ContainerSession):
            self._from_spare_total += 1
        return session

    async def _start_fresh(self, plan: Plan) -> ContainerSession | CannotStart:
        """Start a container when it is its turn, if there is room for it then."""
        async with self._slots:
            shortage = self._shortage(reserve_of(plan.kind.harness))
            if shortage is not None:
                return shortage
            self._starting[plan.door_id] = reserve_of(plan.kind.harness)
            try:
                session = await self._start.start(plan)
            finally:
                del self._starting[plan.door_id]
        if isinstance(session, ContainerSession):
            self._started_total += 1
        else:
            log.warning("a container did not start: %s", session.message, extra={"action": session.code})
        return session

    def _shortage(self, more_mb: int = 0, *, times: int = 1) -> CannotStart | None:
        """Return why the machine has no room for so much more; `times` the floors of the settings."""
        return find_shortage(self._setup, starting_mb=sum(self._starting.values()) + more_mb, times=times)

    # -- spares -------------------------------------------------------------------------------------------------

    def _spawn_warm(self, kind: ContainerKind, delay_s: float) -> None:
        if self._pool.wants() and kind.group_id not in self._warming:
            self._warming[kind.group_id] = _Warming(key="")
            self._spawn(self._warm(kind, delay_s))

    async def _warm(self, kind: ContainerKind, delay_s: float) -> None:
        """Start a spare when nobody waits for a container; give it to who asks for it meanwhile."""
        warming = self._warming[kind.group_id]
        try:
            await asyncio.sleep(delay_s)
            await self._calm.wait()
            plan = await self._start.plan(kind)
            if isinstance(plan, CannotStart) or self._pool.has(kind.group_id, plan.key):
                return
            if self._shortage(reserve_of(kind.harness), times=2):
                return
            warming.key = plan.key
            session = await self._start_fresh(plan)
            if warming.taker is not None and not warming.taker.done():
                warming.taker.set_result(session)
            elif isinstance(session, ContainerSession):
                await self._remove_all(self._pool.add(kind.group_id, plan.key, session, time.monotonic()))
        finally:
            del self._warming[kind.group_id]
            if warming.taker is not None and not warming.taker.done():
                warming.taker.cancel()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            useless = list(self._pool.drop_idle(time.monotonic()))
            if len(self._pool) and self._shortage(times=2):
                useless += self._pool.drop_all()
            unfit = [spare for spare in self._pool.spares if not spare.is_fit_spare]
            useless += [spare for spare in unfit if self._pool.drop(spare)]
            await self._remove_all(tuple(useless))

    async def _keep_again(self, session: ContainerSession, kind: ContainerKind) -> None:
        is_kept = False
        try:
            plan = await self._start.plan(kind)
            if self._group is not None and session.is_fit_spare and isinstance(plan, Plan):
                self._working.discard(session)
                self._disks.forget(session)
                self._warm_after.pop(session, None)
                self._from_spare_total -= 1
                useless = self._pool.add(kind.group_id, plan.key, session, time.monotonic())
                is_kept = True
                await self._remove_all(useless)
        finally:
            if not is_kept:
                self._when_over(session)

    # -- ends ---------------------------------------------------------------------------------------------------

    def _live_doors(self) -> frozenset[DoorId]:
        sessions = (*self._working, *self._farewells.sessions, *self._pool.spares)
        return frozenset({session.door_id for session in sessions} | self._starting.keys() | self._start.removing)

    def _let_go(self, session: ContainerSession, seq: int) -> None:
        self._working.discard(session)
        self._farewells.begin(session, seq)

    def _when_over(self, session: ContainerSession) -> None:
        """Remove a session's container, door and folder in the background."""
        self._working.discard(session)
        self._farewells.forget(session)
        self._disks.forget(session)
        kind = self._warm_after.pop(session, None)
        if kind is not None:
            self._spawn_warm(kind, self._setup.spare_delay_s)
        self._start.removing.add(session.door_id)
        self._finish(self._start.remove(session.container_id, session.door_id, session.door))

    async def _remove_all(self, sessions: tuple[ContainerSession, ...]) -> None:
        """Remove them, and wait for it; whoever does not wait any more has them removed all the same."""
        removals = []
        for session in sessions:
            session.leave()
            self._farewells.forget(session)
            self._start.removing.add(session.door_id)
            removals.append(self._finish(self._start.remove(session.container_id, session.door_id, session.door)))
        under_way = [removal for removal in removals if removal is not None]
        if under_way:
            await asyncio.wait(under_way)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        """Have something done until the host goes."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    def _finish(self, work: Coroutine[None, None, None]) -> asyncio.Task[None] | None:
        """Have something done that the host waits for before it goes."""
        if self._last_group is None:
            # The host is gone: what this would have done, the next one's reaper does.
            work.close()
            return None
        task = self._last_group.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        return task
