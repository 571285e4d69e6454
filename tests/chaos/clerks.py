"""Who works beside the people who talk: a program at task.sock, a schedule, and owners who decide, while things die.

What was done is counted by the service that was called and by the model twin; how each piece of work ended, by the
documented views. Time goes a minute ahead now and then, so that the schedule has something to do.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from client.errors import HostNotRunning, HostSilent, HostUnreadable
from client.tasks import TaskClient
from protocol.ids import SubmissionId
from tests.chaos.killers import BETWEEN_S, KILLERS
from tests.chaos.people import TelegramPeople, wait_until
from tests.chaos.records import ask_store
from tests.chaos.world import World
from tests.faults.house import write_group

PROGRAM = "mill"
JOB_GROUPS = ("agent-0", "agent-1", "agent-2")
TICK_GROUP, CAREFUL_GROUP, POOR_GROUP = "agent-3", "agent-4", "agent-5"
POOR_CALLS = 4
POOR_JOBS = 9
AT_ONCE = 24
"""Programs that wait at once, beside the poor ones: the host takes 64 connections, and one that was held still has not
heard yet which of them have been given up."""
BETWEEN_TICKS_S = 4.0
MINUTE_S = 60
AGAIN_S = 0.2
SETTLE_S = 180.0
CAREFUL = "description: asks first\nconstraints:\n  - tool: shell\n"
POOR = f"description: has little\nlimits:\n  calls_per_day: {POOR_CALLS}\nbudget:\n  background_percent: 100\n"


@dataclass(slots=True, kw_only=True)
class Clerks:
    world: World
    jobs: int
    acts: int
    taken: dict[str, set[SubmissionId]] = field(default_factory=dict)
    """What the host said a key became."""
    ended: Counter[str] = field(default_factory=Counter)
    """By key: how often an end was told to who waits for it."""
    minutes: int = 0
    _counter: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _pressed: set[tuple[int, str]] = field(default_factory=set)

    async def open(self) -> None:
        running = self.world.running
        write_group(running, CAREFUL_GROUP, CAREFUL)
        write_group(running, POOR_GROUP, POOR)
        await running.control.request("reload")
        groups = [*JOB_GROUPS, CAREFUL_GROUP, POOR_GROUP]
        await running.control.request("program_add", {"program": PROGRAM, "groups": groups, "token": False})
        options = {"missed": "all", "overlap": "queue"}
        when = {"when": "every 1 min", "text": "tick", "group": TICK_GROUP, "options": options}
        await running.control.request("schedule_add", when)

    async def work(self, kills: int) -> Counter[str]:
        """Hand in all work and kill that often meanwhile; return what died once all but the poor's work has its end."""
        async with asyncio.TaskGroup() as parts:
            deciding = parts.create_task(self._decide())
            ticking = parts.create_task(self._tick())
            raging = parts.create_task(self._rage(kills))
            handed_in = [*((f"job-{n}", JOB_GROUPS[n % 3]) for n in range(self.jobs))]
            handed_in += [(f"act-{n}", CAREFUL_GROUP) for n in range(self.acts)]
            work = [parts.create_task(self._job_in_turn(*each)) for each in handed_in]
            poor = [parts.create_task(self._job(f"poor-{n}", POOR_GROUP)) for n in range(POOR_JOBS)]
            killed = await raging
            ticking.cancel()
            async with asyncio.timeout(SETTLE_S):
                await asyncio.gather(*work)
            await wait_until(self._has_ticked, SETTLE_S)
            for part in (deciding, *poor):
                part.cancel()
        return killed

    async def _job_in_turn(self, key: str, group: str) -> None:
        async with self._counter:
            await self._job(key, group)

    async def _job(self, key: str, group: str) -> None:
        """Submit under a key until somebody says that it is taken, and once more; then wait for its end."""
        client = TaskClient(self.world.home / "run" / "task.sock", program=PROGRAM)
        await asyncio.sleep(self.world.random.uniform(0, 6))
        taken = self.taken.setdefault(key, set())
        for _ in range(2):
            taken.add(await self._submit(client, key, group))
        envelope = await client.wait(next(iter(taken)))
        if envelope.result is not None:
            self.ended[key] += 1

    async def _submit(self, client: TaskClient, key: str, group: str) -> SubmissionId:
        while True:
            try:
                return (await client.submit(group, key, idempotency_key=key)).submission
            except (HostNotRunning, HostUnreadable, HostSilent):
                await asyncio.sleep(AGAIN_S)

    async def _tick(self) -> None:
        """Set the clock a minute ahead now and then."""
        assert self.world.sky is not None
        while True:
            await asyncio.sleep(BETWEEN_TICKS_S)
            self.minutes += 1
            self.world.sky.set(clock_ahead_s=self.minutes * MINUTE_S)

    async def _rage(self, kills: int) -> Counter[str]:
        chance, killed = self.world.random, Counter[str]()
        while killed.total() < kills:
            await asyncio.sleep(chance.uniform(*BETWEEN_S))
            name = chance.choice(list(KILLERS))
            killed[name] += await KILLERS[name](self.world)
        return killed

    async def _decide(self) -> None:
        """Owners press a button under each card they see: not always the same one, and some twice."""
        people = self.world.people
        assert isinstance(people, TelegramPeople)
        while True:
            for person in range(self.world.chats):
                for value in people.cards(person):
                    code = value.split()[1] if value.startswith(("/approve", "/deny")) else ""
                    if code and (person, code) not in self._pressed and self._is_of_tool(code):
                        self._pressed.add((person, code))
                        word = self.world.random.choice(["/approve", "/approve", "/deny"])
                        for _ in range(self.world.random.choice([1, 2])):
                            await people.press(person, f"{word} {code}")
            await asyncio.sleep(AGAIN_S)

    def _is_of_tool(self, code: str) -> bool:
        found = ask_store(self.world.home, "SELECT kind FROM v_approvals WHERE approval_id = ?", code)
        return found == [("tool",)]

    def _has_ticked(self) -> bool:
        query = "SELECT 1 FROM v_schedule_runs WHERE state IN ('waiting', 'submitted') LIMIT 1"
        return not ask_store(self.world.home, query)

    # --- What must hold

    def faults(self) -> list[str]:
        """Return what must not be, in words."""
        return [*self._of_keys(), *self._of_effects(), *self._of_schedule(), *self._of_decisions(), *self._of_money()]

    def _of_keys(self) -> list[str]:
        rows = Counter(key for (key,) in ask_store(self.world.home, "SELECT idempotency_key FROM v_submissions"))
        tasks = ask_store(
            self.world.home, "SELECT submission_id, count(*) FROM v_tasks GROUP BY submission_id HAVING count(*) > 1"
        )
        found = [f"{key} became {len(ids)} submissions" for key, ids in self.taken.items() if len(ids) != 1]
        found += [f"{key} is stored {rows[key]} times" for key in self.taken if rows[key] != 1]
        found += [f"{submission} became {count} tasks" for submission, count in tasks if submission]
        expected = [key for key in self.taken if not key.startswith("poor")]
        return found + [f"{key} ended {self.ended[key]} times" for key in expected if self.ended[key] != 1]

    def _of_effects(self) -> list[str]:
        return [f"{name} was done {times} times" for name, times in self.world.effects.done.items() if times > 1]

    def _of_schedule(self) -> list[str]:
        runs = ask_store(self.world.home, "SELECT due_at, gone_by, origin FROM v_schedule_runs")
        own = [(due, gone_by) for due, gone_by, origin in runs if origin in ("due", "missed")]
        twice = [f"{due} was due twice" for due, times in Counter(due for due, _ in own).items() if times > 1]
        accounted = sum(1 + gone_by for _, gone_by in own)
        ((timing, following),) = ask_store(self.world.home, "SELECT timing, next_due_at FROM v_schedules")
        since, next_due = datetime.fromisoformat(timing.split()[1]), datetime.fromisoformat(following)
        past = round((next_due - since).total_seconds() / MINUTE_S) - 1
        return twice if accounted == past else [*twice, f"{past} times were due, and {accounted} are accounted for"]

    def _of_decisions(self) -> list[str]:
        refs = ask_store(self.world.home, "SELECT refs FROM v_journal WHERE kind = 'approval_voted'")
        voted = Counter(json.loads(each)["approval"] for (each,) in refs)
        found = [f"{name} was decided {times} times" for name, times in voted.items() if times > 1]
        allowed = ask_store(
            self.world.home, "SELECT count(*) FROM v_approvals WHERE kind = 'tool' AND state = 'approved'"
        )[0][0]
        done = sum(name.startswith("act-") for name in self.world.effects.done)
        return found if done <= allowed else [*found, f"{done} calls were made, and {allowed} allowed"]

    def _of_money(self) -> list[str]:
        calls = self._calls_of_the_poor()
        return [f"{calls} model calls were paid from a purse of {POOR_CALLS}"] if calls > POOR_CALLS + 1 else []

    def _calls_of_the_poor(self) -> int:
        return sum("poor-" in each["said"] for each in self.world.running.twin("GET", "/twin/log"))

    def line(self, killed: Counter[str]) -> str:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))
        acts = sum(name.startswith("act-") for name in self.world.effects.done)
        paid = self._calls_of_the_poor()
        runs = ask_store(self.world.home, "SELECT count(*) FROM v_schedule_runs")[0][0]
        return (
            f"{killed.total()} kills ({kills}); {len(self.taken)} keys, {self.world.effects.done.total()} effects, "
            f"{acts} of {self.acts} acts allowed and done, {runs} runs of a schedule, {paid} calls "
            f"from a purse of {POOR_CALLS}; {len(self.faults())} faults"
        )
