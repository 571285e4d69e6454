"""What must hold in a house at any moment, and what once everything has come to its end; read from its store and from
what its people, agents and proxy saw."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import datetime
from typing import Any

from runtime.money.purses import MACHINE as MACHINE_PURSE
from runtime.schedules.records import Schedule
from tests.runtime.house_model import (
    BACKGROUND_CALLS,
    CHATS,
    DAY_CALLS,
    DAY_USD,
    MACHINE,
    MACHINE_CALLS,
    MAIN,
    PARALLEL,
    SIDE,
    TASK_CALLS,
    ModelHouse,
)
from tests.runtime.puppets import CALL_USD, SAID

MESSAGE_ENDS = ("message_answered", "message_dead", "message_refused")


def ask(house: ModelHouse, query: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(f"file:{house.home.path / 'store.db'}?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query, values).fetchall()


def begun(house: ModelHouse, what: str) -> tuple[int, int]:
    """Return how many tasks of a group (`freeze`: of all) ever began, and went on after they had waited. Work that was
    ended while it waited is a task too, which began nothing."""
    started = ask(
        house,
        "SELECT j.kind, count(*) FROM v_journal AS j JOIN v_tasks AS t ON t.task_id = j.refs ->> '$.task'"
        " WHERE j.kind IN ('task_started', 'task_resumed') AND ? IN ('freeze', t.\"group\")"
        " AND EXISTS (SELECT 1 FROM v_attempts AS a WHERE a.task_id = t.task_id) GROUP BY j.kind",
        what,
    )
    counts = dict(started)
    return counts.get("task_started", 0), counts.get("task_resumed", 0)


def check_always(house: ModelHouse) -> None:
    """Raise AssertionError for what may never be."""
    assert not house.faults, house.faults
    assert not house.ledger.unheld, "a model was called without a lease"
    _check_budgets(house)
    _check_lanes(house)
    _check_caps(house)
    _check_decisions(house)
    _check_schedules(house)


def check_end(house: ModelHouse, heard: dict[str, str]) -> None:
    """Raise AssertionError unless everything came to its one end. `heard`: chat by word of what was said there."""
    check_always(house)
    _check_messages(house, heard)
    _check_answers(house)
    for (times,) in ask(house, "SELECT count(*) FROM v_tasks WHERE submission_id IS NOT NULL GROUP BY submission_id"):
        assert times == 1, "a submission became two tasks"
    outbox = dict(ask(house, "SELECT idempotency_key, state FROM v_outbox"))
    assert set(outbox.values()) <= {"sent"}, outbox


def _check_budgets(house: ModelHouse) -> None:
    raised = Counter(
        task_id
        for task_id, state in ask(house, "SELECT task_id, state FROM v_approvals WHERE kind = 'spending'")
        if task_id is not None and state == "approved"
    )
    for task_id, calls in house.ledger.by_task.items():
        if house.ledger.groups[task_id] != SIDE:
            allowed = TASK_CALLS * (1 + raised[task_id])
            assert calls <= allowed, f"{task_id} made {calls} model calls, and may make {allowed}"
    calls_raises: Counter[str] = Counter()
    usd_raises: Counter[str] = Counter()
    for purse, of_calls, of_usd in ask(house, "SELECT purse, calls_raises, usd_raises FROM v_purses"):
        calls_raises[purse] += of_calls
        usd_raises[purse] += of_usd
    submitters = dict(ask(house, "SELECT task_id, submitter FROM v_tasks"))
    of_side = {task: calls for task, calls in house.ledger.by_task.items() if house.ledger.groups[task] == SIDE}
    in_background = {task for task in of_side if submitters[task].startswith(("program:", "schedule:"))}
    background = sum(calls for task, calls in of_side.items() if task in in_background)
    for purse, calls, limit in (
        (f"group:{SIDE}", sum(of_side.values()), DAY_CALLS),
        (f"background:{SIDE}", background, BACKGROUND_CALLS),
        (MACHINE_PURSE, house.ledger.by_task.total(), MACHINE_CALLS),
    ):
        allowed = limit * (1 + calls_raises[purse])
        assert calls <= allowed, f"{purse} paid for {calls} model calls, and holds {allowed}"
    spent = CALL_USD * sum(calls for task, calls in house.ledger.by_task.items() if task not in of_side)
    holds = DAY_USD * (1 + usd_raises[f"group:{MAIN}"])
    assert spent <= holds, f"{MAIN} spent {spent} dollars, and has {holds}"


def _check_lanes(house: ModelHouse) -> None:
    busy = ask(
        house,
        "SELECT session_id, count(*) FROM v_tasks WHERE state = 'running' AND session_id IS NOT NULL"
        " GROUP BY session_id HAVING count(*) > 1",
    )
    assert not busy, f"two tasks of one session run: {busy}"
    claims = ask(
        house,
        "SELECT m.session_id, m.seq, min(j.seq) FROM v_messages AS m JOIN v_journal AS j"
        " ON j.kind = 'message_claimed' AND j.refs ->> '$.message' = m.message_id"
        " GROUP BY m.message_id ORDER BY m.session_id, m.seq",
    )
    newest: dict[str, int] = defaultdict(int)
    for session_id, seq, claim in claims:
        assert claim > newest[session_id], f"message {seq} was taken on before one that came before it"
        newest[session_id] = claim


def _check_caps(house: ModelHouse) -> None:
    running = Counter(group for (group,) in ask(house, "SELECT \"group\" FROM v_tasks WHERE state = 'running'"))
    assert running.total() <= MACHINE, f"{running.total()} tasks run on a machine of {MACHINE}"
    for group_id, most in PARALLEL.items():
        assert running[group_id] <= most, f"{running[group_id]} tasks of {group_id} run at once, and {most} may"


def _check_decisions(house: ModelHouse) -> None:
    voted = Counter(json.loads(refs)["approval"] for (refs,) in _journal(house, "approval_voted"))
    twice = [approval_id for approval_id, times in voted.items() if times > 1]
    assert not twice, f"more than one word counted: {twice}"
    stored = dict(ask(house, "SELECT approval_id, state FROM v_approvals"))
    for approval_id, (by, is_yes) in house.decided.items():
        expected = "approved" if is_yes else "denied"
        assert stored[approval_id] == expected, f"{by} said {expected}, and {approval_id} is {stored[approval_id]}"
    yes: Counter[tuple[str, str]] = Counter()
    for group_id, body in ask(
        house,
        "SELECT a.group_id, p.body ->> '$.payload.arguments.command' FROM approvals AS a JOIN payloads AS p"
        " USING (payload_id) WHERE a.kind = 'tool' AND a.state = 'approved'",
    ):
        yes[group_id, str(body).rpartition(" ")[2]] += 1
    for (group_id, argument), times in house.deeds.let_through.items():
        allowed = yes[group_id, argument]
        assert times <= allowed, f"{group_id} pushed {argument} {times} times, and was let {allowed} times"


def _check_schedules(house: ModelHouse) -> None:
    runs = ask(
        house,
        "SELECT schedule_id, due_at, origin, state, gone_by, submission_id FROM v_schedule_runs ORDER BY due_at",
    )
    own = [run for run in runs if run[2] in ("due", "missed")]
    twice = [key for key, times in Counter((run[0], run[1]) for run in own).items() if times > 1]
    assert not twice, f"a due time was taken twice: {twice}"
    submitted = [run[5] for run in runs if run[5] is not None]
    assert len(submitted) == len(set(submitted)), "two runs share a submission"


async def check_due_times(house: ModelHouse, schedule: Schedule, made_at: datetime, minutes: int) -> None:
    """Raise AssertionError unless each due time so far, one every so many minutes, is a run, or counted by one, as its
    policy says. The keeper must have looked."""
    found = await house.schedules.find(schedule.schedule_id)
    assert found.next_due_at is not None and schedule.next_due_at is not None
    past = round((found.next_due_at - schedule.next_due_at).total_seconds() / 60 / minutes)
    runs = ask(
        house,
        "SELECT origin, state, gone_by FROM v_schedule_runs WHERE schedule_id = ? AND origin IN ('due', 'missed')",
        schedule.schedule_id,
    )
    counted = sum(1 + gone_by for _, _, gone_by in runs)
    # What one run stood for while the clock was ahead may come again by its own time: it was not worked on by itself.
    is_right = counted >= past if house.was_set_back else counted == past
    assert is_right, f"{past} due times of {found.missed} since {made_at}, and {counted} are accounted for"
    if found.missed == "skip":
        made_up = [run for run in runs if run[0] == "missed" and run[1] != "skipped"]
        assert not made_up, "a due time that is to be skipped was made up for"
    if found.missed != "run_once":
        hidden = [run for run in runs if run[2] and run[1] != "skipped"]
        assert not hidden, "one run stands for several due times"


def _check_messages(house: ModelHouse, heard: dict[str, str]) -> None:
    rows = {
        found.group(): (state, message_id, chat)
        for text, state, message_id, chat in ask(house, "SELECT text, state, message_id, chat FROM v_messages")
        if (found := SAID.search(text or ""))
    }
    assert rows.keys() == heard.keys(), (
        f"lost: {heard.keys() - rows.keys()}, from nowhere: {rows.keys() - heard.keys()}"
    )
    ends = Counter(
        json.loads(refs)["message"] for kind in MESSAGE_ENDS for (refs,) in _journal(house, kind)
    )  # fmt: skip
    for word, (state, message_id, chat) in rows.items():
        assert chat == heard[word], f"{word} is filed in {chat}"
        assert state in ("answered", "dead", "refused"), f"{word} has no end: {state}"
        assert ends[message_id] == 1, f"{word} has {ends[message_id]} ends"


def _check_answers(house: ModelHouse) -> None:
    """Each answered message is in exactly one answer of its chat; answers name them in their order, and come in it but
    where a task waited for a person, for whom the others do not wait."""
    answered: Counter[str] = Counter()
    for chat in CHATS:
        texts = [m.text for m in house.bench.channel.sent if m.chat == chat and m.text.startswith("answer")]
        numbers = [[int(word[1:]) for word in SAID.findall(text)] for text in texts]
        answered.update(f"w{number}" for group in numbers for number in group)
        assert all(group == sorted(group) for group in numbers), f"out of order in {chat}: {texts}"
        flat = [group[0] for group in numbers if group]
        suspended = ask(
            house,
            "SELECT 1 FROM v_journal AS j JOIN v_tasks AS t ON t.task_id = j.refs ->> '$.task'"
            " WHERE j.kind = 'task_suspended' AND t.chat = ?",
            chat,
        )
        assert suspended or flat == sorted(flat), f"out of order in {chat}: {texts}"
    twice = [word for word, times in answered.items() if times > 1]
    assert not twice, f"answered twice: {twice}"
    replied = ask(
        house,
        "SELECT m.text FROM v_messages AS m JOIN v_tasks AS t USING (task_id) WHERE t.state = 'reply'"
        " AND m.state = 'answered'",
    )
    missing = {SAID.findall(text)[0] for (text,) in replied} - answered.keys()
    assert not missing, f"said to be answered, and nobody saw it: {missing}"


def _journal(house: ModelHouse, kind: str) -> list[Any]:
    return ask(house, "SELECT refs FROM v_journal WHERE kind = ?", kind)
