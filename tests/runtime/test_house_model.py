"""Queue, approvals, schedules and budgets together, as Hypothesis plays with them: a real store on disk, real rooms,
agents that are puppets, a clock that is moved, hosts that end at any moment and begin anew on the same store."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from protocol.ids import ChatKey, GroupId
from runtime.schedules.records import Schedule
from tests.runtime.house_audit import begun, check_always, check_due_times, check_end
from tests.runtime.house_model import ADA, CHATS, MAIN, MAX, OLGA, SIDE, STRANGER, open_house
from tests.runtime.puppets import Order

EXAMPLES, STEPS = 20, 50
LONG_EXAMPLES, LONG_STEPS = int(os.environ.get("NIGHTYARD_HOUSE_EXAMPLES", "100")), 100
"""About ten minutes; each run makes others, and the variable has it make more."""
MAX_CRASHES = 4
"""One more in a row, and the group would be held back for a minute."""
MAX_MESSAGES = 60
MAX_SCHEDULES = 3
CRON = {5: "*/5 * * * *", 60: "0 * * * *"}
chats = st.sampled_from(sorted(CHATS))
numbers = st.integers(0, 1000)
deciders = st.sampled_from([OLGA, ADA, MAX, STRANGER, "cli"])
words: st.SearchStrategy[Order] = st.sampled_from(
    ["step", "call", "call", "spend", "ask0", "ask1", "reply", "reply", "fail"]
)
orders = st.lists(words, min_size=1, max_size=4)


class Houses(RuleBasedStateMachine):
    """A house, and what people, programs, agents and the clock do to it.

    There is one rule, which draws what happens: with a rule for each Hypothesis would leave half of them out of each
    run, and what is looked for here comes of many things together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="ny-model-"))
        self.over = asyncio.Event()
        self.ready = asyncio.Event()
        self.heard: dict[str, str] = {}
        self.events: list[tuple[str, ChatKey, str]] = []
        self.schedules: list[tuple[Schedule, datetime, int]] = []
        self.begun_when_held: dict[str, tuple[int, int]] = {}
        """What is held back: a group, or `freeze`; and how many tasks had begun by then."""

    @initialize()
    def open(self) -> None:
        self.whole = self.loop.create_task(self._open())
        self.do(self._until_ready())

    async def _open(self) -> None:
        async with open_house(self.folder) as house, asyncio.TaskGroup() as lives:
            self.house, self.lives = house, lives
            await house.live(lives)
            self.ready.set()
            await self.over.wait()
            await house.die()

    async def _until_ready(self) -> None:
        waiting = self.loop.create_task(self.ready.wait())
        await asyncio.wait({waiting, self.whole}, return_when=asyncio.FIRST_COMPLETED)
        if self.whole.done():
            waiting.cancel()
            await self.whole

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        happening = data.draw(st.sampled_from(HAPPENINGS))
        data.draw(st.just(happening.__name__), label="what happens")
        self.do(happening(self, data.draw))

    # --- People, programs, the clock

    async def people_type(self, draw: Callable[..., Any]) -> None:
        """Now and then in haste: the next thing happens while the house still works on this one."""
        for chat in draw(st.lists(chats, min_size=1, max_size=4)) if len(self.heard) < MAX_MESSAGES else ():
            word = f"w{len(self.heard) + 1}"
            self.heard[word] = chat
            self.events.append((word, chat, f"event-{word}"))
            await self.house.hear(word, chat, f"event-{word}")
        if not draw(st.booleans()):
            await self.house.quiet()

    async def the_platform_sends_an_update_again(self, draw: Callable[..., Any]) -> None:
        if self.events:
            await self.house.hear(*self.events[draw(numbers) % len(self.events)])

    async def a_program_submits(self, draw: Callable[..., Any]) -> None:
        """Mostly the same words under a key, as one that did not hear the answer does."""
        key, is_other = draw(st.integers(0, 5)), draw(st.integers(0, 4)) == 0
        await self.house.submit(f"key-{key}", "other" if is_other else f"work {key}")
        await self.house.breathe(2)

    async def somebody_makes_a_schedule(self, draw: Callable[..., Any]) -> None:
        """An interval from now on, or the times of a clock."""
        chat, minutes, is_cron = draw(chats), draw(st.sampled_from([5, 60])), draw(st.booleans())
        missed, overlap = draw(st.sampled_from(["once", "skip", "all"])), draw(st.sampled_from(["skip", "queue"]))
        if len(self.schedules) < MAX_SCHEDULES:
            when = f'cron "{CRON[minutes]}"' if is_cron else f"every {minutes} min"
            text = f"{when} --missed {missed} --overlap {overlap} Look"
            self.schedules.append((await self.house.add_schedule(chat, text), self.house.clock(), minutes))

    async def time_passes(self, draw: Callable[..., Any]) -> None:
        """Or somebody sets the clock back."""
        await self.house.move_clock(timedelta(minutes=draw(st.sampled_from([1, 5, 6, 30, 200, -7, -90]))))
        if not draw(st.booleans()):
            await self.house.quiet()

    async def somebody_decides(self, draw: Callable[..., Any]) -> None:
        """Now and then two at once."""
        number, says = draw(numbers), draw(st.lists(st.tuples(deciders, st.booleans()), min_size=1, max_size=2))
        await self.house.quiet()
        known = await self.house.all_approvals()
        if known:
            approval_id = known[number % len(known)].approval_id
            async with asyncio.TaskGroup() as deciding:
                for by, is_yes in says:
                    deciding.create_task(self.house.decide(approval_id, by, is_yes=is_yes))

    async def somebody_holds_things_back(self, draw: Callable[..., Any]) -> None:
        """All, or one group; or lets that go on."""
        await self._hold_or_let_go(draw(st.sampled_from(["freeze", MAIN, SIDE])))

    async def somebody_lets_all_go_on(self, draw: Callable[..., Any]) -> None:
        for what in tuple(self.begun_when_held):
            await self._hold_or_let_go(what)
        await self.house.quiet()

    async def _hold_or_let_go(self, what: str) -> None:
        if what in self.begun_when_held:
            del self.begun_when_held[what]
            await (self.house.unfreeze() if what == "freeze" else self.house.resume(GroupId(what)))
        else:
            await (self.house.freeze() if what == "freeze" else self.house.pause(GroupId(what)))
            self.begun_when_held[what] = begun(self.house, what)

    async def somebody_says_stop(self, draw: Callable[..., Any]) -> None:
        await self.house.bench.dispatcher.stop_chat(draw(chats), "stopped by a person")

    # --- Agents, and the host

    async def an_agent_works(self, draw: Callable[..., Any]) -> None:
        """What its model and its tools have it do."""
        number, given = draw(numbers), draw(orders)
        await self.house.quiet()
        puppets = list(self.house.deeds.at_work.values())
        if puppets:
            puppets[number % len(puppets)].orders(given)
        await self.house.breathe(2)

    async def every_agent_works(self, draw: Callable[..., Any]) -> None:
        given = draw(orders)
        await self.house.quiet()
        for puppet in tuple(self.house.deeds.at_work.values()):
            puppet.orders(given)
        await self.house.quiet()

    async def a_container_dies(self, draw: Callable[..., Any]) -> None:
        number, tasks = draw(numbers), list(self.house.deeds.at_work)
        if tasks and self.house.crashes < MAX_CRASHES:
            await self.house.kill_agent(tasks[number % len(tasks)])

    async def the_house_goes_on(self, draw: Callable[..., Any]) -> None:
        await self.house.breathe(draw(st.integers(1, 8)))

    async def the_host_is_started_anew(self, draw: Callable[..., Any]) -> None:
        await self.house.die()
        if draw(st.booleans()):
            await self.house.move_clock(timedelta(minutes=draw(st.sampled_from([1, 10, 200, -7]))))
        await self.house.live(self.lives)

    # --- What holds

    @invariant()
    def nothing_is_as_it_may_not_be(self) -> None:
        if self.ready.is_set():
            check_always(self.house)
            for what, before in self.begun_when_held.items():
                now = begun(self.house, what)
                assert now == before, f"{what} holds back, and {before} became {now}"

    def teardown(self) -> None:
        try:
            if self.ready.is_set():
                self.do(self._end())
                check_end(self.house, self.heard)
        finally:
            self.over.set()
            self.do(self._close())
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _end(self) -> None:
        await self.house.settle()
        for schedule, made_at, minutes in self.schedules:
            await check_due_times(self.house, schedule, made_at, minutes)
        check = await self.house.store.verify_journal()
        assert check.broken_at is None, check.reason

    async def _close(self) -> None:
        async with asyncio.timeout(30):
            await self.whole


