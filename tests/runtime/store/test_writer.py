"""The writer: group commit, one bad job among good ones, bounds, a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.store.database import Database, Transaction, open_database, utc_now
from runtime.store.errors import StoreBroken, StoreBusy, StoreClosed, StoreMisused
from runtime.store.reader import Reader
from runtime.store.writer import Writer

REPOSITORY = Path(__file__).parents[3]
TIMEOUT_S = 20


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path, utc_now)


def put_flag(name: str) -> Callable[[Transaction], str]:
    def job(transaction: Transaction) -> str:
        transaction.run("set_flag", name=name, value=1, set_by="test", set_at=transaction.now_text())
        return name

    return job


def flags(database: Database) -> set[str]:
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM flags")}


def commits(database: Database) -> int:
    """Count the commit frames in the write-ahead log: those whose header names the file's size after the commit."""
    log = database.path.with_name("store.db-wal").read_bytes()
    page_bytes = int.from_bytes(log[8:12], "big")
    headers = (log[offset : offset + 24] for offset in range(32, len(log), 24 + page_bytes))
    return sum(1 for header in headers if int.from_bytes(header[4:8], "big") > 0)


async def test_jobs_that_wait_share_a_commit(database: Database) -> None:
    """Many jobs at once are all stored, with far fewer commits than jobs."""
    with contextlib.closing(Writer(database)) as writer:
        names = await asyncio.gather(*(writer.run(put_flag(f"f{number}")) for number in range(300)))
        assert commits(database) < 30
        assert flags(database) == set(names)


async def test_what_is_acknowledged_is_in_the_file(database: Database) -> None:
    """When a job's value is there, another connection sees what it stored."""
    with contextlib.closing(Writer(database)) as writer:
        for number in range(20):
            name = await writer.run(put_flag(f"f{number}"))
            assert name in flags(database)


