"""Schedules by a clock that is set by hand, over a real store, with hosts that die at every point."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol.ids import ChatKey, SessionId, SubmissionId, TaskId
from protocol.task import TaskStatus
from runtime.group import Groups
from runtime.lasting.letters import LetterDesk, LetterEnds
from runtime.refusal import OperationRefused
from runtime.schedules.decisions import MAX_CATCH_UP
from runtime.store import forget_rows, schedule_rows
from tests.runtime.schedules.bench import ANNA, CHAT, MAIN, START, Bench, Killed, open_bench

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EIGHT = START
"""08:00 in Berlin."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as opened:
        opened.now = START - HOUR
        yield opened


async def test_a_due_time_becomes_a_task_of_its_schedule(bench: Bench) -> None:
    """At its time a schedule submits its text, for its chat, in the chat's conversation; then the next day is due."""
    schedule = await bench.add("every day 08:00 Say good morning")
    assert await bench.at(EIGHT - MINUTE) == 60.0
    assert await bench.queued() == ()
    await bench.at(EIGHT)
    (submission,) = await bench.queued()
    new = submission.new
    assert (new.submitter, new.chat, new.session, new.trust) == ("schedule:1", CHAT, "chat", "program")
    assert new.prompt == "Say good morning\n\n[This is the schedule 1, due 2026-01-05 08:00 (Europe/Berlin).]"
    await bench.work()
    await bench.at(MINUTE)
    (run,) = await bench.runs(schedule)
    assert (run.state, run.origin, run.task_id is not None) == ("done", "due", True)
    assert (await bench.desk.find(1)).next_due_at == EIGHT + DAY


async def test_a_single_moment_is_done_after_its_run(bench: Bench) -> None:
    """What is due once runs once, is kept as done, and can be run again by hand."""
    schedule = await bench.add("in 20 min Look at the oven")
    await bench.at(timedelta(minutes=20))
    await bench.work()
    await bench.at(DAY)
    assert (await bench.desk.find(1)).state == "done"
    assert await bench.states(schedule) == ["06:20 done"]
    await bench.desk.run_now(await bench.desk.find(1))
    await bench.at(MINUTE)
    assert ["A person asked for this run." in prompt for prompt in await bench.work()] == [True]


@pytest.mark.parametrize("point", ["before", "after", "noting"])
async def test_a_host_killed_anywhere_loses_no_due_time_and_repeats_none(bench: Bench, point: str) -> None:
    """Killed before the submission, right after it, or while noting its end: the next host goes on, and one task
    comes of one due time."""
    schedule = await bench.add("every day 08:00 Say good morning")
    if point != "noting":
        bench.room.dies = point
        with pytest.raises(Killed):
            await bench.at(EIGHT)
        bench.new_keeper()
        await bench.at(MINUTE)
        assert len(await bench.queued()) == 1
        await bench.work()
    else:
        await bench.at(EIGHT)
        await bench.work()
        bench.room.dies = point
        with pytest.raises(Killed):
            await bench.at(MINUTE)
        bench.new_keeper()
    for _ in range(3):
        await bench.at(MINUTE)
    assert await bench.queued() == ()
    assert await bench.states(schedule) == ["07:00 done"]


async def test_work_that_ended_while_the_host_was_down_is_noted(bench: Bench) -> None:
    """A run whose task ended while nobody listened is ended at the next start, also if it was submitted only just."""
    schedule = await bench.add("every day 08:00 Say good morning")
    bench.room.dies = "after"
    with pytest.raises(Killed):
        await bench.at(EIGHT)
    await bench.work()
    bench.new_keeper()
    await bench.at(MINUTE)
    await bench.at(MINUTE)
    assert await bench.states(schedule) == ["07:00 done"]


@pytest.mark.parametrize(
    ("policy", "states", "prompts"),
    [
        ("once", ["09:40 done"], ["That time was missed, and is made up for now. It stands for 8 times before it"]),
        ("skip", ["09:40 skipped missed"], []),
        ("all", [f"{moment} done" for moment in ("07:00", "07:20", "07:40", "08:00", "08:20")], [""] * 9),
    ],
)
async def test_missed_times_follow_the_policy(bench: Bench, policy: str, states: list[str], prompts: list[str]) -> None:
    """A host that was away makes up with one run for all, with none, or with one each, in order."""
    schedule = await bench.add(f'cron "*/20 8-10 * * *" --missed {policy} Look')
    bench.new_keeper()
    await bench.at(EIGHT + 2 * HOUR + timedelta(minutes=55))
    said = []
    for _ in range(12):
        said += await bench.work()
        await bench.at(timedelta(seconds=1))
    assert [expected in prompt for expected, prompt in zip(prompts, said, strict=True)] == [True] * len(prompts)
    assert (await bench.states(schedule))[: len(states)] == states
    assert (await bench.desk.find(1)).next_due_at == EIGHT + DAY


