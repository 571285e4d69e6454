"""Rows of what models were used, as the proxy counted it, and of what people decided about purses.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

import dataclasses
import hmac
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from protocol.ids import GroupId, PersonKey, TaskId
from protocol.link import Ask
from runtime.journal import JournalKind
from runtime.money.payers import Payer, PayerDay, mark_of
from runtime.money.records import (
    NOTHING_USED,
    DayUse,
    KeyedSum,
    Measure,
    PurseRow,
    PurseState,
    SpentTask,
    TaskModelUse,
    UsageKey,
    UsedSum,
    add,
)
from runtime.store import question_rows, task_rows
from runtime.store.database import Transaction
from runtime.store.journal_rows import append
from runtime.store.records import PersonLimits

if TYPE_CHECKING:
    from credproxy.admin_client.audit import ModelUseRow

MARK_CHARS = 10
"""Of a person's purses: 40 bits, so that the longest name of one still fits on a button."""
MAX_KEYS = 500
"""Of one question: a year's tasks are more than anybody reads."""


def put_use(transaction: Transaction, rows: Sequence[ModelUseRow]) -> None:
    """Store the proxy's sums, in place of what was known of the same task, day and model."""
    for row in rows:
        transaction.run(
            "put_model_use",
            day=row.day,
            task_id=row.task,
            group_id=row.group,
            model=row.model,
            route=row.route,
            model_calls=row.model_calls,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost_usd=row.cost_usd,
            calls_without_price=row.calls_without_price,
            last_at=row.last_at,
        )
    for task_id in dict.fromkeys(row.task for row in rows):
        transaction.run("set_background", task_id=task_id)


def use_of_days(
    transaction: Transaction, since: str, until: str, by: UsageKey, group_id: str = ""
) -> tuple[KeyedSum, ...]:
    """Return the use of some UTC days, both included, by day, group, model, submitter or task."""
    rows = transaction.all("use_of_days", since=since, until=until, by=by, group_id=group_id, limit=MAX_KEYS)
    return tuple(KeyedSum(key=row["key"], used=_sum(row)) for row in rows)


def use_of_day(transaction: Transaction, day: str) -> DayUse:
    groups: dict[GroupId, UsedSum] = {}
    background: dict[GroupId, UsedSum] = {}
    for row in transaction.all("use_of_day", day=day):
        group_id, used = GroupId(row["group_id"]), _sum(row)
        groups[group_id] = add(groups.get(group_id, NOTHING_USED), used)
        if row["is_background"]:
            background[group_id] = used
    machine = NOTHING_USED
    for used in groups.values():
        machine = add(machine, used)
    return DayUse(machine=machine, groups=groups, background=background)


def payer(transaction: Transaction, key: PersonKey) -> Payer:
    """Return the person whom a key is of, for what they may use."""
    row = transaction.one("payer", person=key)
    assert row is not None  # somebody unknown is a row too
    person = PersonKey(row["person"])
    return Payer(
        person=person,
        mark=hmac.digest(transaction.key, b"purse\0" + person.encode(), "sha256").hex()[:MARK_CHARS],
        name=row["name"] or person,
        role=row["role"],
        limits=PersonLimits(
            model_calls_per_day=row["model_calls_per_day"],
            cost_usd_per_day=row["cost_usd_per_day"],
        ),
    )


def payer_day(transaction: Transaction, key: PersonKey) -> PayerDay:
    """Return what was done for a person today (UTC)."""
    known, day = payer(transaction, key), transaction.now_text()[:10]
    rows = {name: row for name, row in purse_rows(transaction, day).items() if mark_of(name) == known.mark}
    found = transaction.all("payers_of_day", day=day, person=known.person)
    return PayerDay(payer=known, by_group={GroupId(row["group_id"]): _sum(row) for row in found}, rows=rows)


def payers_of_day(transaction: Transaction, day: str, waiting: Collection[SpentTask]) -> tuple[PayerDay, ...]:
    """Return what was done for each person on a day, and those for whom a task waits for money."""
    groups: dict[PersonKey, dict[GroupId, UsedSum]] = {}
    for row in transaction.all("payers_of_day", day=day, person=""):
        groups.setdefault(PersonKey(row["person"]), {})[GroupId(row["group_id"])] = _sum(row)
    known = {person: payer(transaction, person) for person in groups}
    for spent in waiting:
        if spent.payer and mark_of(spent.purse):
            one = payer(transaction, spent.payer)
            known[one.person] = one
            groups.setdefault(one.person, {}).setdefault(spent.group_id, NOTHING_USED)
    return tuple(PayerDay(payer=one, by_group=groups[person]) for person, one in known.items())


