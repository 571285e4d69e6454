"""Keeps the audit in bounds: sums up its days, and removes from its front what is older than it is to be kept.

The sums are made from the rows by a thread, so a request costs nothing more for them, and a killed process
loses none. They outlive the rows. What is removed is said in the chain first (`chain.py`), then goes in small steps.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence

from credproxy.audit.chain import SYNCED_MARK
from credproxy.audit.entry import DaySum
from credproxy.audit.file import SUMMED_MARK, AuditFile
from credproxy.audit.jobs import AuditFailed
from credproxy.audit.log import Audit
from credproxy.audit.records import read_day_sums

log = logging.getLogger(__name__)

SUM_EVERY_S = 60.0
REMOVE_EVERY_S = 3600.0
SUM_ROWS = 20_000
"""In one question: about 50 ms of a thread."""
CUT_ROWS = 500
"""In one transaction of the loop: about 3 ms."""
CUT_PAUSE_S = 0.05
CUTTING_MARK = "cutting"
"""Up to where the chain says that rows are removed, while that is not done."""
KEEP_SUMS_DAYS = 400
MOST_AT_ONCE = datetime.timedelta(days=1)
"""A clock that stands in the wrong year for an hour must not cost the whole audit."""


class AuditUpkeep:
    """Runs beside the audit."""

    def __init__(self, audit: Audit, keep_days: Callable[[], int]) -> None:
        """`keep_days`: asked each time; 0: everything is kept."""
        self._audit = audit
        self._keep_days = keep_days

    async def run(self) -> None:
        """Look every minute until cancelled; what cannot be done now is done later."""
        loop = asyncio.get_running_loop()
        removed_at = loop.time() - REMOVE_EVERY_S
        while True:
            await asyncio.sleep(SUM_EVERY_S)
            try:
                await sum_up(self._audit)
                if loop.time() - removed_at >= REMOVE_EVERY_S:
                    removed_at = loop.time()
                    await remove_old(self._audit, self._keep_days(), time.time())
            except AuditFailed as failure:
                log.warning("the audit's upkeep waits: %s", failure.reason, extra={"action": "audit_upkeep"})


async def sum_up(audit: Audit) -> None:
    """Bring the daily sums up to the newest row. May be called by several at once. Raises AuditFailed."""
    while True:
        after = int(await audit.mark(SUMMED_MARK) or 0)
        up_to = min(audit.last_seq, after + SUM_ROWS)
        if up_to <= after:
            return
        await _sum_up_rows(audit, after, up_to)


async def _sum_up_rows(audit: Audit, after: int, up_to: int) -> None:
    sums = await audit.read(lambda connection: read_day_sums(connection, after, up_to))
    await audit.write(lambda file: _add_sums(file, sums, after, up_to))


async def remove_old(audit: Audit, keep_days: int, now: float) -> int:
    """Remove rows of whole days that are older than `keep_days` (0: never), a day's worth at once; return up to which
    row, 0 if none. Raises AuditFailed."""
    pending = await audit.mark(CUTTING_MARK)
    if pending is not None:
        await _cut(audit, int(pending))
    if keep_days == 0:
        return 0
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
    kept_from = today - datetime.timedelta(days=keep_days)
    await sum_up(audit)
    up_to = await audit.read(lambda connection: find_old(connection, kept_from))
    if up_to:
        await audit.write(lambda file: _say_cut(file, up_to), needs_sync=True)
        await _cut(audit, up_to)
        log.info("old rows of the audit were removed", extra={"action": "audit_cut", "up_to": up_to})
    sums_from = today - datetime.timedelta(days=max(keep_days, KEEP_SUMS_DAYS))
    await audit.write(lambda file: _fold(file, kept_from, sums_from))
    return up_to


def find_old(connection: sqlite3.Connection, kept_from: datetime.date) -> int:
    """Return the last row to remove, 0 if there is none. What is not summed up or not on the disk stays, and the newest
    row always."""
    first = connection.execute("SELECT seq, at FROM entries ORDER BY seq LIMIT 1").fetchone()
    if first is None or first[1] >= kept_from.isoformat():
        return 0
    first_day = datetime.date.fromisoformat(first[1][:10])
    end = min(kept_from, first_day + MOST_AT_ONCE).isoformat()
    # By place and not by time: rows leave only from the front, wherever the clock stood when they were written.
    kept = connection.execute("SELECT seq FROM entries WHERE at >= ? ORDER BY seq LIMIT 1", (end,)).fetchone()
    last = connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
    marks = dict(connection.execute("SELECT name, value FROM marks WHERE name IN (?, ?)", (SUMMED_MARK, SYNCED_MARK)))
    up_to = min(
        (kept[0] if kept is not None else last) - 1,
        int(marks.get(SUMMED_MARK, 0)),
        int(marks.get(SYNCED_MARK, 0)),
    )
    return up_to if up_to >= first[0] else 0


async def _cut(audit: Audit, up_to: int) -> None:
    is_done = False
    while not is_done:
        is_done = await audit.write(lambda file: file.cut(up_to, CUT_ROWS))
        await asyncio.sleep(CUT_PAUSE_S)  # others' rows go in between
    await audit.forget_marks((CUTTING_MARK,))


def _say_cut(file: AuditFile, up_to: int) -> None:
    file.say_cut(up_to)
    file.set_mark(CUTTING_MARK, str(up_to))


def _add_sums(file: AuditFile, sums: Sequence[DaySum], after: int, up_to: int) -> None:
    """Somebody else may have done it since it was read."""
    if int(file.mark(SUMMED_MARK) or 0) == after:
        file.add_day_sums(sums, up_to)


def _fold(file: AuditFile, use_before: datetime.date, sums_before: datetime.date) -> None:
    file.fold_use(use_before.isoformat())
    file.forget_day(sums_before.isoformat())