async def test_making_up_for_all_is_capped(bench: Bench) -> None:
    """Of a week of missed hours the newest ten run, one after the other; the rest stands in the history as a number."""
    schedule = await bench.add('cron "0 * * * *" --missed all Look')
    await bench.at(START + 7 * DAY + timedelta(minutes=30))
    worked = 0
    for _ in range(15):
        queued = len(await bench.work())
        assert queued <= 1
        worked += queued
        await bench.at(timedelta(seconds=1))
    assert worked == MAX_CATCH_UP
    left_out, *_ = await bench.runs(schedule)
    assert (left_out.state, left_out.reason, left_out.gone_by) == ("skipped", "missed", 7 * 24 + 1 - MAX_CATCH_UP - 1)


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("skip", ["06:10 done", "06:20 skipped overlap", "06:30 skipped overlap", "06:40 done"]),
        ("queue", ["06:10 done", "06:20 done", "06:30 done", "06:40 done"]),
    ],
)
async def test_a_time_that_comes_while_a_run_works(bench: Bench, policy: str, states: list[str]) -> None:
    """It is skipped and counted, or waits for the run to end."""
    schedule = await bench.add(f"every 10 min --overlap {policy} Look")
    for _ in range(3):
        await bench.at(10 * MINUTE)
        assert len(await bench.queued()) == 1
    for _ in range(4):
        await bench.work()
        await bench.at(MINUTE)
    await bench.at(START - HOUR + 40 * MINUTE)
    await bench.work()
    await bench.at(MINUTE)
    assert await bench.states(schedule) == states


async def test_a_failed_run_never_ends_the_series(bench: Bench) -> None:
    """However often it fails, it is due again; owners are told in their own chat, rarer as it goes on, and when it
    works again."""
    schedule = await bench.add("every day 08:00 Say good morning")
    for day in range(9):
        await bench.at(EIGHT + day * DAY)
        assert len(await bench.queued()) == 1
        await bench.work(TaskStatus.FAILED, "model_refused_key", "The key was refused.")
        await bench.at(MINUTE)
    told = await bench.told()
    assert [text.split(":")[0] for text in told] == [
        "The schedule 1 of main failed",
        "The schedule 1 of main failed (2 times in a row)",
        "The schedule 1 of main failed (4 times in a row)",
        "The schedule 1 of main failed (8 times in a row)",
    ]
    assert told[0].splitlines() == [
        "The schedule 1 of main failed: The key was refused.",
        "Say good morning (due 2026-01-05 08:00)",
        "It is due again 2026-01-06 08:00.",
    ]
    assert (await bench.desk.find(1)).failures == 9
    await bench.at(EIGHT + 9 * DAY)
    await bench.work()
    await bench.at(MINUTE)
    assert (await bench.told())[-1] == "The schedule 1 of main works again: Say good morning"
    assert (await bench.desk.find(1)).failures == 0
    assert {run.state for run in await bench.runs(schedule)} == {"failed", "done"}


async def test_a_run_that_cannot_be_submitted_is_a_failure_that_is_told(bench: Bench) -> None:
    """With its agent gone a run fails with the reason, owners hear of it, and the next day is due as ever."""
    schedule = await bench.add("every day 08:00 Say good morning")
    bench.house.groups = type(bench.house.groups)(ready={}, suspended={})
    await bench.at(EIGHT)
    assert await bench.states(schedule) == ["07:00 failed unknown_group"]
    assert "there is no group 'main'" in (await bench.told())[0]
    assert (await bench.desk.find(1)).next_due_at == EIGHT + DAY


def letters_of(bench: Bench) -> LetterDesk:
    async def no_task(task_id: TaskId, by: str) -> None:
        raise AssertionError(f"{by} tried the task {task_id} again, and its run would not hear of it")

    return LetterDesk(
        bench.store, LetterEnds(task=no_task, run=bench.keeper.wake, delivery=lambda: None, update=lambda: None)
    )


