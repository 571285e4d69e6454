"""What a person may use: a purse that is reserved from before each call, whoever works for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from runtime.approvals.cards import build_buttons
from runtime.commands.money import build_budgets
from runtime.delegation.records import DelegationRequest
from runtime.money.desk import UsageDesk
from runtime.people.settings import PeopleSettings
from runtime.schedules.calendar import Every
from runtime.schedules.records import NewSchedule, ScheduleText
from runtime.store import people_rows, usage_rows
from runtime.store.delegation_rows import add_delegation
from runtime.store.records import PersonLimits
from runtime.store.schedule_rows import add_schedule
from runtime.store.submission_rows import NotTaken, take_in
from runtime.store.submission_rows import claim as claim_submission
from runtime.submission import NewSubmission
from tests.runtime.money.support import SIDE, group, till, today
from tests.runtime.store.support import ANNA, MAIN, used


async def test_a_persons_limit_is_a_purse_that_their_task_pays_from(tmp_path: Path) -> None:
    """Their own limits are one purse for all agents, an agent's another for what those leave open; owners have only
    their own, and no purse says whose it is."""
    takes = PeopleSettings(model_calls_per_day=7, cost_usd_per_day=1.0)
    async with till(tmp_path, replace(group(), people=takes)) as one:
        main, row = one.groups.ready[MAIN], (await one.working())[1]
        assert row.payer == ANNA
        await one.store.save_person(ANNA, "Anna", "member", "cli")
        payer = await one.spending.payer_of(row)
        assert payer is not None and payer.name == "Anna" and payer.mark != "7"
        agents = one.spending.purses_of(main, row.submitter, payer)[-1]
        assert (agents.name, agents.model_calls, agents.cost_usd) == (f"person:{payer.mark}@main", 7, 1.0)
        await one.store.write(people_rows.set_limits, ANNA, PersonLimits(model_calls_per_day=3), "cli")
        _, own, agents = one.spending.purses_of(main, row.submitter, await one.spending.payer_of(row))
        assert (own.name, own.model_calls, own.cost_usd) == (f"person:{payer.mark}", 3, None)
        assert (agents.model_calls, agents.cost_usd) == (None, 1.0)
        await one.store.save_person(ANNA, "Anna", "owner", "cli")
        group_purse, own = one.spending.purses_of(main, row.submitter, await one.spending.payer_of(row))
        assert group_purse.name == "group:main"
        assert own.model_calls == 3


async def test_a_task_waits_where_its_persons_limit_is_used_up(tmp_path: Path) -> None:
    """Refused in the middle it is suspended, and an owner is asked with the person's name; a yes is for that person and
    today, and nobody else's work is held."""
    async with till(tmp_path, replace(group(), people=PeopleSettings(model_calls_per_day=2))) as one:
        await one.store.save_person(ANNA, "Anna", "member", "cli")
        claim, row, task = await one.working()
        one.used(task.task_id, calls=2)
        assert await one.spending.suspend(row, task, claim.attempt.attempt_id, "limit_day_calls")
        card = await one.approvals.find(await one.card())
        assert card.summary == "Anna's share of main of today is used up, and work waits"
        assert "raise for today: 2 model calls more, until 00:00 UTC" in card.lines
        assert all(len(button.value.encode()) <= 64 for button in build_buttons(card))
        told = [each.message.text for each in await one.store.outbox_of(task.task_id)]
        assert any("Anna's share of main of today is used up, so this waits" in text for text in told)
        assert not one.is_paused()
        await one.approvals.decide(card.approval_id, "cli", is_yes=True)
        await one.until(lambda: one.work.resumed == [task.task_id])
        purse = one.spending.purses_of(one.groups.ready[MAIN], row.submitter, await one.spending.payer_of(row))[-1]
        assert purse.model_calls == 4


