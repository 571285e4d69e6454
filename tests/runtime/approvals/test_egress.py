"""Held requests, from an agent's socket to a person's chat and back: the proxy, the host and the store are real."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from credproxy.admin_client.approvals import list_approvals
from credproxy.admin_client.audit import read_taints
from protocol.ids import TaskId
from protocol.task import EgressRule
from runtime.approvals.constraint_terms import egress_rules
from runtime.approvals.egress import EgressApprovals
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import Approval, Scope
from runtime.approvals.taint import Taints
from runtime.config import parse_settings
from runtime.group import Groups
from runtime.group_reading import build_group
from tests.credproxy.street import Client, Response, Street, Upstream
from tests.runtime.approvals.support import OLGA, OTTO, Room, chat_of, room
from tests.runtime.store.support import MAIN

BODY = b'{"to":"bob"}'
CONSTRAINED = """
constraints:
  - {host: bank.test, methods: [POST], who: [owner], quorum: 2, deadline: 10m}
"""


@dataclass
class Bank:
    """An upstream whose POSTs wait for a yes, a client in its tunnel, and the host that asks."""

    street: Street
    room: Room
    upstream: Upstream
    client: Client
    host: str
    egress: EgressApprovals

    async def pay(self) -> Response:
        return await self.client.ask("POST", "/pay", host=self.host, body=BODY)

    async def asked(self, number: int = 1) -> tuple[Approval, ...]:
        """Return the questions that wait, once there are so many."""
        async with asyncio.timeout(10):
            while len(waiting := await self.room.approvals.waiting()) < number:
                pass  # each look is a question to the store, and everything else goes on meanwhile
        return waiting


@asynccontextmanager
async def bank(folder: Path, terms: str, group_yaml: str = "") -> AsyncIterator[Bank]:
    group, problems = build_group(MAIN, group_yaml, "", parse_settings("").settings)
    assert problems == ()
    groups = Groups(ready={MAIN: group}, suspended={})
    with tempfile.TemporaryDirectory(prefix="eg-") as short:
        street = Street(Path(short))
        async with street.open(), room(folder) as made, street.upstream("bank.test") as upstream:
            book = PolicyBook(made.store, lambda: groups, lambda: "UTC")
            await book.load()
            made.approvals = made.restarted()
            egress = EgressApprovals(street.admin, made.approvals, book)
            street.addresses["bank.test"] = ["127.0.0.1"]
            place = f"host: bank.test, port: {upstream.port}, addresses: [127.0.0.1], secret: key, inject: bearer"
            street.grants = f"- {{{place}, methods: [POST]{terms}}}"
            await street.lease(constraints=book.egress_rules(MAIN))
            async with street.client() as client, asyncio.TaskGroup() as parts:
                running = [
                    parts.create_task(part) for part in (made.approvals.run(), egress.run(), follow(street, egress))
                ]
                inside = await client.tunnel("bank.test", upstream.port, street.ca)
                yield Bank(street, made, upstream, inside, f"bank.test:{upstream.port}", egress)
                for part in running:
                    part.cancel()


def has_more(street: Street, seen: int) -> bool:
    return len(street.events) > seen


async def follow(street: Street, egress: EgressApprovals) -> None:
    """Tell the host what the proxy tells."""
    seen = 0
    while True:
        await street.wait_for(partial(has_more, street, seen))
        for event in street.events[seen:]:
            egress.note(event)
        seen = len(street.events)


async def test_yes_in_a_chat_lets_the_request_out(tmp_path: Path) -> None:
    """The card has the request as it would be sent; the yes goes back to the proxy, which sends it."""
    async with bank(tmp_path, ", approval: true") as here, asyncio.TaskGroup() as group:
        paying = group.create_task(here.pay())
        (asked,) = await here.asked()
        cards = await here.room.cards()
        assert {card.message.chat for card in cards} == {chat_of(OLGA), chat_of(OTTO)}
        assert '| {"to":"bob"}' in cards[0].message.text
        assert "key" in cards[0].message.text
        await here.room.approvals.decide(asked.approval_id, OLGA, is_yes=True)
        assert (await paying).status == 200
    assert len(here.upstream.inbox) == 1


async def test_no_reaches_the_agent_with_its_reason(tmp_path: Path) -> None:
    """And the very same request is then refused at once, without another card."""
    async with bank(tmp_path, ", approval: true") as here, asyncio.TaskGroup() as group:
        paying = group.create_task(here.pay())
        (asked,) = await here.asked()
        await here.room.approvals.decide(asked.approval_id, OLGA, is_yes=False, because="not to Bob")
        refused = await paying
        error = json.loads(refused.body)["error"]
        assert (refused.status, error["code"]) == (403, "approval_denied")
        assert "not to Bob" in error["message"]
        await here.room.cards()
        assert (await here.pay()).status == 403
        assert await here.room.approvals.waiting() == ()
        assert await here.room.cards() == []
    assert here.upstream.inbox == []


async def test_decision_counts_when_the_agent_asks_again(tmp_path: Path) -> None:
    """The program was told `approval_pending`; after the yes the same request goes out at once, and once."""
    async with bank(tmp_path, ", approval: {hold: 1s, deadline: 1h}") as here:
        pending = await here.pay()
        assert json.loads(pending.body)["error"]["code"] == "approval_pending"
        (asked,) = await here.asked()
        await here.room.approvals.decide(asked.approval_id, OLGA, is_yes=True)
        async with asyncio.timeout(10):
            while await list_approvals(here.street.admin):
                pass  # until the yes has reached the proxy
        assert (await here.pay()).status == 200
        again = await here.pay()
        assert json.loads(again.body)["error"]["code"] == "approval_pending"
    assert len(here.upstream.inbox) == 1


async def test_host_keeps_what_the_proxy_forgets(tmp_path: Path) -> None:
    """The proxy starts anew, or the request comes from a later attempt: what was decided is said again, no card."""
    async with bank(tmp_path, ", approval: {hold: 1s, deadline: 1h}") as here:
        await here.pay()
        (asked,) = await here.asked()
        await here.room.cards()
        here.street.proxy.approvals.withdraw()  # as a restart forgets
        await here.room.approvals.decide(asked.approval_id, OLGA, is_yes=True)
        async with asyncio.TaskGroup() as group:
            paying = group.create_task(here.pay())
            assert (await paying).status == 200
        assert await here.room.approvals.waiting() == ()
        assert (await here.room.approvals.find(asked.approval_id)).used_at is not None


async def test_this_host_until_tonight(tmp_path: Path) -> None:
    """With the wider yes other requests of the same method to the same host go out without a question."""
    async with bank(tmp_path, ", approval: true") as here, asyncio.TaskGroup() as group:
        paying = group.create_task(here.pay())
        (asked,) = await here.asked()
        await here.room.approvals.decide(
            asked.approval_id, OLGA, is_yes=True, remember=Scope(word="host", until="tonight")
        )
        assert (await paying).status == 200
        other = await here.client.ask("POST", "/other", host=here.host, body=b"{}")
        assert other.status == 200
        assert await here.room.approvals.waiting() == ()


async def test_two_of_the_same_are_two_deeds(tmp_path: Path) -> None:
    """One yes lets one of two equal requests out; the other is asked about by itself."""
    async with bank(tmp_path, ", approval: true") as here, here.street.client() as second, asyncio.TaskGroup() as group:
        inside = await second.tunnel("bank.test", here.upstream.port, here.street.ca)
        first = group.create_task(here.pay())
        (asked,) = await here.asked()
        other = group.create_task(inside.ask("POST", "/pay", host=here.host, body=BODY))
        async with asyncio.timeout(10):
            while len(await list_approvals(here.street.admin)) < 2:
                pass
        await here.room.approvals.decide(asked.approval_id, OLGA, is_yes=True)
        (left,) = await here.asked()
        assert left.approval_id != asked.approval_id
        assert len(here.upstream.inbox) == 1
        await here.room.approvals.decide(left.approval_id, OLGA, is_yes=True)
        assert {(await first).status, (await other).status} == {200}
    assert len(here.upstream.inbox) == 2


async def test_constraint_asks_its_own_people_with_its_quorum(tmp_path: Path) -> None:
    """The grant asks nobody; the house does: two owners must agree before the proxy lets it out."""
    async with bank(tmp_path, "", CONSTRAINED) as here, asyncio.TaskGroup() as group:
        paying = group.create_task(here.pay())
        (asked,) = await here.asked()
        assert (asked.who, asked.quorum) == ("owner", 2)
        await here.room.approvals.decide(asked.approval_id, OLGA, is_yes=True)
        assert here.upstream.inbox == []
        await here.room.approvals.decide(asked.approval_id, OTTO, is_yes=True)
        assert (await paying).status == 200


@pytest.mark.parametrize(("who", "quorum"), [("telegram:1", 1), ("'telegram:1', 'telegram:2', 'telegram:3'", 2)])
async def test_a_grants_own_people_do_not_loosen_a_quorum(tmp_path: Path, who: str, quorum: int) -> None:
    """Where a grant names who decides, as many of them must agree as the constraint says, or all of them."""
    async with bank(tmp_path, f", approval: {{who: [{who}]}}", CONSTRAINED) as here, asyncio.TaskGroup() as group:
        paying = group.create_task(here.pay())
        (asked,) = await here.asked()
        assert asked.quorum == quorum
        paying.cancel()


async def test_stopped_task_takes_its_question_along(tmp_path: Path) -> None:
    """Withdrawn at the host, the request is answered at the proxy, and counts as never asked."""
    async with bank(tmp_path, ", approval: true") as here, asyncio.TaskGroup() as group:
        paying = group.create_task(here.pay())
        (asked,) = await here.asked()
        assert await here.room.approvals.withdraw(asked.approval_id, "its task was stopped")
        answer = await paying
        assert json.loads(answer.body)["error"]["code"] == "approval_withdrawn"


async def test_task_that_read_the_web_is_tainted_while_the_host_was_away(tmp_path: Path) -> None:
    """The proxy is asked, so that an event that nobody heard is not forgotten; nobody to ask counts as tainted."""
    async with bank(tmp_path, ", untrusted: true") as here:
        taints = Taints(here.room.store, here.room.approvals, partial(read_taints, here.street.admin))
        assert not (await taints.taint_of(TaskId("task_1"))).is_tainted
        assert (await here.pay()).status == 200
        taint = await taints.taint_of(TaskId("task_1"))
        assert taint.sources == (("grant", here.host),)
        asked = await taints.guard(
            "memory", task_id=TaskId("task_1"), group_id=MAIN, payload={"text": "x"}, summary="It would remember this."
        )
        assert asked is not None
        assert asked.is_open
        assert "bank.test" in asked.summary


def test_a_looser_constraint_takes_the_place_of_no_stricter_one() -> None:
    """Of several about one host the proxy is given that first which wants the most, whatever its time."""
    text = """constraints:
  - {host: a.test, who: [admin], deadline: 5m}
  - {host: a.test, who: [owner], deadline: 1h}
  - {host: a.test, who: [admin], quorum: 2, deadline: 2h}
  - {host: a.test, then: deny, deadline: 7d}
"""
    group, problems = build_group(MAIN, text, "", parse_settings("").settings)
    assert problems == ()
    assert [rule.rule_id[-1] for rule in egress_rules(group.constraints)] == ["4", "3", "2", "1"]


@pytest.mark.parametrize("then", ["ask", "deny"])
def test_constraints_reach_the_lease(then: str) -> None:
    """What group.yaml says about hosts is what the proxy is given."""
    text = f"constraints:\n  - {{host: '*.example.org', methods: [POST], then: {then}, deadline: 10m}}\n"
    group, problems = build_group(MAIN, text, "", parse_settings("").settings)
    assert problems == ()
    (rule,) = egress_rules(group.constraints)
    assert rule == EgressRule(
        rule_id="group.yaml:1",
        then="ask" if then == "ask" else "deny",
        host="*.example.org",
        methods=("POST",),
        deadline_s=600,
    )