@pytest.mark.parametrize("has_task", [True, False])
async def test_a_failed_run_leaves_a_letter_and_runs_again_as_the_same_run(bench: Bench, has_task: bool) -> None:
    """One letter, whether its task failed or it was refused before there was one; tried again it is a further try of
    the same due time, in the schedule's history, and its success ends the row of failures."""
    letters, schedule = letters_of(bench), await bench.add("every day 08:00 go")
    ready = bench.house.groups
    if not has_task:
        bench.house.groups = Groups(ready={}, suspended={})
    await bench.at(EIGHT)
    if has_task:
        await bench.work(TaskStatus.FAILED, "model_refused_key", "The key was refused.")
    await bench.at(timedelta(minutes=1))
    (letter,) = await letters.letters()
    assert (letter.letter.kind, letter.letter.group_id, letter.letter.chat) == ("schedule", MAIN, CHAT)
    assert ("The key was refused." in letter.why) == has_task and "2026-01-05 07:00" in letter.what
    assert await letters.of_chat(CHAT) == letter.letter
    bench.house.groups = ready
    await letters.retry(letter.letter.reference, "cli")
    await bench.at(timedelta(minutes=1))
    (prompt,) = await bench.work()
    assert "go" in prompt
    await bench.at(timedelta(minutes=1))
    first, second = await bench.runs(schedule)
    assert (first.state, second.state, second.origin, second.number) == ("failed", "done", "retry", 2)
    assert (second.due_at, (await bench.desk.find(1)).failures) == (first.due_at, 0)
    with pytest.raises(OperationRefused, match="retried already"):
        await letters.retry(letter.letter.reference, "cli")


async def test_a_run_that_is_tried_again_by_itself_leaves_a_letter_at_its_last_failure(bench: Bench) -> None:
    """What still goes on needs nobody; a removed schedule's run is not tried again."""
    letters, schedule = letters_of(bench), await bench.add("every day 08:00 --retries 1 go")
    await bench.at(EIGHT)
    await bench.work(TaskStatus.FAILED, "provider_down")
    await bench.at(timedelta(minutes=1))
    assert await letters.letters() == ()
    await bench.at(timedelta(minutes=30))
    await bench.work(TaskStatus.FAILED, "provider_down")
    await bench.at(timedelta(minutes=1))
    (letter,) = await letters.letters()
    await bench.desk.remove(await bench.desk.find(schedule.schedule_id), "cli")
    with pytest.raises(OperationRefused, match="its schedule was removed"):
        await letters.retry(letter.letter.reference, "cli")
    await letters.close(letter.letter.reference, "cli")


async def test_tries_again_as_often_as_it_says(bench: Bench) -> None:
    """With retries a failed run is tried again after a while, the model is told, and only the last failure is told."""
    schedule = await bench.add("every day 08:00 --retries 2 Fetch the news")
    await bench.at(EIGHT)
    await bench.work(TaskStatus.FAILED, "provider_down", "Nobody answered.")
    await bench.at(MINUTE)
    assert await bench.told() == []
    await bench.at(MINUTE)
    (prompt,) = await bench.work(TaskStatus.FAILED, "provider_down", "Nobody answered.")
    assert "It is try 2" in prompt
    await bench.at(MINUTE)
    await bench.at(5 * MINUTE)
    await bench.work(TaskStatus.FAILED, "provider_down", "Nobody answered.")
    await bench.at(MINUTE)
    assert len(await bench.told()) == 1
    await bench.at(HOUR)
    assert await bench.queued() == ()
    assert [(run.number, run.state) for run in await bench.runs(schedule)] == [
        (1, "failed"),
        (2, "failed"),
        (3, "failed"),
    ]


@pytest.mark.parametrize("code", ["uncertain_effect", "daily_cap"])
async def test_what_may_have_happened_is_not_tried_again(bench: Bench, code: str) -> None:
    """A failure that another try could double, or could not change, is told at once."""
    await bench.add("every day 08:00 --retries 2 Send the mail")
    await bench.at(EIGHT)
    await bench.work(TaskStatus.FAILED, code, "It may have been sent.")
    await bench.at(MINUTE)
    assert len(await bench.told()) == 1
    await bench.at(HOUR)
    assert await bench.queued() == ()


