"""Approvals: one yes lets one request out once, the very one that was shown; nobody is asked too much."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from credproxy.admin_client.audit import AuditFilter
from credproxy.approvals.approvals import (
    MAX_BODY_BYTES,
    MAX_OPEN_IN_GROUP,
    OWNER,
    Approvals,
    ApprovalUnknown,
    Hold,
    NotTheirs,
)
from credproxy.approvals.held import Approved, HeldRequest, digest_of
from credproxy.audit.jobs import AuditFailed
from credproxy.audit.log import Audit
from credproxy.policy.verdict import Approval, Deny
from credproxy.wire.target import Target
from protocol.ids import AttemptId, GroupId, TaskId
from tests.credproxy.approvals.requests import make_request

NOW = 1_800_000_000.0
ONE_MINUTE = Approval(deadline_s=60)


class Desk:
    """Approvals on a real audit, with who was told."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.told: list[str] = []
        self.approvals = Approvals(audit, self._tell)
        self._has_told = asyncio.Event()

    def _tell(self, _request: HeldRequest, approval_id: str) -> None:
        self.told.append(approval_id)
        self._has_told.set()

    async def waiting(self, number: int = 1) -> tuple[Hold, ...]:
        """Return the holds, once there are so many and their owner was told."""
        async with asyncio.timeout(5):
            while len(self.told) < number:
                self._has_told.clear()
                await self._has_told.wait()
        return self.approvals.waiting(NOW)

    async def steps(self) -> list[str]:
        """What the audit says happened, in order."""
        rows = await self.audit.rows(AuditFilter(kinds=("approval",)))
        return [f"{row.detail} {row.note.partition(' by ')[2]}".strip() for row in rows]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Audit(tmp_path / "audit.db") as audit:
        yield Desk(audit)


async def test_approved_request_goes_out_once(desk: Desk) -> None:
    """The yes is for this sending: the same request again is asked about again."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (hold,) = await desk.waiting()
        await desk.approvals.approve(hold.approval_id, OWNER, NOW)
        verdict = await asking
        assert isinstance(verdict, Approved)
        assert verdict.covers(make_request())
        again = group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (second,) = await desk.waiting(2)
        assert second.approval_id != hold.approval_id
        await desk.approvals.deny(second.approval_id, OWNER, NOW, because="once is enough")
        denied = await again
        assert isinstance(denied, Deny)
        assert (denied.code, "once is enough" in denied.sentence) == ("approval_denied", True)
    assert await desk.steps() == ["wanted", "approved owner", "wanted", "denied owner"]


@pytest.mark.parametrize(
    "changed",
    [
        {"body": b'{"amount": 2}'},
        {"method": "PUT"},
        {"target": Target(scheme="https", host="evil.example", port=443, path="/pay")},
        {"target": Target(scheme="https", host="bank.example", port=443, path="/pay", query="to=me")},
        {"target": Target(scheme="https", host="bank.example", port=8443, path="/pay")},
        {"headers": ((b"content-type", b"application/json"), (b"x-account", b"2"))},
        {"headers": ()},
        {"group_id": GroupId("other")},
        {"secret": "other"},
    ],
)
def test_another_request_is_not_what_was_approved(changed: dict[str, object]) -> None:
    """Whatever differs in what would be sent, the approval does not cover it."""
    verdict = Approved(approval_id="a", by=OWNER, digest=digest_of(make_request()))
    assert verdict.covers(make_request())
    assert not verdict.covers(dataclasses.replace(make_request(), **changed))  # type: ignore[arg-type]  # as given


def test_parts_cannot_be_shifted_into_each_other() -> None:
    """A header's end taken as a body's beginning is another request."""
    one = dataclasses.replace(make_request(), headers=((b"a", b"bc"),), body=b"d")
    other = dataclasses.replace(make_request(), headers=((b"a", b"b"),), body=b"cd")
    third = dataclasses.replace(make_request(), headers=((b"ab", b"c"),), body=b"d")
    assert len({digest_of(each) for each in (one, other, third)}) == 3


async def test_client_that_gave_up_is_answered_when_it_asks_again(desk: Desk) -> None:
    """Programs wait half a minute, people take longer: what was decided meanwhile counts, for one sending."""
    asking = asyncio.ensure_future(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
    (hold,) = await desk.waiting()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert not desk.approvals.waiting(NOW)[0].has_client
    await desk.approvals.approve(hold.approval_id, OWNER, NOW + 40)
    other = dataclasses.replace(make_request(), body=b"{}")
    assert isinstance(await desk.approvals.hold(other, Approval(deadline_s=0), NOW + 41), Deny)
    verdict = await desk.approvals.hold(make_request(), ONE_MINUTE, NOW + 41)
    assert isinstance(verdict, Approved)
    assert verdict.approval_id == hold.approval_id
    assert isinstance(await desk.approvals.hold(make_request(), Approval(deadline_s=0), NOW + 42), Deny)


async def test_an_unused_yes_runs_out(desk: Desk) -> None:
    """It counts for as long after the decision as the person had for it, and no longer."""
    for later_s, expected in ((109, Approved), (111, Deny)):
        asking = asyncio.ensure_future(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (hold,) = await desk.waiting(len(desk.told) + 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await desk.approvals.approve(hold.approval_id, OWNER, NOW + 50)
        verdict = await desk.approvals.hold(make_request(), Approval(deadline_s=0), NOW + later_s)
        assert isinstance(verdict, expected)


async def test_a_second_of_the_same_waits_for_a_yes_of_its_own(desk: Desk) -> None:
    """Two equal requests at once are two deeds."""
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW)) for _ in range(2)]
        first, second = await desk.waiting(2)
        await desk.approvals.approve(first.approval_id, OWNER, NOW)
        assert isinstance(await both[0], Approved)
        assert not both[1].done()
        await desk.approvals.deny(second.approval_id, OWNER, NOW)
        assert isinstance(await both[1], Deny)


async def test_a_no_stands_until_its_deadline(desk: Desk) -> None:
    """The same again is refused without asking the person again; when it has run out, they are asked."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (hold,) = await desk.waiting()
        await desk.approvals.deny(hold.approval_id, OWNER, NOW)
        await asking
    verdict = await desk.approvals.hold(make_request(), ONE_MINUTE, NOW + 30)
    assert isinstance(verdict, Deny)
    assert len(desk.told) == 1
    verdict = await desk.approvals.hold(make_request(), Approval(deadline_s=0), NOW + 61)
    assert isinstance(verdict, Deny)
    assert (verdict.code, len(desk.told)) == ("approval_expired", 2)


