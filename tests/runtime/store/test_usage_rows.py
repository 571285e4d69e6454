"""What models were used, as rows: by task, model, group, person and day; and what was decided about purses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import GroupId
from runtime.money.records import NOTHING_USED, Measure, UsageKey, UsedSum, add
from runtime.store import program_rows, usage_rows
from runtime.store.store import Store
from tests.runtime.store.support import MAIN, claimed, used

ONE, OTHER = "2026-01-31", "2026-02-01"
SIDE = GroupId("side")


async def sums(store: Store, by: UsageKey, since: str = ONE, until: str = OTHER) -> dict[str, int]:
    rows = await store.read(usage_rows.use_of_days, since, until, by)
    return {row.key: row.used.model_calls for row in rows}


async def test_use_is_summed_by_whatever_is_asked(store: Store) -> None:
    """The same rows by day, group, model, task and by who asked for the work."""
    task = (await claimed(store)).task.task_id
    rows = [
        used(ONE, task, calls=2),
        used(OTHER, task, model="other", calls=3),
        used(OTHER, "task_x", SIDE, calls=4),
    ]
    await store.write(usage_rows.put_use, rows)
    assert await sums(store, "day") == {ONE: 2, OTHER: 7}
    assert await sums(store, "group") == {MAIN: 5, SIDE: 4}
    assert await sums(store, "model") == {"m": 6, "other": 3}
    assert await sums(store, "task") == {task: 5, "task_x": 4}
    assert await sums(store, "person") == {"person:telegram:7": 5, "": 4}
    assert await sums(store, "group", OTHER) == {MAIN: 3, SIDE: 4}
    assert await store.model_calls(OTHER) == {MAIN: 3, SIDE: 4}


async def test_the_proxys_sums_take_the_place_of_older_ones(store: Store) -> None:
    """The same row told again, or grown, counts once."""
    for calls in (1, 3, 3):
        await store.write(usage_rows.put_use, [used(ONE, "task_1", calls=calls)])
    (row,) = await store.read(usage_rows.use_of_days, ONE, ONE, "task")
    assert row.used == UsedSum(model_calls=3, input_tokens=300, output_tokens=30, cost_usd=0.5)


async def test_background_work_is_told_apart(store: Store) -> None:
    """A schedule's, another agent's and an unattended program's work is background; a person's is not."""
    await store.write(program_rows.add_program, "desk", [MAIN], "", "cli", is_attended=True)
    submitters = ("schedule:s", "group:side", "program:pipes", "program:desk", "person:x", "cli")

    def add_tasks(transaction: object) -> None:
        for number, submitter in enumerate(submitters):
            transaction._connection.execute(  # type: ignore[attr-defined]  # a task without a message, the short way
                "INSERT INTO tasks (task_id, group_id, submitter, state, created_at) VALUES (?, ?, ?, 'reply', ?)",
                (f"task_{number}", MAIN, submitter, ONE),
            )

    await store.write(add_tasks)
    await store.write(usage_rows.put_use, [used(ONE, f"task_{number}") for number in range(len(submitters))])
    day = await store.read(usage_rows.use_of_day, ONE)
    assert day.machine.model_calls == 6
    assert day.background[MAIN].model_calls == 3
    assert day.of("background:main").model_calls == 3 and day.of("group:main").model_calls == 6
    assert day.of("group:nobody") == NOTHING_USED


async def test_what_was_decided_about_a_purse_stays(store: Store) -> None:
    """Each decision is in the journal; a raise counts, and the card is remembered."""
    await store.write(usage_rows.set_purse, ONE, "machine", "asked", approval_id="A")
    raised: tuple[Measure, ...] = ("usd",)
    await store.write(usage_rows.set_purse, ONE, "machine", "open", raised=raised)
    rows = await store.read(usage_rows.purse_rows, ONE)
    assert (rows["machine"].state, rows["machine"].raises, rows["machine"].approval_id) == ("open", 1, "A")
    assert await store.read(usage_rows.purse_rows, OTHER) == {}
    kinds = [entry.kind for entry in await store.journal_tail()]
    assert kinds == ["purse_changed", "purse_changed"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), st.integers(1, 9), st.none() | st.floats(0, 1)
        )
    )
)
def test_sums_add_up(rows: list[tuple[str, str, int, float | None]]) -> None:
    """However use is added up, nothing is lost and nothing is counted twice."""
    total = NOTHING_USED
    for _task, _model, calls, cost in rows:
        unpriced = calls if cost is None else 0
        total = add(total, UsedSum(model_calls=calls, cost_usd=cost or 0.0, calls_without_price=unpriced))
    assert total.model_calls == sum(row[2] for row in rows)
    assert abs(total.cost_usd - sum(row[3] or 0.0 for row in rows)) < 1e-9
