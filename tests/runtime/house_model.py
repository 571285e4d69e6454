"""The whole house over one store, for a model to play with: queue, approvals, schedules, budgets; agents are puppets.

`live` and `die` are one life of the host: everything but the store, the agents and the proxy's ledger is made anew. The
clock can be moved ahead. What must hold is `house_audit.py`'s to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.approvals.house import DecisionHouse
from runtime.approvals.records import Approval
from runtime.home import Home
from runtime.money.mirror import UsageMirror
from runtime.money.spending import Spending
from runtime.operations import FREEZE_REASON
from runtime.people.destinations import Destinations
from runtime.people.owners import Owners
from runtime.recovery import recover
from runtime.refusal import OperationRefused
from runtime.schedules.asking import Wish
from runtime.schedules.desk import ScheduleDesk
from runtime.schedules.keeper import ScheduleKeeper
from runtime.schedules.records import Schedule
from runtime.schedules.zones import zone_of
from runtime.store import usage_rows
from runtime.store.records import Binding, QueueMode, Role
from runtime.store.store import Store, open_store
from runtime.submissions import NewSubmission
from runtime.task_desk import MoneyRoom
from tests.runtime.host_bench import Around, HostBench, ScriptedRoom, StageChannel
from tests.runtime.puppets import Deeds, Ledger, puppet_script

MAIN, SIDE = GroupId("main"), GroupId("side")
CHATS = {ChatKey("stage:1"): MAIN, ChatKey("stage:2"): MAIN, ChatKey("stage:3"): SIDE, ChatKey("stage:4"): SIDE}
ONE_BY_ONE = (ChatKey("stage:2"), ChatKey("stage:4"))
"""Chats whose messages are answered each by itself, so that several wait in one lane; in the others they go into the
task that runs."""
OLGA, ADA, MAX, STRANGER = (PersonKey(f"stage:{name}") for name in ("olga", "ada", "max", "stranger"))
PEOPLE: dict[PersonKey, Role] = {OLGA: "owner", ADA: "admin", MAX: "member"}
TASK_CALLS = 2
"""Model calls that one task may make."""
PARALLEL, MACHINE = {MAIN: 1, SIDE: 2}, 3
"""Tasks at once: of a group, and of all."""
DAY_CALLS, BACKGROUND_CALLS = 8, 2
"""And all tasks of SIDE in one day, and of these in the background."""
DAY_USD = 1.0
"""And all tasks of MAIN, in money."""
MACHINE_CALLS = 6
"""And all tasks of both: the first that is used up."""
GROUPS = {
    MAIN: (
        f"limits:\n  model_calls: {TASK_CALLS}\nbudget:\n  usd_per_day: {DAY_USD}\n  background_percent: 100\n"
        "constraints:\n  - tool: shell\n    who: [admin]\n"
    ),
    SIDE: (
        f"limits:\n  calls_per_day: {DAY_CALLS}\nparallel: {PARALLEL[SIDE]}\n"
        f"budget:\n  background_percent: {100 * BACKGROUND_CALLS // DAY_CALLS}\n"
        "constraints:\n  - tool: shell\n    who: [owner]\n"
    ),
}
SETTINGS = (
    f"containers:\n  max_running: {MACHINE}\n  memory_floor_mb: 0\n  disk_floor_mb: 0\n"
    f"budgets:\n  calls_per_day: {MACHINE_CALLS}\n"
)
SUSPEND_AFTER_S = 0.05
SETTLE_TIMEOUT_S = 120.0
"""Of a busy machine; a quiet one needs a second."""
QUIET_LOOKS, LOOK_EVERY_S = 4, 0.002


@dataclass
class ModelHouse:
    home: Home
    store: Store
    bench: HostBench
    ledger: Ledger
    deeds: Deeds
    clock: Clock
    decided: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Approvals whose decision was accepted: by whom, and what."""
    faults: list[str] = field(default_factory=list)
    """What was seen that must not be, in words."""
    stopped: set[ChatKey] = field(default_factory=set)
    held: set[GroupId] = field(default_factory=set)
    is_frozen: bool = False
    was_set_back: bool = False
    """Whether the clock ever was."""
    furthest: timedelta = timedelta(0)
    """How far ahead the clock ever was."""
    crashes: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _life: asyncio.Task[None] | None = None

    # --- Lives

    async def live(self, lives: asyncio.TaskGroup) -> None:
        """Start a host on the store."""
        up = asyncio.Event()
        self._over = asyncio.Event()
        self._life = lives.create_task(self._live(up))
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            await up.wait()

    async def die(self) -> None:
        """End the host; agents work on."""
        self._over.set()
        if self._life is not None:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await self._life

    async def _live(self, up: asyncio.Event) -> None:
        await recover(self.store)
        async with self.bench.host():
            bench = self.bench
            self.keeper = ScheduleKeeper(
                self.store,
                bench.submissions,
                owner_chats=Owners(self.store).owner_chats,
                is_held=lambda group_id: bool(bench.pauses.of(group_id)),
                zone_of=zone_of,
                wake_delivery=bench.delivery.wake,
                clock=self.clock,
            )
            self.schedules = ScheduleDesk(
                self.store,
                bench.submissions,
                bench.around,
                addresses=Destinations(self.store),
                wake=self.keeper.wake,
                clock=self.clock,
            )
            bench.desk.ends.subscribe(self.keeper.task_ended)
            bench.desk.ends.subscribe(lambda row: self.mirror.look_at(row.task_id))
            bench.desk.ends.subscribe(self.decisions.task_ended)
            bench.pauses.when_changed(self.keeper.wake)
            await self.decisions.load()
            await self.spending.load()
            async with asyncio.TaskGroup() as parts:
                works = (
                    self.keeper.run(),
                    self.decisions.approvals.run(),
                    self.decisions.book.run(),
                    self.mirror.run(),
                    self.spending.run(),
                )
                running = [parts.create_task(work) for work in works]
                up.set()
                await self._over.wait()
                for part in running:
                    part.cancel()

    def make_money(self, bench: HostBench) -> MoneyRoom:
        """Make the rooms that the tasks of one life need, before its dispatcher."""
        admin = ProxyAdmin(self.home.proxy_socket, answer_timeout_s=0.2)
        self.decisions = DecisionHouse(
            self.store, admin, self.home, bench.around, bench.waiting, lambda: bench.delivery.wake()
        )
        self.mirror = UsageMirror(self.store, self.ledger.use, lambda: self.spending.wake())
        self.deeds.called = lambda task_id: self.mirror.look_at(task_id)
        self.spending = Spending(
            self.store,
            self.mirror,
            groups=lambda: bench.around.groups,
            settings=lambda: bench.around.settings.settings,
            approvals=self.decisions.approvals,
            pauses=bench.pauses,
            answers=bench.waiting,
            tasks=lambda: bench.dispatcher,
            wake_delivery=lambda: bench.delivery.wake(),
            tell_proxy=self.ledger.put_purses,
        )
        self.decisions.approvals.subscribe("spending", self.spending.decided)
        return self.spending

    # --- What happens to a house

    async def hear(self, text: str, chat: ChatKey, event_id: str) -> None:
        await self.bench.hear(text, chat=chat, event_id=event_id, person=OLGA)

    async def submit(self, key: str, prompt: str) -> None:
        """A program hands in work; the same key with other words must be refused."""
        new = NewSubmission(submitter="program:till", group_id=SIDE, prompt=prompt, idempotency_key=key)
        try:
            await self.bench.submissions.submit(new)
        except OperationRefused as refused:
            if refused.code not in ("key_reused", "queue_full"):
                raise

    async def add_schedule(self, chat: ChatKey, words: str) -> Schedule:
        wish = Wish(words=words, group_id=CHATS[chat], chat=chat, made_by=f"person:{OLGA}", subject=OLGA)
        return await self.schedules.add(self.schedules.plan(wish))

    async def decide(self, approval_id: str, by: str, *, is_yes: bool) -> None:
        """Somebody decides; what is accepted is noted, and what should not have been is a fault."""
        before = await self.decisions.approvals.find(approval_id)
        try:
            decision = await self.decisions.approvals.decide(approval_id, by, is_yes=is_yes)
        except OperationRefused as refused:
            if before.is_open and may(before, by) and refused.code != "approval_decided":
                self.faults.append(f"{by} may decide {approval_id} and was refused: {refused.code}")
            return
        if not may(before, by):
            self.faults.append(f"{by} decided {approval_id}, which is for {before.who}")
        if approval_id in self.decided:
            self.faults.append(f"{approval_id} was decided twice: {self.decided[approval_id]}, then by {by}")
        if not decision.is_final:
            self.faults.append(f"{approval_id} needs one word, and {by}'s was not enough")
        self.decided[approval_id] = (by, is_yes)

    async def all_approvals(self) -> tuple[Approval, ...]:
        approvals = self.decisions.approvals
        return (*await approvals.waiting(), *await approvals.ended(50))

    async def freeze(self) -> None:
        """As `operations.py` does."""
        self.is_frozen = True
        await self.store.set_frozen(True, "cli")
        await self.bench.dispatcher.stop_all(FREEZE_REASON)
        await self.quiet()

    async def unfreeze(self) -> None:
        self.is_frozen = False
        await self.store.set_frozen(False, "cli")
        self.bench.dispatcher.wake()
        self.keeper.wake()

    async def pause(self, group_id: GroupId) -> None:
        self.held.add(group_id)
        await self.bench.pauses.pause(group_id, by="cli")
        await self.quiet()

    async def resume(self, group_id: GroupId) -> None:
        self.held.discard(group_id)
        await self.bench.pauses.resume(group_id)

    async def move_clock(self, by: timedelta) -> None:
        self.clock.ahead += by
        self.was_set_back |= by < timedelta(0)
        self.furthest = max(self.furthest, self.clock.ahead)
        self.keeper.wake()
        self.decisions.approvals.wake()

    async def kill_agent(self, task_id: str) -> None:
        """A container dies."""
        self.crashes += 1
        running = await self.store.open_attempts()
        for attempt in running:
            if attempt.task_id == task_id and attempt.door_id is not None:
                await self.bench.room.engine.kill(f"container-of-{attempt.door_id}")

    async def breathe(self, rounds: int) -> None:
        """Let the house go on for so many turns of its store."""
        for _ in range(rounds):
            await self.store.status()
            await self.store.write(lambda _: None)

    async def quiet(self) -> None:
        """Let the house go on until it writes nothing more, or for a fifth of a second."""
        seen, same = -1, 0
        for _ in range(100):
            newest = (await self.store.journal_tail(1))[-1].seq
            same = same + 1 if newest == seen else 0
            seen = newest
            if same == QUIET_LOOKS:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    # --- The end

    async def settle(self) -> None:
        """Let everything come to its end: nothing is held back, every card is decided, puppets answer."""
        if self.is_frozen:
            await self.unfreeze()
        for group_id in tuple(self.held):
            await self.resume(group_id)
        self.deeds.ends_itself = True
        # What was put off while the clock was ahead waits for that hour.
        await self.move_clock(self.furthest - self.clock.ahead + timedelta(minutes=1))
        for puppet in tuple(self.deeds.at_work.values()):
            puppet.order("reply")
        left = await self._left()
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                while left:
                    await self._let_all_go_on()
                    await asyncio.sleep(0.02)
                    left = await self._left()
        except TimeoutError:
            waits = await self.store.read(usage_rows.spent_tasks)
            purses = [purse.name for purse in self.spending.purses()]
            what = f"{left}; waits for money: {waits} of {purses}"
            raise AssertionError(f"not at its end after {SETTLE_TIMEOUT_S} s: {what}") from None

    async def _let_all_go_on(self) -> None:
        for purse in self.spending.purses():
            try:
                await self.spending.decide(purse.name, "raise")
            except OperationRefused as refused:
                assert refused.code == "not_spent", refused
        for approval in await self.decisions.approvals.waiting():
            await self.decide(approval.approval_id, OLGA, is_yes=True)

    async def _left(self) -> list[Any]:
        """Return what has not come to its end."""
        status = await self.store.status()
        found: list[Any] = [("messages", status.queued, status.claimed)] if status.queued or status.claimed else []
        found += [("outbox", status.outbox_waiting)] if status.outbox_waiting else []
        found += [("approval", each.approval_id) for each in await self.decisions.approvals.waiting()]
        found += await self.store.read(
            lambda transaction: transaction.connection.execute(
                "SELECT task_id, state, session_id FROM v_tasks WHERE state IN ('running', 'suspended')"
                " UNION ALL SELECT submission_id, state, session_id FROM v_submissions WHERE state = 'queued'"
                " UNION ALL SELECT schedule_id, state, due_at FROM v_schedule_runs"
                " WHERE state IN ('waiting', 'submitted')"
            ).fetchall()
        )
        return [tuple(each) for each in found]


