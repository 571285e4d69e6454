"""What happens where money is used up: work waits, a person is asked, and it goes on when there is money again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from protocol.link import Ask
from protocol.task import Limits, Purse, Task
from runtime.approvals.cards import build_buttons
from runtime.config import BudgetSettings, LimitSettings, Settings, task_limits
from runtime.group import Groups
from runtime.group_settings import GroupBudget
from runtime.money.records import PurseRow
from runtime.store import question_rows, usage_rows
from runtime.store.database import Transaction
from runtime.store.store import Store
from runtime.store.submission_rows import NotTaken, take_in
from runtime.store.submission_rows import claim as claim_submission
from runtime.submission import NewSubmission, tighten
from tests.runtime.money.support import SIDE, group, till, today
from tests.runtime.store.support import MAIN, filed, said, used


async def purse(store: Store, name: str) -> PurseRow | None:
    return (await store.read(usage_rows.purse_rows, today())).get(name)


async def test_a_group_whose_money_is_used_up_waits_and_a_person_is_asked(tmp_path: Path) -> None:
    """Its budget empty, a group is held back, the others go on, and one card asks, with the numbers."""
    async with till(tmp_path, group(budget=GroupBudget(usd_per_day=1.0)), group(SIDE)) as one:
        one.used("task_1", cost=0.6)
        one.used("task_2", cost=0.6)
        code = await one.card()
        await one.until(one.is_paused)
        assert not one.is_paused(SIDE)
        (pause,) = one.pauses.of(MAIN)
        assert "main's budget of today is used up" in pause.reason
        card = await one.approvals.find(code)
        assert "used so far: 2 model calls, 20 tokens, $1.20" in card.lines
        assert "raise for today: $1.00 more, until 00:00 UTC" in card.lines
        labels = [button.label for button in build_buttons(card)]
        assert labels == ["Raise for today", "Wait until tomorrow", "Stop"]
        assert all(len(button.value.encode()) <= 64 for button in build_buttons(card))


async def test_yes_gives_as_much_again_for_today(tmp_path: Path) -> None:
    """After a yes the group goes on with twice its budget; used up again, it is asked again."""
    async with till(tmp_path, group(budget=GroupBudget(usd_per_day=1.0))) as one:
        one.used("task_1", cost=1.0)
        await one.approvals.decide(await one.card(), "cli", is_yes=True)
        await one.until(lambda: not one.is_paused())
        (own,) = [each for each in one.spending.purses_of(one.groups.ready[MAIN], "person:x") if "group" in each.name]
        assert own.cost_usd == 2.0
        one.used("task_1", cost=1.0)
        await one.card()
        await one.until(one.is_paused)


async def test_a_yes_raises_only_what_was_used_up(tmp_path: Path) -> None:
    """More money is no more calls; where both are used up the card says both, and a yes gives both."""
    limits, budget = LimitSettings(calls_per_day=10), GroupBudget(usd_per_day=1.0)
    async with till(tmp_path, group(limits=limits, budget=budget)) as one:

        def own() -> Purse:
            purses = one.spending.purses_of(one.groups.ready[MAIN], "person:x")
            return next(each for each in purses if "group" in each.name)

        one.used("task_1", cost=1.0)
        await one.approvals.decide(await one.card(), "cli", is_yes=True)
        await one.until(lambda: not one.is_paused())
        assert (own().model_calls, own().cost_usd) == (10, 2.0)
        one.used("task_2", calls=9, cost=1.0)
        code = await one.card()
        assert (
            "raise for today: $1.00 and 10 model calls more, until 00:00 UTC" in (await one.approvals.find(code)).lines
        )
        await one.approvals.decide(code, "cli", is_yes=True)
        await one.until(lambda: not one.is_paused())
        assert (own().model_calls, own().cost_usd) == (20, 3.0)


async def test_no_waits_until_tomorrow(tmp_path: Path) -> None:
    """After a no nobody is asked again, and the group stays held."""
    async with till(tmp_path, group(limits=LimitSettings(calls_per_day=2))) as one:
        one.used("task_1", calls=2)
        await one.approvals.decide(await one.card(), "cli", is_yes=False)

        async def waits() -> bool:
            row = await purse(one.store, "group:main")
            return row is not None and row.state == "waiting"

        await one.until(waits)
        one.used("task_1")
        await one.until(one.is_paused)
        assert await one.approvals.waiting() == ()


async def test_the_machines_budget_holds_all_groups(tmp_path: Path) -> None:
    """Where all groups together have spent what the machine may, all wait."""
    async with till(tmp_path, group(), group(SIDE), budgets=BudgetSettings(usd_per_day=3.0)) as one:
        one.used("task_1", cost=2.0)
        one.used("task_2", group=SIDE, cost=1.0)
        await one.until(lambda: one.is_paused() and one.is_paused(SIDE))
        card = await one.approvals.find(await one.card())
        assert card.group_id is None and "the budget of all agents" in card.summary


async def test_the_machines_tokens_hold_all_groups(tmp_path: Path) -> None:
    """Where no price is known, tokens bound what all groups use together."""
    async with till(tmp_path, group(), group(SIDE), budgets=BudgetSettings(tokens_per_day=40)) as one:
        one.used("task_1", tokens=20)
        one.used("task_2", group=SIDE, tokens=20)
        await one.until(lambda: one.is_paused() and one.is_paused(SIDE))
        card = await one.approvals.find(await one.card())
        assert any("40 tokens" in line for line in card.lines)


async def test_a_higher_limit_in_the_settings_lets_work_go_on(tmp_path: Path) -> None:
    """Whoever edits the file instead of pressing the button is followed, and the card goes."""
    async with till(tmp_path, budgets=BudgetSettings(calls_per_day=1)) as one:
        one.used("task_1")
        await one.card()
        await one.until(one.is_paused)
        one.settings = Settings(budgets=BudgetSettings(calls_per_day=5))
        one.spending.wake()
        await one.until(lambda: not one.is_paused())

        async def is_withdrawn() -> bool:
            return await one.approvals.waiting() == ()

        await one.until(is_withdrawn)


async def test_a_task_refused_in_the_middle_is_suspended_and_goes_on(tmp_path: Path) -> None:
    """Refused a call for an empty purse, a task holds no container and is resumed when there is money."""
    async with till(tmp_path, group(budget=GroupBudget(usd_per_day=1.0))) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, cost=1.0)
        assert await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_day_cost")
        stored = await one.store.task(task.task_id)
        assert stored is not None and stored.state == "suspended"
        await one.approvals.decide(await one.card(), "cli", is_yes=True)
        await one.until(lambda: one.work.resumed == [task.task_id])
        assert [each.task_id for each in await one.store.read(question_rows.resumable_tasks)] == [task.task_id]


async def test_a_task_that_waits_for_money_is_left_alone(tmp_path: Path) -> None:
    """When open questions are looked at again it is not woken: each time would take a container, for a refusal."""
    async with till(tmp_path) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, calls=100)
        assert await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_calls")
        stored = await one.store.write(take_in, NewSubmission(submitter="cli", group_id=SIDE, prompt="ask"))
        assert not isinstance(stored, NotTaken)
        other = (await one.store.write(claim_submission, stored[0].submission_id)).task
        await one.waiting.asked(other, Ask(call_id="c1", kind="unknown", timeout_s=60.0))
        await one.until(lambda: one.work.resumed)
        assert one.work.resumed == [other.task_id]
        assert [each.task_id for each in await one.store.read(question_rows.open_questions)] == [task.task_id]


async def test_a_task_whose_wait_ended_unsaid_goes_on(tmp_path: Path) -> None:
    """A host that dies between the end of a wait and its word leaves nothing that waits for ever."""
    async with till(tmp_path) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, calls=100)
        await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_calls")
        await one.store.write(partial(usage_rows.end_wait, is_raised=True), task.task_id)
        rows = one.proxy.rows
    async with till(tmp_path) as two:
        two.proxy.rows = rows
        await two.until(lambda: two.work.resumed == [task.task_id])


async def test_a_task_that_says_so_without_cause_is_not_suspended(tmp_path: Path) -> None:
    """An agent that ends with the word of a limit that is not reached ends as it says."""
    async with till(tmp_path) as one:
        claim, row, task = await one.working()
        for code in ("limit_calls", "limit_cost", "model_unknown", "agent_failed"):
            assert not await one.spending.suspend(row, task, claim.attempt.attempt_id, code)


async def test_a_task_refused_by_a_budget_that_was_raised_meanwhile_goes_on_at_once(tmp_path: Path) -> None:
    """Its lease knew the old limit: it goes on under a new one. Who says so again and again is not believed."""
    async with till(tmp_path) as one:
        claim, row, task = await one.working()
        for number in range(1, 4):
            assert await one.spending.suspend(row, task, f"attempt_{number}", "limit_day_cost")
            await one.until(lambda number=number: len(one.work.resumed) == number)
            await one.store.write(question_rows.resume, task.task_id)
        assert not await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_day_cost")
        assert await one.approvals.waiting() == ()


async def test_a_task_may_be_given_its_own_limits_again(tmp_path: Path) -> None:
    """Its own limits used up, a person is asked in its chat; yes gives them once more."""
    async with till(tmp_path) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, calls=100)
        assert await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_calls")
        card = await one.approvals.find(await one.card())
        assert card.task_id == task.task_id and "model calls" in card.summary
        await one.approvals.decide(card.approval_id, "cli", is_yes=True)
        await one.until(lambda: one.work.resumed == [task.task_id])
        assert one.spending.limits_of(task) == Limits(model_calls=200, input_tokens=8_000_000, output_tokens=400_000)


async def test_a_task_that_is_given_no_more_is_ended(tmp_path: Path) -> None:
    """After a no about its own limits a task is stopped."""
    async with till(tmp_path) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, calls=100)
        assert await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_calls")
        await one.approvals.decide(await one.card(), "cli", is_yes=False)
        await one.until(lambda: one.work.stopped_tasks == [task.task_id])


async def test_background_work_has_a_purse_of_its_own(tmp_path: Path) -> None:
    """What schedules use is counted apart; their purse empty, people go on."""
    async with till(tmp_path, group(limits=LimitSettings(calls_per_day=10))) as one:
        main = one.groups.ready[MAIN]
        names = [each.name for each in one.spending.purses_of(main, "schedule:s")]
        assert names == ["group:main", "background:main"]
        (small,) = [each for each in one.spending.purses_of(main, "schedule:s") if "background" in each.name]
        assert small.model_calls == 2
        assert [each.name for each in one.spending.purses_of(main, "person:x")] == ["group:main"]


async def test_an_empty_background_purse_holds_schedules_and_nobody_else(tmp_path: Path) -> None:
    """Its group is not paused; who begins schedules is told, and told again when there is money."""
    async with till(tmp_path, group(limits=LimitSettings(calls_per_day=10))) as one:
        heard: list[bool] = []
        one.spending.when_changed(lambda: heard.append(one.spending.holds_background(MAIN)))
        await one.store.write(usage_rows.put_use, [used(today(), "task_1", calls=2)])
        await one.store.write(_as_background, "task_1")
        one.spending.wake()
        await one.until(lambda: one.spending.holds_background(MAIN))
        assert not one.is_paused() and not one.spending.holds_background(SIDE)
        await one.approvals.decide(await one.card(), "cli", is_yes=True)
        await one.until(lambda: not one.spending.holds_background(MAIN))
        assert heard == [True, False]


def _as_background(transaction: Transaction, task_id: str) -> None:
    """Note that a task is a schedule's."""
    transaction._connection.execute("UPDATE model_use SET is_background = 1 WHERE task_id = ?", (task_id,))