async def test_the_next_time_takes_the_place_of_another_try(bench: Bench) -> None:
    """A try that still waits when the next time comes is skipped: that time runs, and nothing is done twice."""
    schedule = await bench.add('cron "*/3 * * * *" --retries 4 Look')
    await bench.at(START)
    for _ in range(2):
        await bench.work(TaskStatus.FAILED, "provider_down")
        await bench.at(MINUTE)
    await bench.work(TaskStatus.FAILED, "provider_down")
    await bench.at(START + 3 * MINUTE)
    assert len(await bench.queued()) == 1
    assert [(run.number, run.state, run.reason) for run in await bench.runs(schedule)] == [
        (1, "failed", "provider_down"),
        (2, "failed", "provider_down"),
        (3, "skipped", "superseded"),
        (1, "submitted", ""),
    ]


async def test_nothing_begins_while_everything_is_frozen(bench: Bench) -> None:
    """A freeze holds schedules; when it is lifted, what was missed follows the policy."""
    schedule = await bench.add("every day 08:00 --missed skip Say good morning")
    await bench.store.set_frozen(True, "cli")
    await bench.at(EIGHT)
    await bench.at(EIGHT + HOUR)
    assert (await bench.queued(), await bench.states(schedule)) == ((), [])
    await bench.store.set_frozen(False, "cli")
    await bench.at(MINUTE)
    assert (await bench.queued(), await bench.states(schedule)) == ((), ["07:00 skipped missed"])


async def test_a_paused_agent_holds_its_schedules(bench: Bench) -> None:
    """While its group is paused nothing of it begins; afterwards one run makes up for all that was missed."""
    schedule = await bench.add("every day 08:00 Say good morning")
    bench.held.add(MAIN)
    await bench.at(EIGHT)
    await bench.at(EIGHT + 3 * DAY + HOUR)
    assert await bench.queued() == ()
    bench.held.clear()
    await bench.at(MINUTE)
    (prompt,) = await bench.work()
    assert "It stands for 3 times before it that went by, too." in prompt
    await bench.at(MINUTE)
    assert await bench.states(schedule) == ["07:00 done"]


async def test_a_schedule_on_hold_makes_up_for_nothing(bench: Bench) -> None:
    """What goes by while a schedule itself is paused was not wanted: it goes on with the next time from then."""
    schedule = await bench.add("every day 08:00 Say good morning")
    await bench.desk.pause(await bench.desk.find(1), "cli")
    await bench.at(EIGHT + 3 * DAY + HOUR)
    resumed = await bench.desk.resume(await bench.desk.find(1), "cli")
    assert resumed.next_due_at == EIGHT + 4 * DAY
    await bench.at(MINUTE)
    assert (await bench.queued(), await bench.runs(schedule)) == ((), [])


async def test_a_removed_schedule_is_over_with_all_its_runs(bench: Bench) -> None:
    """What works of it is stopped, what waits is skipped, nothing is due any more, and its number is unknown."""
    schedule = await bench.add("every 10 min --overlap queue Look")
    await bench.at(10 * MINUTE)
    await bench.at(10 * MINUTE)
    await bench.desk.remove(schedule, "cli")
    await bench.at(HOUR)
    assert await bench.queued() == ()
    assert await bench.states(schedule) == ["06:10 stopped", "06:20 skipped removed"]
    assert await bench.told() == []


async def test_a_clock_that_is_set_back_repeats_nothing(bench: Bench) -> None:
    """After the run of 08:00 the clock shows 07:50 again: 08:00 passes once more without a run."""
    schedule = await bench.add("every day 08:00 Say good morning")
    await bench.at(EIGHT)
    await bench.work()
    await bench.at(EIGHT + MINUTE)
    await bench.at(EIGHT - 10 * MINUTE)
    for _ in range(20):
        await bench.at(MINUTE)
        assert await bench.queued() == ()
    assert await bench.states(schedule) == ["07:00 done"]
    assert (await bench.desk.find(1)).next_due_at == EIGHT + DAY


async def test_a_clock_that_was_wrong_by_years_is_forgiven(bench: Bench) -> None:
    """A clock that jumps ahead by 30 years counts as missed times; set right again, tomorrow is due tomorrow."""
    schedule = await bench.add("every day 08:00 Say good morning")
    await bench.at(datetime(2056, 3, 1, 12, 0, tzinfo=START.tzinfo))
    assert len(await bench.work()) == 1
    await bench.at(START + HOUR)
    assert (await bench.desk.find(1)).next_due_at == EIGHT + DAY
    await bench.at(EIGHT + DAY)
    assert len(await bench.work()) == 1
    await bench.at(MINUTE)
    assert [run.state for run in await bench.runs(schedule)] == ["done", "done"]