class Clock:
    """The machine's, and as far ahead as the model likes."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def may(approval: Approval, by: str) -> bool:
    """Say who may decide, in other words than the product's."""
    if by == "cli":
        return True
    ranks = {"owner": 3, "admin": 2, "member": 1}
    assert isinstance(approval.who, str)
    role = PEOPLE.get(PersonKey(by))
    return role is not None and ranks[role] >= ranks[approval.who]


@asynccontextmanager
async def open_house(path: Path) -> AsyncIterator[ModelHouse]:
    """A home and a fork in `path`, no host yet; agents end with the block."""
    home, fork, clock = Home(path / "h"), path / "fork", Clock()
    home.path.mkdir()
    for name, text in GROUPS.items():
        (fork / "groups" / name).mkdir(parents=True)
        (fork / "groups" / name / "group.yaml").write_text(text, "utf-8")
    ledger, deeds, channel = Ledger(), Deeds(), StageChannel()
    room = ScriptedRoom(home=home, proxy=ledger, scripts=[puppet_script(ledger, deeds)] * 1000, are_patient=True)
    async with open_store(home.path, clock=clock) as store, asyncio.TaskGroup() as agents:
        for person, role in PEOPLE.items():
            await store.save_person(person, person, role, "cli")
        for chat, group_id in CHATS.items():
            mode: QueueMode = "follow_up" if chat in ONE_BY_ONE else "steer"
            await store.bind(Binding(chat=chat, chat_kind="direct", group_id=group_id, mode=mode))
        room.group = agents
        bench = HostBench(
            home=home,
            fork=fork,
            store=store,
            room=room,
            proxy=ledger,
            channel=channel,
            around=Around(fork, channel, SETTINGS),
            suspend_after_s=SUSPEND_AFTER_S,
        )
        house = ModelHouse(home=home, store=store, bench=bench, ledger=ledger, deeds=deeds, clock=clock)
        bench.make_money = house.make_money
        yield house
        for agent in room.engine.running.values():
            agent.cancel()
