"""A request that needs approval, from the container's socket to the upstream: held, shown, sent as it was shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from credproxy.admin_client.approvals import (
    WaitingApproval,
    approve,
    deny,
    list_approvals,
    show_approval,
    withdraw,
)
from credproxy.admin_client.audit import AuditFilter, read_log, read_taints
from credproxy.admin_client.link import ProxyRefused
from protocol.ids import TaskId
from protocol.task import EgressRule
from tests.credproxy.street import CANARY, DOOR, Client, Street, Upstream

BODY = b'{"to":"bob","text":"\\u202ehello"}'


@asynccontextmanager
async def bank(street: Street, terms: str = "approval: true") -> AsyncIterator[tuple[Upstream, Client, str]]:
    """An upstream whose POSTs need approval, and a client in its tunnel."""
    async with street.upstream("bank.test") as upstream, street.client() as client:
        street.addresses["bank.test"] = ["127.0.0.1"]
        place = f"host: bank.test, port: {upstream.port}, addresses: [127.0.0.1], secret: key, inject: bearer"
        street.grants = f"- {{{place}, methods: [POST], {terms}}}\n- {{{place}, methods: [GET]}}"
        await street.lease()
        yield (
            upstream,
            await client.tunnel("bank.test", upstream.port, street.ca),
            f"bank.test:{upstream.port}",
        )


async def wanted(street: Street) -> WaitingApproval:
    """The first that waits, once the host was told."""
    event = await street.event("approval_wanted")
    (one,) = [one for one in await list_approvals(street.admin) if one.approval_id == event.detail]
    return one


async def test_request_waits_for_a_yes_and_goes_out_as_shown(street: Street) -> None:
    """The host is told, the summary has all of it without our key, and the upstream gets the very bytes."""
    async with bank(street) as (upstream, inside, host), asyncio.TaskGroup() as group:
        asking = group.create_task(
            inside.ask("POST", "/pay?n=1", host=host, body=BODY, headers=[("content-type", "application/json")])
        )
        one = await wanted(street)
        assert (one.group_id, one.secret, one.body_bytes, one.has_client) == ("main", "key", len(BODY), True)
        assert one.target.startswith("POST https://bank.test:")
        lines = await show_approval(street.admin, one.approval_id)
        assert '| "text": "⟨U+202E⟩hello"' in lines
        assert not any(CANARY in line for line in lines)
        assert upstream.inbox == []
        await approve(street.admin, one.approval_id)
        response = await asking
        assert response.status == 200
        assert upstream.inbox[0].body == BODY
        assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
    page = await read_log(street.admin, AuditFilter())
    steps = [(row.kind, row.detail) for row in page.rows if row.kind in ("approval", "begin")]
    assert [step[0] for step in steps] == ["approval", "approval", "begin"]
    begin = next(row for row in page.rows if row.kind == "begin")
    assert begin.note == f"approval {one.approval_id} by owner"


async def test_refused_request_never_leaves(street: Street) -> None:
    """The agent is told by a person's own words, and that asking again does not help."""
    async with bank(street) as (upstream, inside, host), asyncio.TaskGroup() as group:
        asking = group.create_task(inside.ask("POST", "/pay", host=host, body=BODY))
        one = await wanted(street)
        await deny(street.admin, one.approval_id, because="not to Bob")
        response = await asking
        error = json.loads(response.body)["error"]
        assert (response.status, error["code"], error["retry"]) == (403, "approval_denied", False)
        assert "not to Bob" in error["message"]
        with pytest.raises(ProxyRefused) as refusal:
            await approve(street.admin, one.approval_id)
        assert refusal.value.code == "approval_unknown"
        assert (await inside.ask("GET", "/free", host=host)).status == 200
    assert [arrived.line for arrived in upstream.inbox] == ["GET /free HTTP/1.1"]


async def test_program_that_gave_up_asks_again_and_is_let_through(street: Street) -> None:
    """Also with an idempotency key of ours, which differs from one asking to the next."""
    async with bank(street, "approval: true, idempotency: true") as (upstream, inside, host):
        await inside.begin("POST", "/pay", host=host, body=BODY)
        one = await wanted(street)
        inside.close()
        async with asyncio.timeout(10):
            while (await list_approvals(street.admin))[0].has_client:
                pass  # each look is a question to the proxy, which goes on meanwhile
        await approve(street.admin, one.approval_id)
        async with street.client() as client:
            again = await client.tunnel("bank.test", upstream.port, street.ca)
            assert (await again.ask("POST", "/pay", host=host, body=BODY)).status == 200
            assert len([event for event in street.events if event.kind == "approval_wanted"]) == 1
    assert len(upstream.inbox) == 1