async def test_nobody_is_asked_about_a_person_for_whom_nothing_waits(tmp_path: Path) -> None:
    """Who has used what they may is refused when they ask again; a card is for work that waits."""
    async with till(tmp_path, replace(group(), people=PeopleSettings(model_calls_per_day=1))) as one:
        task = (await one.working())[2]
        one.used(task.task_id, calls=1)

        async def is_known() -> bool:
            day = await one.store.read(usage_rows.payer_day, ANNA)
            return any(each.model_calls for each in day.by_group.values())

        await one.until(is_known)
        one.spending.wake()
        await one.until(lambda: bool([each for each in one.spending.purses() if each.name.startswith("person:")]))
        assert await one.approvals.waiting() == ()


@pytest.mark.parametrize("by", ["schedule", "agent's schedule", "delegation"])
async def test_what_is_done_for_a_person_counts_for_them(tmp_path: Path, by: str) -> None:
    """Their schedules, those that an agent made in their task, and what an agent asked of another for them: all are
    paid from their purse, and add to what they have used."""
    async with till(tmp_path, replace(group(), people=PeopleSettings(model_calls_per_day=5))) as one:
        asking = (await one.working())[0].task.task_id
        if by == "delegation":
            asked = DelegationRequest(to="side", prompt="do")
            add = partial(
                add_delegation, from_group=MAIN, from_task=asking, call_id="c", ancestors=(MAIN,), request=asked
            )
            made = await one.store.write(add)
            new = NewSubmission(submitter="group:main", group_id=SIDE, prompt="do", idempotency_key=made.delegation_id)
        else:
            wish = NewSchedule(
                group_id=SIDE,
                chat=None,
                timing=Every(every_s=3600, since=datetime.now(UTC)),
                zone="UTC",
                text=ScheduleText(prompt="do"),
                made_by=f"person:{ANNA}" if by == "schedule" else "group:main",
                subject=ANNA,
            )
            key = "" if by == "schedule" else f"{asking}:call_1"
            schedule = await one.store.write(add_schedule, wish, datetime.now(UTC), key)
            assert schedule is not None
            new = NewSubmission(submitter=schedule.submitter, group_id=SIDE, prompt="do")
        taken = await one.store.write(take_in, new)
        assert not isinstance(taken, NotTaken)
        row = (await one.store.write(claim_submission, taken[0].submission_id)).task
        assert row.payer == ANNA
        assert (await one.store.task(row.task_id) or row).payer == ANNA
        payer = await one.spending.payer_of(row)
        assert payer is not None and payer.person == ANNA
        await one.store.write(usage_rows.put_use, [used(today(), row.task_id, "side", calls=4)])
        day = await one.store.read(usage_rows.payer_day, ANNA)
        assert day.by_group[SIDE].model_calls == 4 and day.of(f"person:{payer.mark}").model_calls == 4
        assert (await one.store.read(people_rows.spent_by, ANNA)).model_calls == 4


async def test_what_people_may_use_is_shown_to_owners_with_their_names(tmp_path: Path) -> None:
    """The machine's owner sees it among the budgets, with what is used, and may raise it; a chat that asks about its
    agent sees nobody's."""
    async with till(tmp_path, replace(group(), people=PeopleSettings(cost_usd_per_day=1.0))) as one:
        await one.store.save_person(ANNA, "Anna", "member", "cli")
        task = (await one.working())[2]
        one.used(task.task_id, calls=3, cost=1.0)
        desk = UsageDesk(one.store, one.mirror, one.spending)
        await one.until(lambda: [each for each in one.spending.purses() if each.name.startswith("person:")])
        (shown,) = [each for each in (await desk.usage(1)).purses if each.who]
        assert (shown.who, shown.used.model_calls, shown.used.cost_usd) == ("Anna", 3, 1.0)
        assert "- Anna's share of main today: $1.00 of $1.00" in build_budgets(await desk.usage(1))
        assert [each for each in (await desk.usage(1, group=MAIN)).purses if each.who] == []
        await desk.decide(shown.purse.name, "raise")
        (raised,) = [each for each in (await desk.usage(1)).purses if each.who]
        assert raised.purse.cost_usd == 2.0