async def test_stop_ends_what_waits(tmp_path: Path) -> None:
    """`stop` ends suspended tasks, waiting messages and what waits of scripts and programs, and nothing else."""
    async with till(tmp_path, group(budget=GroupBudget(usd_per_day=1.0)), group(SIDE)) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, cost=1.0)
        await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_day_cost")
        await one.card()
        message = await filed(one.store, said("later"))
        for where in (MAIN, SIDE):
            await one.store.write(take_in, NewSubmission(submitter="cli", group_id=where, prompt=f"for {where}"))
        await one.spending.decide("group:main", "stop")
        assert one.work.stopped_tasks == [task.task_id]
        assert one.work.cancelled == ["for main"]
        assert one.work.stopped_chats == [message.inbound.chat]
        row_now = await purse(one.store, "group:main")
        assert row_now is not None and row_now.state == "stopped" and await one.approvals.waiting() == ()


async def test_a_restart_knows_what_was_decided(tmp_path: Path) -> None:
    """Raised budgets, held groups and suspended tasks are rows: the next host goes on with them."""
    main = group(budget=GroupBudget(usd_per_day=1.0))
    async with till(tmp_path, main) as one:
        claim, row, task = await one.working()
        one.used(task.task_id, cost=1.0)
        await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_day_cost")
        code = await one.card()
        rows = one.proxy.rows
    async with till(tmp_path, main) as two:
        two.proxy.rows = rows
        await two.until(two.is_paused)
        await two.approvals.decide(code, "cli", is_yes=True)
        await two.until(lambda: two.work.resumed == [task.task_id])
        await two.until(lambda: not two.is_paused())