async def test_a_bad_job_fails_alone(database: Database) -> None:
    """Jobs that raise, break a rule or give a wrong statement undo only themselves, those beside them are stored."""

    def raises(transaction: Transaction) -> None:
        put_flag("half")(transaction)
        raise LookupError("no such thing")

    def breaks_a_rule(transaction: Transaction) -> None:
        put_flag("half")(transaction)
        transaction.run("insert_task", task_id="t", group_id=None, session_id=None, submitter="", chat=None,
                        reply_to=None, created_at="")  # fmt: skip

    def forgets_a_value(transaction: Transaction) -> None:
        put_flag("half")(transaction)
        transaction.run("set_flag", name="x")

    with contextlib.closing(Writer(database)) as writer:
        jobs = [put_flag("before"), raises, breaks_a_rule, forgets_a_value, put_flag("after")]
        outcomes = await asyncio.gather(*(writer.run(job) for job in jobs), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [str, LookupError, StoreMisused, StoreMisused, str]
        assert flags(database) == {"before", "after"}


async def test_a_cancelled_caller_harms_nobody(database: Database) -> None:
    """A caller that gives up leaves the others' jobs as they are, and the writer working."""
    release = threading.Event()
    with contextlib.closing(Writer(database)) as writer:
        blocked = asyncio.ensure_future(writer.run(lambda _: release.wait(TIMEOUT_S)))
        given_up = asyncio.ensure_future(writer.run(put_flag("given up")))
        kept = asyncio.ensure_future(writer.run(put_flag("kept")))
        await asyncio.sleep(0)
        given_up.cancel()
        release.set()
        async with asyncio.timeout(TIMEOUT_S):
            assert await kept == "kept"
            assert await blocked
        assert given_up.cancelled()
        assert "kept" in flags(database)


async def test_too_much_waiting_is_refused(database: Database) -> None:
    """Above the bound a job is refused at once, and taken again when there is room."""
    release = threading.Event()
    with contextlib.closing(Writer(database, max_waiting=2)) as writer:
        waiting = [asyncio.ensure_future(writer.run(lambda _: release.wait(TIMEOUT_S))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StoreBusy, match="2 writes are waiting"):
            await writer.run(put_flag("refused"))
        release.set()
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*waiting)
        assert await writer.run(put_flag("taken")) == "taken"


async def test_closing_stores_what_waits(database: Database) -> None:
    """Jobs given before the end are stored; later ones are refused."""
    writer = Writer(database)
    last = asyncio.ensure_future(writer.run(put_flag("last")))
    await asyncio.sleep(0)
    writer.close()
    assert await last == "last"
    assert flags(database) == {"last"}
    with pytest.raises(StoreClosed):
        await writer.run(put_flag("too late"))


async def test_readers_see_what_was_stored_and_change_nothing(database: Database) -> None:
    """A read sees every acknowledged change, and is refused one of its own."""
    with contextlib.closing(Writer(database)) as writer, contextlib.closing(Reader(database)) as reader:
        await writer.run(put_flag("seen"))
        assert await reader.run(lambda transaction: transaction.one("flag", name="seen")) is not None
        with pytest.raises(StoreBroken, match="readonly"):
            await reader.run(put_flag("forbidden"))
        assert await reader.run(lambda transaction: transaction.one("flag", name="forbidden")) is None


async def test_a_job_of_the_reader_sees_one_state(database: Database) -> None:
    """A commit in the middle of a read is not seen by it: its parts fit together."""
    began, go_on = threading.Event(), threading.Event()

    def look_twice(transaction: Transaction) -> tuple[object, object]:
        first = transaction.one("flag", name="new")
        began.set()
        go_on.wait(TIMEOUT_S)
        return first, transaction.one("flag", name="new")

    with contextlib.closing(Writer(database)) as writer, contextlib.closing(Reader(database)) as reader:
        looking = asyncio.ensure_future(reader.run(look_twice))
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.to_thread(began.wait, TIMEOUT_S)
            await writer.run(put_flag("new"))
            go_on.set()
            assert await looking == (None, None)


FULL_DISK = """
import asyncio, sys
from pathlib import Path
from runtime.store.database import open_database, utc_now
from runtime.store.errors import StoreFull
from runtime.store.store import open_store
from protocol.ids import ChannelId

async def main(home):
    acked = []
    async with open_store(home) as store:
        try:
            for number in range(1000):
                await store.store_raw(ChannelId("c"), f"e{number}", bytes(20_000))
                acked.append(f"e{number}")
        except StoreFull as error:
            print("full:", error)
        (home / "ballast").unlink()
        await store.store_raw(ChannelId("c"), "after", b"x")
        acked.append("after")
    async with open_store(home) as store:
        stored = [update.event_id for update in await store.pending_raws([ChannelId("c")], 10_000)]
        print("kept:", stored == acked, len(acked) > 5, (await store.verify_journal()).broken_at)
    try:
        with (home / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    try:
        open_database(home, utc_now)
    except StoreFull as error:
        print("not opened:", error)

home = Path(sys.argv[1])
(home / "ballast").write_bytes(bytes(1_000_000))
asyncio.run(main(home))
"""


def test_a_full_disk_is_said_and_got_over(tmp_path: Path) -> None:
    """On a full disk the caller is told so in plain words, keeps all that was acknowledged, and goes on after it; who
    opens the store there is told the same."""
    script = tmp_path / "full_disk.py"
    script.write_text(FULL_DISK)
    home = tmp_path / "home"
    home.mkdir()
    mounted = f"mount -t tmpfs -o size=3m none {home} && exec {sys.executable} {script} {home}"
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if "unshare:" in run.stderr or "mount:" in run.stderr:
        pytest.skip(f"no small disk can be mounted here: {run.stderr.strip()}")
    assert run.stderr == ""
    assert "is full: nothing was stored" in run.stdout
    assert "kept: True True None" in run.stdout
    assert "not opened: the disk that holds" in run.stdout
