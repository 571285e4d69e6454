"""Rows on record beside the audit's file: a killed process loses none, and nothing else gets in through there."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from credproxy.audit.begun import MAX_KEPT_BYTES, BegunRows, rows_behind
from credproxy.audit.chain import GENESIS, hash_text, text_of, verify_chain
from credproxy.audit.entry import MODEL_CALL, AuditEntry, CallUse
from credproxy.audit.log import HANDED_OVER_ROWS, Audit
from protocol.ids import TaskId


def begin(number: int) -> AuditEntry:
    return AuditEntry(kind="begin", group_id="main", task_id="task_1", call_id=f"call_{number}", target="GET x")


def spelt(seq: int, before: bytes) -> tuple[bytes, bytes]:
    """A row's line and its hash."""
    text = text_of((seq, "2026-01-01", "begin", *[""] * 8, 0, None, "", "", "", ""))
    row_hash = hash_text(before, text)
    return row_hash.hex().encode() + b" " + text + b"\n", row_hash


async def test_row_that_no_commit_has_taken_yet_outlives_a_kill(tmp_path: Path) -> None:
    """What a call waited for is found by the next start, in its place in the chain, and the call counts as unended."""
    path, killed = tmp_path / "audit.db", tmp_path / "killed.db"
    async with Audit(path) as audit:
        for number in (1, 2):
            assert audit.begin(begin(number)).done()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM entries WHERE kind = 'begin'").fetchone() == (0,)
        for file in (path, Path(f"{path}-wal"), path.with_suffix(".begun")):
            shutil.copy(file, str(file).replace("audit.", "killed."))
    async with Audit(killed):
        pass
    verify_chain(killed)
    with contextlib.closing(sqlite3.connect(killed)) as connection:
        found = connection.execute("SELECT kind, call_id, detail FROM entries ORDER BY seq").fetchall()
    assert [kind for kind, _call, _detail in found] == ["start", "begin", "begin", "unclean", "start", "stop"]
    assert [call for _kind, call, _detail in found if call] == ["call_1", "call_2"]
    assert found[3][2].endswith("calls without an end: 2")


async def test_end_is_written_down_with_the_next_begin_and_its_use_is_counted(tmp_path: Path) -> None:
    """A killed process loses of its ends only those that no begin has followed; tokens that such a row tells are in the
    sums again, at a cost that is not known."""
    path, killed = tmp_path / "audit.db", tmp_path / "killed.db"
    told = '{"request_bytes":1,"response_bytes":2,"model":"large","input_tokens":30,"output_tokens":4}'
    use = CallUse(model="large", input_tokens=30, output_tokens=4, cost_usd=0.5, route="fast")
    async with Audit(path) as audit:
        for number in (1, 2, 3):
            await audit.begin(begin(number)._replace(rule="route:fast", detail=MODEL_CALL))
            if number != 2:
                audit.end(
                    AuditEntry(kind="end", task_id="task_1", group_id="main", call_id=f"call_{number}", detail=told),
                    use,
                )
        for file in (path, Path(f"{path}-wal"), path.with_suffix(".begun")):
            shutil.copy(file, str(file).replace("audit.", "killed."))
    async with Audit(killed) as audit:
        used = await audit.task_use(TaskId("task_1"))
    assert verify_chain(killed).rows == 8
    with contextlib.closing(sqlite3.connect(killed)) as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM entries ORDER BY seq")]
        sums = connection.execute(
            "SELECT model, route, model_calls, input_tokens FROM model_use ORDER BY model"
        ).fetchall()
    assert kinds == ["start", "begin", "end", "begin", "begin", "unclean", "start", "stop"]
    assert sums == [("", "fast", 2, 0), ("large", "fast", 1, 30)]
    assert (used.model_calls, used.input_tokens, used.output_tokens, used.is_cost_known) == (3, 30, 4, False)


async def test_many_rows_between_two_commits_are_all_there(tmp_path: Path) -> None:
    """Rows are given to sqlite a few at a time, and nobody sees them before their commit."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        for number in range(3 * HANDED_OVER_ROWS):
            await audit.begin(begin(number))
            audit.end(begin(number)._replace(kind="end"), None)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    assert verify_chain(path).rows == 2 + 6 * HANDED_OVER_ROWS


async def test_orderly_end_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    """After a clean end, and after commits, the rows are in one place only."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        await audit.begin(begin(1))
        assert path.with_suffix(".begun").stat().st_mode & 0o777 == 0o600
    assert path.with_suffix(".begun").read_bytes() == b""
    async with Audit(path):
        pass
    assert verify_chain(path).rows == 5


async def test_row_that_cannot_be_written_down_is_committed_at_once(tmp_path: Path) -> None:
    """A failing disk beside a file that can be written costs a commit, and no call."""
    path = tmp_path / "audit.db"
    path.with_suffix(".begun").symlink_to("/dev/full")
    async with Audit(path) as audit:
        await audit.begin(begin(1))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM entries WHERE kind = 'begin'").fetchone() == (1,)
        path.with_suffix(".begun").unlink()
    assert verify_chain(path).rows == 3


def test_only_what_follows_is_taken_over() -> None:
    """Rows that the file has are passed over; a torn, changed or foreign line ends it."""
    first, one = spelt(1, GENESIS)
    second, two = spelt(2, one)
    third, _ = spelt(3, two)
    written = first + second + third
    assert [row[0] for row in rows_behind(written, 0, GENESIS)] == [1, 2, 3]
    assert [row[0] for row in rows_behind(written, 2, two)] == [3]
    assert [row[0] for row in rows_behind(written[:-3], 0, GENESIS)] == [1, 2]
    assert [row[0] for row in rows_behind(first + third, 0, GENESIS)] == [1]
    assert [row[0] for row in rows_behind(first + second.replace(b"2026", b"2027") + third, 0, GENESIS)] == [1]
    assert list(rows_behind(written, 0, two)) == []
    for odd in (b"", b"\n", b"\xff" * 80, b"[]", first[:64] + b" {}\n", first[:64] + b' ["1"]\n'):
        assert list(rows_behind(odd, 0, GENESIS)) == []


@pytest.mark.parametrize("size", [100, MAX_KEPT_BYTES + 1])
def test_what_a_busy_moment_wrote_is_given_back(tmp_path: Path, size: int) -> None:
    """A small file is written over; a large one is emptied first."""
    rows = BegunRows(tmp_path / "rows")
    rows.add([(GENESIS, b"x" * size)])
    rows.clear()
    rows.add([(GENESIS, b"y")])
    kept = rows.read()
    rows.close(keep=True)
    assert kept.startswith(b"00" * 32 + b" y\n")
    assert (len(kept) > MAX_KEPT_BYTES) is False