async def test_a_new_group_is_looked_after(tmp_path: Path) -> None:
    """Groups may come and go while the host runs."""
    async with till(tmp_path, budgets=BudgetSettings(calls_per_day=1)) as one:
        one.used("task_1")
        await one.until(one.is_paused)
        one.groups = Groups(ready={**one.groups.ready, SIDE: replace(group(), group_id=SIDE)}, suspended={})
        one.spending.wake()
        await one.until(lambda: one.is_paused(SIDE))


async def test_a_program_fails_at_a_limit_of_its_own_and_waits_at_the_groups(tmp_path: Path) -> None:
    """What a program asked for, tighter than the group's, is its own to widen; at the group's limit an owner is asked,
    as for an agent's request and every other task."""
    own = Limits(model_calls=2)
    cases = [
        ("program:p", own, "limit_calls", 2, False),
        ("program:p", own, "limit_input_tokens", 400_001, True),
        ("program:p", None, "limit_calls", 100, True),
        ("cli", own, "limit_calls", 2, False),
        ("group:main", None, "limit_calls", 100, True),
        ("schedule:1", own, "limit_calls", 2, True),
    ]
    async with till(tmp_path) as one:
        for number, (submitter, limits, code, calls, waits) in enumerate(cases):
            new = NewSubmission(submitter=submitter, group_id=MAIN, prompt=f"{number}", limits=limits)
            taken = await one.store.write(take_in, new)
            assert not isinstance(taken, NotTaken)
            claim = await one.store.write(claim_submission, taken[0].submission_id)
            row = claim.task
            task = Task(
                task_id=row.task_id,
                group_id=MAIN,
                submitter=submitter,
                session_id=None,
                prompt="do",
                limits=tighten(task_limits(one.groups.ready[MAIN].limits), limits),
            )
            one.used(row.task_id, calls=calls, tokens=calls * 10)
            found = await one.spending.suspend(row, task, claim.attempt.attempt_id, code)
            assert found == waits, (submitter, limits, code)
            assert [each for each in await one.approvals.waiting() if each.task_id == row.task_id] != [] or not waits


async def test_the_proxy_hears_of_the_budgets_that_tools_pay_from(tmp_path: Path) -> None:
    """The machine's and the groups', when they change and with what was raised; said again after it was away, and
    never those of people or of background work."""
    poor = group(limits=LimitSettings(calls_per_day=2))
    async with till(tmp_path, poor, budgets=BudgetSettings(usd_per_day=9.0)) as one:
        one.spending.wake()
        await one.until(lambda: one.proxy.purses)
        assert one.proxy.purses == [(Purse(name="machine", cost_usd=9.0), Purse(name="group:main", model_calls=2))]
        one.used("task_1", calls=2)
        await one.approvals.decide(await one.card(), "cli", is_yes=True)
        await one.until(lambda: one.proxy.purses[-1][-1] == Purse(name="group:main", model_calls=4))
        one.proxy.is_away = True
        one.settings = Settings(budgets=BudgetSettings(usd_per_day=10.0))
        one.spending.wake()
        seen = len(one.proxy.purses)
        await one.until(lambda: one.proxy.not_told)
        one.proxy.is_away = False
        one.spending.wake()
        await one.until(lambda: one.proxy.purses[-1][0].cost_usd == 10.0)
        assert len(one.proxy.purses) == seen + 1