def has_person_limits(transaction: Transaction) -> bool:
    """Return whether anybody has limits of their own on what they may use."""
    return transaction.one("has_person_limits") is not None


def model_calls(transaction: Transaction, day: str) -> Mapping[GroupId, int]:
    return {group_id: used.model_calls for group_id, used in use_of_day(transaction, day).groups.items()}


def use_of_task(transaction: Transaction, task_id: TaskId) -> tuple[TaskModelUse, ...]:
    rows = transaction.all("use_of_task", task_id=task_id)
    return tuple(
        TaskModelUse(model=row["model"], route=row["route"], used=_sum(row), last_at=row["last_at"]) for row in rows
    )


def newest_use_day(transaction: Transaction) -> str:
    """Return the newest day of which any use is known, empty for none."""
    row = transaction.one("newest_use_day")
    return (row["day"] or "") if row else ""


def purse_rows(transaction: Transaction, day: str) -> Mapping[str, PurseRow]:
    """Return what was decided about purses on a day, by name."""
    return {row["purse"]: _purse(row) for row in transaction.all("purses_of_day", day=day)}


def set_purse(
    transaction: Transaction,
    day: str,
    purse: str,
    state: PurseState,
    *,
    approval_id: str = "",
    raised: Collection[Measure] = (),
) -> PurseRow:
    """Note that a purse is empty, or what was decided about it. `raised`: of what it is given as much again."""
    found = transaction.one("purse_of_day", day=day, purse=purse)
    known = _purse(found) if found else PurseRow(day=day, purse=purse, state=state)
    row = PurseRow(
        day=day,
        purse=purse,
        state=state,
        raises=known.raises + bool(raised),
        calls_raises=known.calls_raises + ("calls" in raised),
        tokens_raises=known.tokens_raises + ("tokens" in raised),
        usd_raises=known.usd_raises + ("usd" in raised),
        approval_id=approval_id or known.approval_id,
    )
    transaction.run("put_purse", **dataclasses.asdict(row), changed_at=transaction.now_text())
    append(transaction, JournalKind.PURSE_CHANGED, state, purse=purse, approval=row.approval_id or None)
    return row


def wait_for_money(transaction: Transaction, task_id: TaskId, purse: str, asked: Ask) -> bool:
    """Suspend a running task until there is money again; False if it does not run."""
    row = task_rows.task(transaction, task_id)
    if row is None or row.state != "running":
        return False
    question_rows.ask(transaction, task_id, asked)
    question_rows.suspend(transaction, task_id, "spent")
    stopped_at = transaction.now_text()
    transaction.run("put_spent_task", task_id=task_id, purse=purse, call_id=asked.call_id, stopped_at=stopped_at)
    return True


def ask_for_task(transaction: Transaction, task_id: TaskId, approval_id: str) -> None:
    transaction.run("ask_for_task", task_id=task_id, approval_id=approval_id)


def spent_tasks(transaction: Transaction) -> tuple[SpentTask, ...]:
    """Return the tasks that wait for money, the oldest first."""
    return tuple(_spent(row) for row in transaction.all("spent_tasks"))


def spent_task(transaction: Transaction, task_id: TaskId) -> SpentTask | None:
    row = transaction.one("spent_task", task_id=task_id)
    return _spent(row) if row else None


def end_wait(transaction: Transaction, task_id: TaskId, *, is_raised: bool) -> bool:
    """Note that a task waits for money no more; False: it did not."""
    return transaction.run("end_wait", task_id=task_id, more=int(is_raised)) > 0


def raised_tasks(transaction: Transaction) -> Mapping[TaskId, int]:
    """Return the tasks that have not ended and were given their own limits again, and how often."""
    return {TaskId(row["task_id"]): row["raises"] for row in transaction.all("raised_tasks")}


def _sum(row: sqlite3.Row) -> UsedSum:
    return UsedSum(
        model_calls=row["model_calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=row["cost_usd"],
        calls_without_price=row["calls_without_price"],
    )


def _purse(row: sqlite3.Row) -> PurseRow:
    return PurseRow(
        day=row["day"],
        purse=row["purse"],
        state=row["state"],
        raises=row["raises"],
        calls_raises=row["calls_raises"],
        tokens_raises=row["tokens_raises"],
        usd_raises=row["usd_raises"],
        approval_id=row["approval_id"],
    )


def _spent(row: sqlite3.Row) -> SpentTask:
    return SpentTask(
        task_id=TaskId(row["task_id"]),
        group_id=GroupId(row["group_id"]),
        purse=row["purse"],
        call_id=row["call_id"],
        raises=row["raises"],
        approval_id=row["approval_id"],
        payer=row["payer"],
    )
