"""Keeping the audit in bounds: sums that outlive rows, rows that go in order and said, a clock that cannot cost all."""

from __future__ import annotations

import asyncio
import datetime
import time
from pathlib import Path

import pytest

from credproxy.admin_client.audit import AuditFilter, TotalsKey
from credproxy.audit.chain import ChainBroken, verify_chain
from credproxy.audit.entry import AuditEntry, CallUse
from credproxy.audit.file import MAX_HOSTS_A_DAY, OTHER_HOSTS
from credproxy.audit.log import Audit
from credproxy.audit.records import TotalsQuery
from credproxy.audit.upkeep import CUT_ROWS, remove_old, sum_up
from protocol.ids import TaskId
from tests.credproxy.audit.rows import ask, begin, call, change, end, write_audit

DAY_S = 86400.0
YEAR = ("2001-01-01", "2199-01-01")


async def totals(audit: Audit, by: TotalsKey, group: str = "") -> dict[str, tuple[int, ...]]:
    await sum_up(audit)
    found = await audit.totals(TotalsQuery(since=YEAR[0], until=YEAR[1], by=by, group_id=group))
    return {
        row.key: (row.requests, row.denied, row.failed, row.request_bytes, row.response_bytes) for row in found.traffic
    }


def denied(target: str, **fields: str) -> AuditEntry:
    return AuditEntry(kind="denied", group_id="main", target=target, detail="host_not_granted", **fields)  # type: ignore[arg-type]  # all texts


async def test_days_sum_up_by_group_host_and_key(tmp_path: Path) -> None:
    """Requests, refusals, failures and bytes; a host's usual port is left out, another one is part of its name."""
    async with Audit(tmp_path / "audit.db") as audit:
        await call(audit, 1)
        await call(audit, 2, target="GET https://api.example.org:8443/", secret="", group_id="other")
        await audit.begin(begin(3, target="POST http://plain.example.org/a/b", secret=""))
        audit.end(end(3, status=503), None)
        await audit.note(denied("CONNECT https://api.example.org:443"))
        await audit.note(denied("GET http://plain.example.org:80/"))
        await audit.note(denied("GET /nonsense"))
        assert await totals(audit, "host") == {
            "api.example.org": (1, 1, 0, 10, 100),
            "api.example.org:8443": (1, 0, 0, 10, 100),
            "plain.example.org": (1, 1, 1, 10, 100),
            "": (0, 1, 0, 0, 0),
        }
        assert await totals(audit, "group") == {"main": (2, 3, 1, 20, 200), "other": (1, 0, 0, 10, 100)}
        assert await totals(audit, "secret") == {"key": (1, 0, 0, 10, 100), "": (2, 3, 1, 20, 200)}
        assert await totals(audit, "host", "other") == {"api.example.org:8443": (1, 0, 0, 10, 100)}
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        assert set(await totals(audit, "day")) == {today}


async def test_summing_twice_counts_once(tmp_path: Path) -> None:
    """Each row is counted once, over restarts and with several who ask at the same time."""
    path = tmp_path / "audit.db"
    for number in range(2):
        async with Audit(path) as audit:
            await call(audit, number)
            await asyncio.gather(*(sum_up(audit) for _ in range(5)))
            assert (await totals(audit, "group"))["main"][0] == number + 1


async def test_invented_hosts_do_not_fill_the_sums(tmp_path: Path) -> None:
    """Beyond so many hosts of a group in a day, the rest are summed up as one."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        for number in range(MAX_HOSTS_A_DAY + 7):
            await audit.note(denied(f"GET https://h{number}.example.org/"))
        await sum_up(audit)
        await audit.note(denied("GET https://h1.example.org/"))
        await sum_up(audit)
    assert ask(path, "SELECT count(*) FROM daily") == [(MAX_HOSTS_A_DAY + 1,)]
    assert ask(path, f"SELECT denied FROM daily WHERE host = '{OTHER_HOSTS}'") == [(7,)]


def at(day: int, hour: int = 12) -> str:
    return f"2026-01-{day:02}T{hour:02}:00:00.000+00:00"


async def test_old_rows_go_and_their_sums_stay(tmp_path: Path) -> None:
    """Rows older than so many days leave from the front; the chain says so and is whole; the sums are as before."""
    path = tmp_path / "audit.db"
    write_audit(path, [at(day) for day in (1, 2, 3) for _ in range(CUT_ROWS + 1)])
    now = datetime.datetime(2026, 1, 12, 3, tzinfo=datetime.UTC).timestamp()
    async with Audit(path) as audit:
        before = await totals(audit, "day")
        assert before["2026-01-01"][1] == CUT_ROWS + 1
        assert await remove_old(audit, 10, now) == CUT_ROWS + 1
        assert await remove_old(audit, 10, now) == 0
        assert await totals(audit, "day") == before
        assert (await audit.rows(AuditFilter(kinds=("denied",)), after_seq=0))[0].at == at(2)
        assert [row.kind for row in await audit.rows(AuditFilter())][-1] == "retention"
    assert verify_chain(path).first_seq == CUT_ROWS + 2
    async with Audit(path):
        pass
    verify_chain(path)


async def test_a_wrong_clock_costs_a_day_at_a_look(tmp_path: Path) -> None:
    """A clock that stands in another century for an hour takes one day's rows and sums, not all of them."""
    path = tmp_path / "audit.db"
    write_audit(path, [at(day) for day in (1, 2, 3) for _ in range(10)])
    far = time.time() + 40_000 * DAY_S
    async with Audit(path) as audit:
        assert len(await totals(audit, "day")) == 3
        assert await remove_old(audit, 90, far) == 10
        assert set(await totals(audit, "day")) == {"2026-01-02", "2026-01-03"}
        assert await remove_old(audit, 90, far) == 20
    assert verify_chain(path).first_seq == 21