@pytest.mark.parametrize("event", ["end", "freeze", "revoke"])
async def test_what_held_before_must_hold_when_it_is_approved(street: Street, event: str) -> None:
    """A lease that ended, a freeze, a grant taken back while a request waited: it does not go out any more."""
    async with bank(street) as (upstream, inside, host):
        await inside.begin("POST", "/pay", host=host, body=BODY)
        one = await wanted(street)
        if event == "end":
            await street.admin.end(DOOR)
        elif event == "freeze":
            await street.admin.freeze(True)
        else:
            street.grants = "- {host: other.test}"
            await street.admin.reload()
        if event == "freeze":
            with pytest.raises(ProxyRefused):
                await approve(street.admin, one.approval_id)
        else:
            with suppress(ProxyRefused):
                await approve(street.admin, one.approval_id)
        assert await list_approvals(street.admin) == ()
    assert upstream.inbox == []


async def test_constraint_of_the_house_holds_what_a_grant_allows(street: Street) -> None:
    """A request that one names waits for a yes, though its grant asks for none; one that it rules out is refused."""
    async with bank(street, "rate: 30/m") as (upstream, inside, host), asyncio.TaskGroup() as group:
        asks = EgressRule(rule_id="group.yaml:1", then="ask", host="bank.test", methods=("POST",), deadline_s=60)
        never = EgressRule(rule_id="group.yaml:2", then="deny", host="*", methods=("GET",))
        await street.lease(constraints=(asks, never))
        asking = group.create_task(inside.ask("POST", "/pay", host=host, body=BODY))
        one = await wanted(street)
        assert (one.constraint, one.method, one.host) == ("group.yaml:1", "POST", host)
        await approve(street.admin, one.approval_id)
        assert (await asking).status == 200
        refused = await inside.ask("GET", "/free", host=host)
        error = json.loads(refused.body)["error"]
        assert (refused.status, error["code"]) == (403, "constraint_denied")
    assert len(upstream.inbox) == 1


async def test_program_is_told_that_the_answer_is_pending(street: Street) -> None:
    """After the grant's hold time: 429, when to come again, and what to do meanwhile; the later yes counts."""
    async with bank(street, "approval: {hold: 1s, deadline: 1h}") as (upstream, inside, host):
        pending = await inside.ask("POST", "/pay", host=host, body=BODY)
        error = json.loads(pending.body)["error"]
        assert (pending.status, error["code"], error["retry"]) == (429, "approval_pending", True)
        assert pending.headers["retry-after"] == "30"
        one = await wanted(street)
        assert not one.has_client
        assert one.approval_id in error["message"]
        await approve(street.admin, one.approval_id)
        assert (await inside.ask("POST", "/pay", host=host, body=BODY)).status == 200
    assert len(upstream.inbox) == 1


async def test_withdrawn_request_is_as_if_not_asked(street: Street) -> None:
    """The host withdraws it: the client is told, nothing is sent, and the same asked again asks anew."""
    async with bank(street) as (upstream, inside, host), asyncio.TaskGroup() as group:
        asking = group.create_task(inside.ask("POST", "/pay", host=host, body=BODY))
        one = await wanted(street)
        await withdraw(street.admin, one.approval_id)
        await withdraw(street.admin, one.approval_id)
        assert json.loads((await asking).body)["error"]["code"] == "approval_withdrawn"
    assert upstream.inbox == []


async def test_others_words_are_marked_and_kept(street: Street) -> None:
    """What a grant calls untrusted is told to the host, marked for the agent, and known to the audit by its task."""
    async with bank(street, "untrusted: true") as (_upstream, inside, host):
        response = await inside.ask("POST", "/mails", host=host, body=b"")
        assert response.headers["x-nightyard-taint"] == "grant"
        event = await street.event("tainted")
        assert (event.task_id, event.detail) == ("task_1", "grant bank.test")
        assert await read_taints(street.admin, TaskId("task_1")) == (("grant", host),)
        assert await read_taints(street.admin, TaskId("task_2")) == ()