async def test_nobody_answers(desk: Desk) -> None:
    """At the deadline the request is refused, and a yes comes too late."""
    verdict = await desk.approvals.hold(make_request(), Approval(deadline_s=0.01), NOW)
    assert isinstance(verdict, Deny)
    assert verdict.code == "approval_expired"
    assert "0.01 seconds" in verdict.sentence
    with pytest.raises(ApprovalUnknown):
        await desk.approvals.approve(desk.told[0], OWNER, NOW)
    assert await desk.steps() == ["wanted", "expired"]


async def test_client_that_waited_long_is_told_that_the_answer_is_pending(desk: Desk) -> None:
    """After its hold time a program is told so, with when to ask again; the yes that comes later lets the same request
    out, also when a later attempt of the group asks it."""
    approval = Approval(deadline_s=600, hold_s=0.01)
    verdict = await desk.approvals.hold(make_request(), approval, NOW)
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.retry_after_s) == ("approval_pending", 30.0)
    (hold,) = desk.approvals.waiting(NOW)
    assert hold.approval_id in verdict.sentence
    assert not hold.has_client
    again = await desk.approvals.hold(make_request(), approval, NOW + 30)
    assert isinstance(again, Deny)
    assert (again.code, len(desk.told)) == ("approval_pending", 1)
    await desk.approvals.approve(hold.approval_id, OWNER, NOW + 400)
    later = dataclasses.replace(make_request(), attempt_id=AttemptId("attempt_2"), task_id=TaskId("task_2"))
    assert isinstance(await desk.approvals.hold(later, approval, NOW + 500), Approved)


