"""The log as it is asked for: by group, task, host, key, kind, note and time, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from credproxy.admin_client.audit import AuditFilter, read_log, read_totals
from credproxy.admin_client.link import ProxyRefused
from credproxy.audit.entry import AuditEntry
from credproxy.audit.log import Audit
from protocol.codec import ShapeError
from tests.credproxy.audit.rows import begin, call, end
from tests.credproxy.street import GROUP, Street


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[Audit]:
    """Five calls and a refusal."""
    async with Audit(tmp_path / "audit.db") as audit:
        await call(audit, 1)
        await call(audit, 2, target="POST https://a.example.org:8443/x", group_id="other", secret="")
        await call(audit, 3, target="GET http://deep.a.example.org/x", note="reserve 1")
        await call(audit, 4, target="GET https://example.org.evil.test/x", note="would_deny host_not_granted")
        await audit.begin(begin(5, task_id="task_2", target="GET https://[::1]:9000/"))
        audit.end(end(5, task_id="task_2"), None)
        await audit.note(AuditEntry(kind="denied", group_id="main", target="GET /odd", detail="bad_request"))
        yield audit


@pytest.mark.parametrize(
    ("chosen", "calls"),
    [
        (AuditFilter(kinds=("end",)), "12345"),
        (AuditFilter(kinds=("begin",), group="other"), "2"),
        (AuditFilter(kinds=("end",), task="task_2"), "5"),
        (AuditFilter(kinds=("end",), host="api.example.org"), "1"),
        (AuditFilter(kinds=("end",), host="a.example.org"), ""),
        (AuditFilter(kinds=("end",), host="a.example.org:8443"), "2"),
        (AuditFilter(kinds=("end",), host=".example.org"), "13"),
        (AuditFilter(kinds=("end",), host=".test"), "4"),
        (AuditFilter(kinds=("end",), host="[::1]:9000"), "5"),
        (AuditFilter(kinds=("end",), host="%"), ""),
        (AuditFilter(kinds=("end",), secret="key", group="main"), "1345"),
        (AuditFilter(kinds=("begin",), note="would_deny"), "4"),
        (AuditFilter(kinds=("end",), since="2001-01-01"), "12345"),
        (AuditFilter(kinds=("end",), since="2199-01-01"), ""),
        (AuditFilter(group="' OR 1=1 --"), ""),
    ],
)
async def test_rows_are_chosen(audit: Audit, chosen: AuditFilter, calls: str) -> None:
    """Each condition narrows, all must hold, and none is read as anything but a word."""
    assert "".join(row.call.removeprefix("call_") for row in await audit.rows(chosen)) == calls


async def test_pages_follow_each_other(audit: Audit) -> None:
    """Without a place the newest come, in order; with one, what follows it."""
    newest = await audit.rows(AuditFilter(), limit=3)
    assert [row.seq for row in newest] == [audit.last_seq - 2, audit.last_seq - 1, audit.last_seq]
    assert newest[-1].kind == "denied"
    seen: list[int] = []
    after = 0
    while page := await audit.rows(AuditFilter(), after_seq=after, limit=4):
        seen += [row.seq for row in page]
        after = page[-1].seq
    assert seen == list(range(1, audit.last_seq + 1))


async def test_log_over_the_admin_socket(street: Street) -> None:
    """A page says where the next begins, with or without rows in it; what is no number is refused."""
    nothing = await read_log(street.admin, AuditFilter(group=GROUP))
    assert nothing.rows == ()
    await street.ask("GET", "http://nowhere.example/", host="nowhere.example")
    await street.lease()
    await street.ask("GET", "http://nowhere.example/", host="nowhere.example")
    page = await read_log(street.admin, AuditFilter(group=GROUP), after_seq=nothing.next_seq)
    assert [(row.kind, row.detail) for row in page.rows] == [("denied", "host_not_granted")]
    assert (await read_log(street.admin, AuditFilter(), after_seq=page.next_seq)).rows == ()
    one = await read_log(street.admin, AuditFilter(), after_seq=0, limit=1)
    assert one.next_seq == one.rows[0].seq == 1
    for wrong in ({"limit": 0}, {"limit": "many"}, {"after_seq": -1}, {"filter": {"kinds": 3}}):
        with pytest.raises(ProxyRefused) as refusal:
            await street.admin.ask("audit_log", wrong)
        assert refusal.value.code == "wrong_shape"
    totals = await read_totals(street.admin, since="2001-01-01", until="2199-01-01", by="host")
    assert [(row.key, row.denied) for row in totals.traffic] == [("nowhere.example", 2)]
    with pytest.raises((ProxyRefused, ShapeError)):
        await street.admin.ask("audit_totals", {"since": "a", "until": "b", "by": "1; DROP TABLE daily"})
