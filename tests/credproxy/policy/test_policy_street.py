"""Policy through real sockets: denials that teach, dry runs that take down, why as the proxy knows it."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from credproxy.admin_client import policy as client
from credproxy.admin_client.link import ProxyRefused
from credproxy.policy.rules import Policy
from tests.credproxy.street import CANARY, GROUP, TIMEOUT_S, Arrived, Street


async def test_denial_names_the_command_that_would_allow_it(street: Street) -> None:
    """The body has code, sentence, command and no-retry hint; what the agent wrote is quoted for a shell."""
    street.grants = "- {host: example.org, scheme: http, methods: [GET], paths: [/a]}"
    await street.lease()
    denial = await street.ask("GET", "http://example.org/$(reboot)'", host="example.org")
    error = json.loads(denial.body)["error"]
    assert (denial.status, error["code"], error["retry"]) == (403, "path_not_granted", False)
    assert error["grant_with"] == (
        "nightyard allow host main example.org --scheme http --method GET --path '/$(reboot)'\"'\"''"
    )
    starred = await street.ask("GET", "http://example.org/**", host="example.org")
    assert json.loads(starred.body)["error"]["grant_with"] == "edit groups/main/grants.yaml: paths"


async def test_rate_is_told_with_when_to_come_again(street: Street) -> None:
    """A request over the rate is refused as too many, with a wait, and does not go out."""
    street.addresses["example.org"] = ["127.0.0.1"]
    async with street.upstream() as upstream:
        street.grants = (
            f"- {{host: example.org, scheme: http, port: {upstream.port}, addresses: [127.0.0.1], rate: 2/h}}"
        )
        await street.lease()
        place = f"example.org:{upstream.port}"
        answers = [await street.ask("GET", f"http://{place}/", host=place) for _each in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[2].headers["x-nightyard"] == "rate_reached"
        assert 1700 < int(answers[2].headers["retry-after"]) <= 1800
        assert json.loads(answers[2].body)["error"]["retry"] is True
        assert len(upstream.inbox) == 2


async def test_day_s_quota_outlives_the_proxy(short_folder: Path) -> None:
    """A daily quota that is used up is used up after a restart too."""
    street = Street(short_folder)
    street.addresses["example.org"] = ["127.0.0.1"]
    async with street.upstream() as upstream:
        street.grants = (
            f"- {{host: example.org, scheme: http, port: {upstream.port}, addresses: [127.0.0.1], daily: 1}}"
        )
        place = f"example.org:{upstream.port}"
        statuses = []
        for _process in range(2):
            async with street.open():
                await street.lease()
                statuses.append((await street.ask("GET", f"http://{place}/", host=place)).status)
        assert statuses == [200, 429]
        assert len(upstream.inbox) == 1


async def test_dry_run_lets_out_takes_down_and_ends(short_folder: Path) -> None:
    """What would be denied goes out without a key while the dry run is on, over a restart of the proxy too; the
    private address that the name stands for stays out of reach; what was let out is told; ended is ended."""
    street = Street(short_folder)
    street.addresses["example.org"] = ["127.0.0.1"]
    async with street.open():
        await street.lease()
        begun = await client.begin_dry_run(street.admin, GROUP, 600)
        assert (begun.is_on, begun.let_out) == (True, 0)
    async with street.open():
        await street.lease()
        answer = await street.ask("POST", "http://example.org/x?q=secret", host="example.org", body=b"{}")
        assert answer.headers["x-nightyard"] == "address_refused"
        (seen,) = await client.seen(street.admin, GROUP, denied=False)
        assert seen == client.Seen(method="POST", url="http://example.org/x", code="host_not_granted", times=1)
        told = await client.why(street.admin, GROUP, "https://example.org/", "GET", "live")
        assert (told.is_allowed, told.rule, told.code) == (True, "dry-run", "host_not_granted")
        ended = await client.begin_dry_run(street.admin, GROUP, 0)
        assert (ended.is_on, ended.let_out) == (False, 1)
        denial = await street.ask("GET", "http://example.org/", host="example.org")
        assert denial.headers["x-nightyard"] == "host_not_granted"
        with pytest.raises(ProxyRefused, match="no dry run"):
            await client.begin_dry_run(street.admin, GROUP, 0)
        denied = await client.seen(street.admin, GROUP, denied=True)
        assert [each.code for each in denied] == ["host_not_granted"]
        assert [each.group for each in await client.dry_runs(street.admin)] == [GROUP]


async def test_why_tells_rule_secret_and_what_would_be_put_in(street: Street) -> None:
    """The answer names the rule, the secret and whether it is there, what goes where and on which conditions, never
    the value."""
    street.grants = (
        "- {host: a.org, methods: [GET], secret: key, inject: {header: X-Key}, daily: 9, must_carry: true}\n"
        "- {host: b.org, secret: absent, inject: bearer}\n"
    )
    street.routes = {"claude": ("anthropic", "https://models.example.org", "key")}
    told = await client.why(street.admin, GROUP, "https://a.org/x?q=1", "GET", "live")
    assert (told.is_allowed, told.rule, told.secret, told.secret_state) == (True, "main:1", "key", "")
    assert told.injected == ("header x-key: …",)
    assert "the request carries the group's placeholder of key" in told.conditions
    assert told.used_today == ("0 of 9 requests",)
    assert told.target == "https://a.org/x"
    absent = await client.why(street.admin, GROUP, "b.org", "POST", "live")
    assert (absent.is_allowed, absent.secret_state) == (True, "it is not in the vault")
    shadow = await client.why(street.admin, GROUP, "https://a.org/", "GET", "shadow")
    assert (shadow.is_allowed, shadow.code) == (False, "shadow")
    denied = await client.why(street.admin, GROUP, "https://c.org/", "GET", "live")
    assert denied.grant_with == "nightyard allow host main c.org --method GET"
    model = await client.why(street.admin, GROUP, "/m/claude/v1/messages", "POST", "live")
    assert (model.rule, model.injected) == ("route:claude", ("header x-api-key: …",))
    assert CANARY not in repr((told, absent, shadow, denied, model))
    with pytest.raises(ProxyRefused, match="no agent could ask for"):
        await client.why(street.admin, GROUP, "https://a.org/../x", "GET", "live")


async def test_refused_address_says_what_would_allow_it_and_why_knows_it(street: Street) -> None:
    """A private address names the command, or the grant to mend; a cloud's metadata names nothing, ever; and `why`
    says of a host that is an address what the way out would."""
    street.grants = "- {host: own.example, scheme: http}\n- web_read: true"
    street.addresses |= {"own.example": ["10.0.0.9"], "lan.example": ["10.0.0.9"], "cloud.example": ["169.254.169.254"]}
    await street.lease()
    expected = {
        "own.example": "edit groups/main/grants.yaml: addresses: [10.0.0.9], in the grant main:1",
        "lan.example": "nightyard allow host main lan.example --scheme http --method GET --address 10.0.0.9",
        "10.0.0.9": "nightyard allow host main 10.0.0.9 --scheme http --method GET",
        "cloud.example": "",
        "169.254.169.254": "",
    }
    for host, grant_with in expected.items():
        error = json.loads((await street.ask("GET", f"http://{host}/", host=host)).body)["error"]
        assert (error["code"], error["grant_with"]) == ("address_refused", grant_with), host
        assert ("never reached" in error["message"]) is (not grant_with)
        told = await client.why(street.admin, GROUP, f"http://{host}/", "GET", "live")
        assert told.is_allowed is host.endswith(".example")
    assert (told.code, told.rule) == ("address_refused", "")
    street.grants = "- {host: 10.0.0.9, scheme: http}"
    assert (await client.why(street.admin, GROUP, "http://10.0.0.9/", "GET", "live")).is_allowed


async def test_requests_go_on_while_a_long_policy_is_read(street: Street) -> None:
    """Reading ten thousand grants takes its time, beside what goes on: that is judged by the policy of before."""
    is_reading, may_end = threading.Event(), threading.Event()

    def take_long(policy: Policy) -> Policy:
        is_reading.set()
        assert may_end.wait(TIMEOUT_S)
        return policy

    street.grants = "- {host: example.org, scheme: http}"
    await street.lease()
    street.grants, street.amend = "", take_long
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
        reload = group.create_task(street.admin.reload())
        assert await asyncio.to_thread(is_reading.wait, TIMEOUT_S)
        meanwhile = await street.ask("GET", "http://example.org/", host="example.org")
        may_end.set()
        await reload
    after = await street.ask("GET", "http://example.org/", host="example.org")
    assert (meanwhile.headers["x-nightyard"], after.headers["x-nightyard"]) == ("dns_failed", "host_not_granted")


async def test_open_web_is_counted_by_address_too(street: Street) -> None:
    """Addresses of pages that are read are counted: they could carry data out, page by page."""
    street.grants = "- web_read: {daily_url_chars: 40, url_chars: 60}"
    street.addresses["a.example"] = ["127.0.0.1"]
    await street.lease()
    codes = [
        (await street.ask("GET", f"http://a.example/{page}", host="a.example")).headers["x-nightyard"]
        for page in ("short", "a-longer-one-this-is", "x" * 60)
    ]
    assert codes == ["address_refused", "daily_reached", "url_too_long"]


async def test_revoked_grant_ends_what_runs_on_it_within_a_second(street: Street) -> None:
    """A stream under way is cut when its grant goes, and one on a grant that stays goes on."""

    async def drip(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n"
        )
        await writer.drain()
        await street_is_over.wait()

    street_is_over = asyncio.Event()
    street.addresses = {"gone.example": ["127.0.0.1"], "kept.example": ["127.0.0.1"]}
    async with street.upstream() as upstream, street.client() as gone, street.client() as kept:
        upstream.respond = drip
        kept_grant = f"- {{host: kept.example, scheme: http, port: {upstream.port}, addresses: [127.0.0.1]}}\n"
        street.grants = kept_grant + kept_grant.replace("kept", "gone")
        await street.lease()
        for client_there, name in ((gone, "gone"), (kept, "kept")):
            place = f"{name}.example:{upstream.port}"
            await client_there.begin("GET", f"http://{place}/", host=place)
            assert (await client_there.read_head()).status_code == 200
        street.grants = kept_grant
        await street.admin.reload()
        async with asyncio.timeout(1):
            await gone.reader.read()
        assert gone.reader.at_eof()
        assert not kept.reader.at_eof()
        place = f"gone.example:{upstream.port}"
        refused = await street.ask("GET", f"http://{place}/", host=place)
        assert refused.headers["x-nightyard"] == "host_not_granted"
        street_is_over.set()
