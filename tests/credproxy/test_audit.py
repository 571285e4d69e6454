"""The audit: nothing missing, nothing changed unseen, sums that outlive the process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from credproxy.audit.chain import ChainBroken, verify_chain
from credproxy.audit.entry import MODEL_CALL, AuditEntry, CallUse
from credproxy.audit.jobs import AuditFailed
from credproxy.audit.log import Audit
from protocol.ids import TaskId


def call(number: int, *, is_unsafe: bool = False) -> AuditEntry:
    return AuditEntry(
        kind="begin",
        group_id="main",
        task_id="task_1",
        call_id=f"call_{number}",
        target="GET x",
        is_unsafe=is_unsafe,
        detail=MODEL_CALL,
    )


async def fill(path: Path, calls: int = 20) -> None:
    async with Audit(path) as audit:
        await asyncio.gather(*(audit.begin(call(number)) for number in range(calls)))


def copy_as_killed(path: Path, killed: Path) -> None:
    """What a killed process leaves."""
    shutil.copy(path, killed)
    shutil.copy(f"{path}-wal", f"{killed}-wal")
    shutil.copy(path.with_suffix(".begun"), killed.with_suffix(".begun"))


def rows(path: Path, kind: str) -> list[str]:
    """The details of a kind's rows, up to what says when and why."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT detail FROM entries WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
    connection.close()
    return [detail.partition(" since ")[0] for (detail,) in found]