Happening = Callable[[Houses, Callable[..., Any]], Coroutine[Any, Any, None]]
HAPPENINGS: tuple[Happening, ...] = (
    *[Houses.people_type] * 4,
    *[Houses.an_agent_works] * 4,
    *[Houses.every_agent_works] * 3,
    *[Houses.somebody_decides] * 4,
    *[Houses.time_passes] * 3,
    *[Houses.a_program_submits] * 2,
    *[Houses.the_host_is_started_anew] * 2,
    *[Houses.somebody_lets_all_go_on] * 2,
    Houses.somebody_holds_things_back,
    Houses.somebody_makes_a_schedule,
    Houses.somebody_says_stop,
    Houses.a_container_dies,
    Houses.the_platform_sends_an_update_again,
    Houses.the_house_goes_on,
)


def play(examples: int, steps: int) -> None:
    chosen = settings(
        # Not shrunk, and what was seen is told as it was: the house has a timing of its own, and need not do it again.
        phases=[Phase.explicit, Phase.generate],
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=examples == EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Houses, settings=chosen)


@pytest.mark.timeout(900)
def test_a_house_keeps_its_word_whatever_happens_to_it() -> None:
    """Whatever people, programs, agents, the clock and restarts do: each message has one end, in order; no budget is
    overspent, no due time lost or taken twice, nothing decided twice or by who may not; what is held back waits."""
    play(EXAMPLES, STEPS)


@pytest.mark.long
@pytest.mark.timeout(60 * LONG_EXAMPLES)
def test_a_house_keeps_its_word_for_long() -> None:
    """The same, longer, and another way each time."""
    play(LONG_EXAMPLES, LONG_STEPS)