async def test_a_clock_set_back_while_the_host_was_down_is_seen_at_its_start(bench: Bench) -> None:
    """The first look of a host finds what is due next by the clock that it has now."""
    await bench.add("every 10 min Look")
    await bench.at(datetime(2056, 3, 1, 12, 0, tzinfo=START.tzinfo))
    await bench.work()
    await bench.at(timedelta(seconds=30))
    bench.new_keeper()
    await bench.at(START)
    due = (await bench.desk.find(1)).next_due_at
    assert due is not None
    assert due <= START + 10 * MINUTE


async def test_a_run_whose_submission_is_gone_is_a_failure(bench: Bench) -> None:
    """Whatever took a submission away, its run ends as failed, and the series goes on."""
    schedule = await bench.add("every day 08:00 Look")
    run = await bench.desk.run_now(schedule)
    await bench.store.write(schedule_rows.run_submitted, run, MAIN, SubmissionId("sub_gone"))
    await bench.at(MINUTE)
    assert await bench.states(schedule) == ["06:00 failed unknown_submission"]
    await bench.at(EIGHT)
    assert len(await bench.queued()) == 1


SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
"""Noon before Berlin's clocks jump from 02:00 to 03:00, and back from 03:00 to 02:00; in UTC."""


@pytest.mark.parametrize("is_away", [False, True], ids=["up", "away over the change"])
@pytest.mark.parametrize(
    ("words", "start", "due"),
    [
        ("every day 02:30 Look", SPRING, ["03-29 01:00", "03-30 00:30", "03-31 00:30"]),
        ("every day 02:30 Look", AUTUMN, ["10-25 00:30", "10-26 01:30", "10-27 01:30"]),
        (
            'cron "0 */12 * * *" Look',
            SPRING,
            ["03-28 23:00", "03-29 10:00", "03-29 22:00", "03-30 10:00", "03-30 22:00"],
        ),
        (
            'cron "0 */12 * * *" Look',
            AUTUMN,
            ["10-24 22:00", "10-25 11:00", "10-25 23:00", "10-26 11:00", "10-26 23:00"],
        ),
    ],
)
async def test_a_change_of_the_clocks_loses_no_run_and_repeats_none(
    bench: Bench, words: str, start: datetime, due: list[str], *, is_away: bool
) -> None:
    """Looked at every half hour over a change, or by a host that comes back after it and makes up for what was missed:
    each due time is one run."""
    bench.now = start
    schedule = await bench.add(words.replace("Look", "--missed all Look"))
    bench.new_keeper()
    for number in range(1, 133):
        if is_away and number < 100:
            bench.now += HOUR / 2
            continue
        await bench.at(HOUR / 2)
        await bench.work()
    runs = await bench.runs(schedule)
    assert [f"{run.due_at:%m-%d %H:%M}" for run in runs] == due
    assert {run.state for run in runs[:-1]} == {"done"}


async def test_schedules_of_one_time_start_apart_and_the_same_after_a_restart(bench: Bench) -> None:
    """Jitter spreads them over its length, never before their time, and a new host does not draw again."""
    schedules = [await bench.add("every day 08:00 --jitter 30min Look") for _ in range(6)]
    await bench.at(EIGHT)
    starts = [(await bench.runs(each))[0].start_at for each in schedules]
    assert all(EIGHT <= start <= EIGHT + 30 * MINUTE for start in starts) and len(set(starts)) > 1
    bench.new_keeper()
    for minute in range(31):
        await bench.at(EIGHT + minute * MINUTE)
        begun = sum(start <= bench.now for start in starts)
        assert len(await bench.queued()) == begun
    assert [(await bench.runs(each))[0].start_at for each in schedules] == starts


async def test_starts_are_spread_by_jitter(bench: Bench) -> None:
    """With jitter a run starts somewhat after its time, at the same moment however often one looks."""
    schedule = await bench.add("every day 08:00 --jitter 10min Look")
    pause_s = await bench.at(EIGHT)
    (run,) = await bench.runs(schedule)
    assert EIGHT <= run.start_at <= EIGHT + 10 * MINUTE
    assert pause_s == min(60.0, (run.start_at - EIGHT).total_seconds())
    if run.start_at > EIGHT:
        assert await bench.queued() == ()
    await bench.at(run.start_at)
    assert len(await bench.queued()) == 1