async def test_chain_holds_over_restarts(tmp_path: Path) -> None:
    """Rows of two runs follow from each other; starts and stops stand between them."""
    path = tmp_path / "audit.db"
    await fill(path)
    await fill(path)
    assert verify_chain(path).rows == 2 * 22
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM entries WHERE kind != 'begin' ORDER BY seq")]
    connection.close()
    assert kinds == ["start", "stop", "start", "stop"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET target = 'GET y' WHERE seq = 9",
        "UPDATE entries SET at = '2020-01-01T00:00:00.000+00:00' WHERE seq = 9",
        "DELETE FROM entries WHERE seq = 9",
        "UPDATE entries SET seq = seq + 1000 WHERE seq = 9",
    ],
)
async def test_changed_row_is_found(tmp_path: Path, change: str) -> None:
    """Verifying names the first row that does not follow from the one before it."""
    path = tmp_path / "audit.db"
    await fill(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(ChainBroken):
        verify_chain(path)


@contextlib.contextmanager
def refusing_file(path: Path) -> Iterator[None]:
    """While this holds, no row can be added to the audit's file."""
    breaker = sqlite3.connect(path, isolation_level=None)
    breaker.execute("CREATE TRIGGER broken BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'no'); END")
    yield
    breaker.execute("DROP TRIGGER broken")
    breaker.close()


async def test_failed_write_is_told_and_leaves_the_chain_whole(tmp_path: Path) -> None:
    """A row that cannot be written fails for who waits for it; the next one follows from the last that was."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        await audit.begin(call(1, is_unsafe=True))
        with refusing_file(path), pytest.raises(AuditFailed):
            await audit.begin(call(2, is_unsafe=True))
        await audit.begin(call(3))
    assert verify_chain(path).rows == 5
    assert rows(path, "gap") == ["rows not written: 1"]


async def test_row_written_down_beside_a_failing_file_is_kept_and_stops_the_next(tmp_path: Path) -> None:
    """A call whose row is on record beside the file may go on; when the file then fails, the row is kept and written
    later, and until it is, no other call begins."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        with refusing_file(path):
            await audit.begin(call(1))
            with pytest.raises(AuditFailed):
                await audit.mark("any")
            assert audit.problem
            with pytest.raises(AuditFailed):
                await audit.begin(call(2))
        await audit.begin(call(3))
        assert not audit.problem
    assert verify_chain(path).rows == 5
    with contextlib.closing(sqlite3.connect(path)) as connection:
        begun = [row[0] for row in connection.execute("SELECT call_id FROM entries WHERE kind = 'begin' ORDER BY seq")]
    assert begun == ["call_1", "call_3"]
    assert rows(path, "gap") == ["rows not written: 1"]


async def test_sums_follow_ended_calls(tmp_path: Path) -> None:
    """A call's tokens and price are added when it ends; sums are per group and model."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        for number in range(3):
            await audit.begin(call(number))
        end = AuditEntry(kind="end", group_id="main", task_id="task_1", call_id="call_0", status=200)
        audit.end(end, CallUse(model="m", input_tokens=10, output_tokens=5, cost_usd=0.5))
        use = await audit.task_use(TaskId("task_1"))
        assert (use.model_calls, use.input_tokens, use.output_tokens, use.cost_usd) == (1, 10, 5, 0.5)
        assert use.is_cost_known
        audit.end(end, CallUse(model="other", input_tokens=1, output_tokens=1, cost_usd=None))
        assert not (await audit.task_use(TaskId("task_1"))).is_cost_known
        sums = {model: usage.model_calls for _group, model, usage in await audit.usage(None, None)}
        assert sums == {"m": 1, "other": 1}
        assert await audit.usage(TaskId("other"), None) == []
        assert await audit.usage(None, "2001-01-01") == []


async def test_killed_run_is_marked_and_its_open_calls_count(tmp_path: Path) -> None:
    """A file as a kill leaves it: the chain says so, and calls that never ended count once."""
    path, killed = tmp_path / "audit.db", tmp_path / "killed.db"
    async with Audit(path) as audit:
        for number in range(3):
            await audit.begin(call(number))
        end = AuditEntry(kind="end", group_id="main", task_id="task_1", call_id="call_0", status=200)
        audit.end(end, CallUse(model="m", input_tokens=1, output_tokens=1, cost_usd=0.0))
        await audit.mark("frozen")
        copy_as_killed(path, killed)
    for _start in range(2):
        async with Audit(killed) as audit:
            assert (await audit.task_use(TaskId("task_1"))).model_calls == 3
    assert verify_chain(killed).rows == 10
    with contextlib.closing(sqlite3.connect(killed)) as connection, connection:
        (told,) = connection.execute("SELECT detail FROM entries WHERE kind = 'unclean'").fetchall()
        assert told[0].endswith("; calls without an end: 2")
    connection.close()


async def test_unsafe_call_waits_for_the_disk_and_others_do_not(tmp_path: Path) -> None:
    """The row of a call that changes nothing is there at once; that of one that may waits for the thread's sync."""
    async with Audit(tmp_path / "audit.db") as audit:
        assert audit.begin(call(1)).done()
        unsafe = audit.begin(call(2, is_unsafe=True))
        assert not unsafe.done()
        async with asyncio.timeout(10):
            await unsafe
            assert [found.call_id for found in await audit.calls(TaskId("task_1"), None)] == ["call_2"]


async def test_calls_of_one_round_share_a_commit_and_all_are_told(tmp_path: Path) -> None:
    """Where others are under way a row waits for the end of the loop's round, and fails with those beside it."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        await audit.begin(call(1))
        waiting = [audit.begin(call(number, is_unsafe=True)) for number in (2, 3)]
        assert not any(row.done() for row in waiting)
        await asyncio.gather(*waiting)
        with refusing_file(path):
            unsafe = (audit.begin(call(number, is_unsafe=True)) for number in (4, 5))
            failed = await asyncio.gather(*unsafe, return_exceptions=True)
            assert all(isinstance(failure, AuditFailed) for failure in failed)
    assert verify_chain(path).rows == 6
    assert rows(path, "gap") == ["rows not written: 2"]


async def test_what_the_disk_has_is_marked(tmp_path: Path) -> None:
    """After a sync the file says up to which row it is known to be whole; nobody need write another row for that."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        await audit.begin(call(1, is_unsafe=True))
        assert await audit.mark("synced") == str(audit.last_seq)
        copy_as_killed(path, tmp_path / "killed.db")
    async with Audit(tmp_path / "killed.db"):
        pass
    assert rows(tmp_path / "killed.db", "unclean") == ["synced up to row 2; calls without an end: 1"]