async def test_rows_leave_in_order_wherever_the_clock_stood(tmp_path: Path) -> None:
    """A row with an old time behind one with a new time stays until that may go."""
    path = tmp_path / "audit.db"
    write_audit(path, [at(1), at(20), at(1), at(2)])
    now = datetime.datetime(2026, 1, 15, tzinfo=datetime.UTC).timestamp()
    async with Audit(path) as audit:
        assert await remove_old(audit, 10, now) == 1
        assert await remove_old(audit, 10, now) == 0
    assert verify_chain(path).first_seq == 2


async def test_nothing_is_removed_where_all_is_to_be_kept(tmp_path: Path) -> None:
    """Zero days stand for ever; and what is young enough stays under any setting."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        await call(audit, 1)
        assert await remove_old(audit, 0, time.time() + 4000 * DAY_S) == 0
        assert await remove_old(audit, 1, time.time()) == 0
    assert verify_chain(path).first_seq == 1


async def test_a_cut_that_a_kill_broke_off_is_gone_on_with(tmp_path: Path) -> None:
    """After it was said and half done the chain verifies, and the next look does the rest."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        for number in range(20):
            await call(audit, number)
        await sum_up(audit)
        await audit.write(lambda file: file.say_cut(30), needs_sync=True)
        await audit.set_mark("cutting", "30")
        assert not await audit.write(lambda file: file.cut(30, 7))
    check = verify_chain(path)
    assert check.first_seq == 8
    async with Audit(path) as audit:
        await remove_old(audit, 90, time.time())
        rows = await audit.rows(AuditFilter())
    assert rows[0].seq == 31
    assert verify_chain(path).first_seq == 31
    change(path, "UPDATE marks SET value = '30:' || replace(substr(value, 4), substr(value, 4, 8), '00000000')")
    with pytest.raises(ChainBroken):
        verify_chain(path)


async def test_rows_cut_elsewhere_than_said_are_found(tmp_path: Path) -> None:
    """A cut that goes on beyond what its row says is no cut of ours."""
    path = tmp_path / "audit.db"
    async with Audit(path) as audit:
        for number in range(20):
            await call(audit, number)
        await audit.write(lambda file: file.say_cut(10), needs_sync=True)
        await audit.write(lambda file: file.cut(10, 100))
    assert verify_chain(path).first_seq == 11
    (digest,) = ask(path, "SELECT lower(hex(hash)) FROM entries WHERE seq = 15")[0]
    change(path, f"DELETE FROM entries WHERE seq <= 15; UPDATE marks SET value = '15:{digest}' WHERE name = 'cut'")
    with pytest.raises(ChainBroken, match="rows up to 15"):
        verify_chain(path)


async def test_use_of_old_tasks_is_summed_up(tmp_path: Path) -> None:
    """A day's use by group and model is the same before and after; rows of single tasks do not grow for ever."""
    path = tmp_path / "audit.db"
    use = CallUse(model="m", input_tokens=10, output_tokens=5, cost_usd=0.5)
    async with Audit(path) as audit:
        for number in range(6):
            await audit.begin(begin(number, task_id=f"task_{number % 3}"))
            audit.end(end(number, task_id=f"task_{number % 3}"), use)
        before = await audit.usage(None, None)
        await remove_old(audit, 90, time.time() + 200 * DAY_S)
        await remove_old(audit, 90, time.time() + 200 * DAY_S)
        assert await audit.usage(None, None) == before
        assert (await audit.task_use(TaskId("task_1"))).model_calls == 0
        models = (await audit.totals(TotalsQuery(since=YEAR[0], until=YEAR[1], by="model"))).models
    assert [(row.key, row.model_calls, row.input_tokens, row.cost_usd) for row in models] == [("m", 6, 60, 3.0)]
    assert ask(path, "SELECT count(*) FROM model_use") == [(1,)]