async def test_what_the_pre_check_skips_is_no_failure_and_no_success(bench: Bench) -> None:
    """A task that ended because there was nothing to do is in the history as skipped, and nobody is told."""
    schedule = await bench.add("every day 08:00 Look\n```pre-check\nexit 78\n```")
    await bench.at(EIGHT)
    (submission,) = await bench.queued()
    assert submission.new.pre_check == "exit 78"
    await bench.work(TaskStatus.NOTHING_TO_SAY, "pre_check_skipped")
    await bench.at(MINUTE)
    assert await bench.states(schedule) == ["07:00 skipped pre_check_skipped"]
    assert await bench.told() == []


async def test_an_answer_that_is_not_delivered_reaches_the_owner_elsewhere(bench: Bench) -> None:
    """A run whose answer the delivery gives up is told in the owner's own chat, once."""
    await bench.add("every day 08:00 Say good morning")
    await bench.at(EIGHT)
    await bench.work()
    (row,) = await bench.store.claim_outbox()
    await bench.store.outbox_dead(row.outbox_id, "the bot was removed from the chat")
    for _ in range(3):
        await bench.at(MINUTE)
    assert [text.splitlines()[0] for text in await bench.told()] == [
        f"The schedule 1 of main ran, but its chat {CHAT} did not get the answer: the bot was removed from the chat."
    ]
    (past,) = await bench.desk.history(await bench.desk.find(1))
    assert past.delivery == "not delivered"


async def test_an_answer_that_is_not_delivered_to_the_owners_only_chat_waits_at_the_machine(bench: Bench) -> None:
    """Where the schedule's chat is the owner's own, there is no other: whoever opens a terminal next reads it."""
    (own,) = bench.owner_chats
    await bench.add("every day 08:00 Say good morning", chat=own)
    await bench.at(EIGHT)
    await bench.work()
    (row,) = await bench.store.claim_outbox()
    await bench.store.outbox_dead(row.outbox_id, "the bot was blocked")
    for _ in range(2):
        await bench.at(MINUTE)
    (notice,) = await bench.told(ChatKey("terminal:main"))
    assert "did not get the answer: the bot was blocked" in notice


async def test_delivered_is_said_only_with_a_receipt(bench: Bench) -> None:
    """The history says `on its way` until the platform has confirmed the answer."""
    await bench.add("every day 08:00 Say good morning")
    await bench.at(EIGHT)
    await bench.work()
    await bench.at(MINUTE)
    schedule = await bench.desk.find(1)
    assert [past.delivery for past in await bench.desk.history(schedule)] == ["on its way"]
    assert await bench.told(CHAT) == ["done"]
    assert [past.delivery for past in await bench.desk.history(schedule)] == ["delivered"]


async def test_runs_with_their_own_conversation_share_it(bench: Bench) -> None:
    """`--session own`: all runs of a schedule join one conversation, which no chat has."""
    await bench.add("every day 08:00 --session own Look")
    sessions = set()
    for day in range(2):
        await bench.at(EIGHT + day * DAY)
        sessions |= {submission.session_id for submission in await bench.queued()}
        await bench.work()
        await bench.at(MINUTE)
    (session,) = sessions
    assert session is not None
    assert session != await bench.store.current_session(MAIN, CHAT)
    assert session == await bench.store.current_session(MAIN, ChatKey("schedule:1"))
    assert isinstance(session, str)
    assert SessionId(session)


async def test_a_forgotten_schedule_ends(bench: Bench) -> None:
    """When the words of a schedule are destroyed with the person who wrote them, it is over."""
    schedule = await bench.add("every day 08:00 Say good morning")
    await bench.store.write(forget_rows.forget, [ANNA])
    await bench.at(EIGHT)
    assert await bench.queued() == ()
    known = await bench.store.read(schedule_rows.schedule, schedule.schedule_id)
    assert known is not None
    assert (known.state, known.text) == ("removed", None)


async def test_the_keeper_sleeps_until_it_is_woken(bench: Bench) -> None:
    """Running, it looks when it is woken or something is due, and hardly in between."""
    await bench.add("every day 08:00 Say good morning")
    async with asyncio.timeout(5), asyncio.TaskGroup() as parts:
        running = parts.create_task(bench.keeper.run())
        bench.now = EIGHT
        bench.keeper.wake()
        await bench.queue.arrived.wait()
        running.cancel()
    assert bench.keeper.rounds <= 2