async def test_abandoned_hold_runs_out(desk: Desk) -> None:
    """After its deadline it is gone from the list, and cannot be approved."""
    asking = asyncio.ensure_future(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
    (hold,) = await desk.waiting()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    with pytest.raises(ApprovalUnknown):
        await desk.approvals.approve(hold.approval_id, OWNER, NOW + 60)
    assert desk.approvals.waiting(NOW) == ()
    assert await desk.steps() == ["wanted", "expired"]


async def test_a_flood_does_not_wear_the_person_out(desk: Desk) -> None:
    """So many of one group may be open, whether their clients wait or not; another group is not kept from asking."""
    flood = [
        asyncio.ensure_future(desk.approvals.hold(make_request(body=str(number).encode()), ONE_MINUTE, NOW))
        for number in range(1000)
    ]
    await desk.waiting(MAX_OPEN_IN_GROUP)
    refused = await asyncio.gather(*flood[MAX_OPEN_IN_GROUP:])
    assert {verdict.code for verdict in refused if isinstance(verdict, Deny)} == {"approval_quota"}
    assert len(refused) == 1000 - MAX_OPEN_IN_GROUP
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    verdict = await desk.approvals.hold(make_request(), ONE_MINUTE, NOW)
    assert isinstance(verdict, Deny)
    assert (verdict.code, verdict.retry_after_s) == ("approval_quota", 60.0)
    assert len(desk.told) == MAX_OPEN_IN_GROUP
    other = dataclasses.replace(make_request(), group_id=GroupId("other"))
    await desk.approvals.hold(other, Approval(deadline_s=0), NOW)
    assert len(desk.told) == MAX_OPEN_IN_GROUP + 1


async def test_who_may_decide(desk: Desk) -> None:
    """A grant that names persons is decided by them, or at the machine itself."""
    approval = Approval(deadline_s=60, who=("telegram:1",))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(desk.approvals.hold(make_request(), approval, NOW))
        (hold,) = await desk.waiting()
        with pytest.raises(NotTheirs):
            await desk.approvals.approve(hold.approval_id, "telegram:2", NOW)
        assert not asking.done()
        await desk.approvals.approve(hold.approval_id, "telegram:1", NOW)
        verdict = await asking
    assert isinstance(verdict, Approved)
    assert verdict.by == "telegram:1"


async def test_withdrawn_hold_asks_nobody_any_more(desk: Desk) -> None:
    """The host withdraws what nobody wants decided: its client is told, no yes counts, the others wait on."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (hold,) = await desk.waiting()
        desk.approvals.withdraw("another")
        assert desk.approvals.waiting(NOW) == (hold,)
        desk.approvals.withdraw(hold.approval_id)
        verdict = await asking
    assert isinstance(verdict, Deny)
    assert verdict.code == "approval_withdrawn"
    with pytest.raises(ApprovalUnknown):
        await desk.approvals.approve(hold.approval_id, OWNER, NOW)
    assert await desk.steps() == ["wanted", "withdrawn"]


async def test_only_one_of_two_words_counts(desk: Desk) -> None:
    """A yes and a no at the same moment: the first stands, the other is told that it came too late."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (hold,) = await desk.waiting()
        words = await asyncio.gather(
            desk.approvals.approve(hold.approval_id, OWNER, NOW),
            desk.approvals.deny(hold.approval_id, OWNER, NOW),
            return_exceptions=True,
        )
        verdict = await asking
    assert isinstance(verdict, Approved)
    assert isinstance(words[1], ApprovalUnknown)


async def test_too_large_a_body_is_refused_at_once(desk: Desk) -> None:
    """What is held is held in memory, so it has its bound."""
    request: HeldRequest = make_request(body=b"x" * (MAX_BODY_BYTES + 1))
    verdict = await desk.approvals.hold(request, ONE_MINUTE, NOW)
    assert isinstance(verdict, Deny)
    assert (verdict.code, desk.told) == ("approval_body_too_large", [])


async def test_an_audit_that_fails_lets_nothing_out(tmp_path: Path) -> None:
    """A yes that cannot be put on record is none; the request goes on waiting for one that can."""
    async with Audit(tmp_path / "audit.db") as audit, asyncio.TaskGroup() as group:
        desk = Desk(audit)
        asking = group.create_task(desk.approvals.hold(make_request(), ONE_MINUTE, NOW))
        (hold,) = await desk.waiting()
        breaker = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
        breaker.execute("CREATE TRIGGER broken BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(AuditFailed):
            await desk.approvals.approve(hold.approval_id, OWNER, NOW)
        assert not asking.done()
        breaker.execute("DROP TRIGGER broken")
        breaker.close()
        await desk.approvals.approve(hold.approval_id, OWNER, NOW)
        assert isinstance(await asking, Approved)
