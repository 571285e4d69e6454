"""The same request again on one connection: not read anew, and never let out by what held before."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from credproxy.pipeline.entry import Misdirected, Tunnel
from credproxy.pipeline.familiar import Familiar, HeadParts
from credproxy.policy.rules import Policy
from credproxy.policy.verdict import Allow, Ask
from credproxy.wire.plain import Request, read_plain_request
from credproxy.wire.target import Authority
from protocol.task import EgressRule
from tests.credproxy.policy.judging import LEASE
from tests.credproxy.street import CANARY, GROUP, TIMEOUT_S, Street

TUNNEL = Tunnel(authority=Authority(host="api.test", port=443), scheme="https")
ALLOW = Allow(rule="main:1", secret="key", injection=None)
HEAD = b"GET /a HTTP/1.1\r\nhost: api.test\r\n\r\n"


def request(head: bytes = HEAD) -> Request:
    read = read_plain_request(head)
    assert read is not None
    return read


def test_same_request_is_read_and_allowed_once() -> None:
    """The same object under the same tunnel and policy comes to the same Ask, Allow and parts."""
    familiar, same, policy = Familiar(), request(), Policy()
    asked = familiar.read(same, TUNNEL, policy)
    assert isinstance(asked, Ask)
    familiar.take_verdict(asked, LEASE, policy, ALLOW)
    parts = HeadParts((b"/a",), [])
    familiar.take_parts(same, ALLOW, parts)
    assert familiar.read(same, TUNNEL, policy) is asked
    assert familiar.find_allow(asked, LEASE, policy) is ALLOW
    assert familiar.find_parts(same, ALLOW) is parts


def test_nothing_is_known_of_another_request_lease_policy_or_tunnel() -> None:
    """Whatever a decision came from, another one of it is decided anew, however alike it is."""
    same, policy = request(), Policy()

    def known() -> tuple[Familiar, Ask]:
        familiar = Familiar()
        asked = familiar.read(same, TUNNEL, policy)
        assert isinstance(asked, Ask)
        familiar.take_verdict(asked, LEASE, policy, ALLOW)
        familiar.take_parts(same, ALLOW, HeadParts((), []))
        return familiar, asked

    familiar, asked = known()
    assert familiar.find_allow(asked, replace(LEASE), policy) is None
    assert familiar.find_allow(asked, None, policy) is None
    assert familiar.find_allow(asked, LEASE, Policy()) is None
    assert familiar.find_parts(same, replace(ALLOW)) is None
    for other in (
        (request(), TUNNEL, policy),
        (same, replace(TUNNEL), policy),
        (same, TUNNEL, Policy()),
    ):
        familiar, asked = known()
        again = familiar.read(*other)
        assert isinstance(again, Ask)
        assert again is not asked
        assert familiar.find_allow(again, LEASE, policy) is None
        assert familiar.find_parts(same, ALLOW) is None
    familiar, asked = known()
    with pytest.raises(Misdirected):
        familiar.read(request(b"GET /a HTTP/1.1\r\nhost: other.test\r\n\r\n"), TUNNEL, policy)
    assert familiar.find_allow(asked, LEASE, policy) is None


def test_what_time_can_change_is_decided_each_time() -> None:
    """A grant with an end, and whatever holds during a dry run, is not kept; a no is not either."""
    for policy, allow in (
        (Policy(), replace(ALLOW, expires_at=time.time() + 60)),
        (Policy(dry_until={GROUP: time.time() + 60}), ALLOW),
    ):
        familiar = Familiar()
        asked = familiar.read(request(), TUNNEL, policy)
        assert isinstance(asked, Ask)
        familiar.take_verdict(asked, LEASE, policy, allow)
        assert familiar.find_allow(asked, LEASE, policy) is None


@pytest.mark.parametrize(
    ("terms", "constraints", "status"),
    [
        ("", (), 200),
        (", approval: true", (), 409),
        (", must_carry: true", (), 409),
        (None, (), 403),
        ("", (EgressRule(rule_id="r", host="api.test", then="deny"),), 403),
        ("", (EgressRule(rule_id="r", host="api.test", then="ask"),), 409),
    ],
)
async def test_what_holds_when_a_slow_body_is_there_counts(
    street: Street, terms: str | None, constraints: tuple[EgressRule, ...], status: int
) -> None:
    """A request that was begun in time gets past nothing that is asked for since; a grant that only moved in its file
    is the same grant."""
    async with street.upstream("api.test") as upstream, street.client() as door:
        street.addresses["api.test"] = ["127.0.0.1"]
        place = f"host: api.test, port: {upstream.port}, secret: key, inject: bearer, addresses: [127.0.0.1]"
        street.grants = f"- {{{place}}}"
        street.proxy.reload()
        await street.lease()
        client = await door.tunnel("api.test", upstream.port, street.ca)
        host = f"api.test:{upstream.port}"
        client.writer.write(f"POST /a HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{{".encode())
        await street.admin.health()  # a whole round behind it
        if constraints:
            street.has_policy_changed = False
            await street.lease(constraints=constraints)
        else:
            street.grants = "[]" if terms is None else f"- {{host: b.test}}\n- {{{place}{terms}}}"
            street.proxy.reload()
        client.writer.write(b"}")
        async with asyncio.timeout(TIMEOUT_S):
            head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert len(upstream.inbox) == (status == 200)


async def test_the_very_same_bytes_are_let_out_only_while_they_are_granted(street: Street) -> None:
    """On one kept connection: yes, yes, no without the grant, yes with it again, no by a quota, by a constraint of the
    lease, and where a secret is gone."""
    async with street.upstream("api.test") as upstream, street.client() as door:
        street.addresses["api.test"] = ["127.0.0.1"]
        place = f"host: api.test, port: {upstream.port}, secret: key, inject: bearer, addresses: [127.0.0.1]"
        statuses: list[int] = []

        async def ask(grants: str | None = None) -> None:
            if grants is not None:
                street.grants = grants
                await street.admin.reload()
            statuses.append((await client.ask("GET", "/a", host=f"api.test:{upstream.port}")).status)

        street.grants = f"- {{{place}}}"
        street.proxy.reload()
        await street.lease()
        client = await door.tunnel("api.test", upstream.port, street.ca)
        await ask()
        await ask()
        await ask("[]")
        await ask(f"- {{{place}, daily: 1}}")
        await ask()
        await ask(f"- {{{place}}}")
        await street.lease(constraints=(EgressRule(rule_id="r", host="api.test", then="deny"),))
        await ask()
        await street.lease()
        await ask()
        await street.admin.secret_remove("key")
        await ask()
    assert statuses == [200, 200, 403, 200, 429, 200, 403, 200, 424]
    assert [arrived.header("authorization") for arrived in upstream.inbox] == [[f"Bearer {CANARY}"]] * 5
