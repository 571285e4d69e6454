"""Injections through a whole proxy, over real sockets: the canary is in one upstream's inbox and nowhere else."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from credproxy.admin_client.injection import placeholder_variables
from credproxy.injection.idempotency import SentKey
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects
from tests.credproxy.street import CANARY, GROUP, Arrived, Client, Response, Street, Upstream

HOST = "api.example.org"
JSON = [("content-type", "application/json")]


class House:
    """A street with one granted host, and one request after another to it."""

    def __init__(self, street: Street, upstream: Upstream, host: str) -> None:
        self.street = street
        self.upstream = upstream
        self.host = host

    async def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        async with self.street.client() as outer:
            inner: Client = await outer.tunnel(self.host, self.upstream.port, self.street.ca)
            return await inner.ask(method, path, host=f"{self.host}:{self.upstream.port}", headers=headers, body=body)

    @property
    def last(self) -> Arrived:
        return self.upstream.inbox[-1]

    @property
    def arrived(self) -> bytes:
        return bytes(self.upstream.everything)


@asynccontextmanager
async def house(
    tmp_path: Path, inject: str, *, host: str = HOST, secret: str = "key", more: str = ""
) -> AsyncIterator[House]:
    """A host that is granted with this `inject`."""
    street = Street(tmp_path)
    street.addresses[host] = ["127.0.0.1"]
    async with street.upstream(host) as upstream:
        how = f", inject: {inject}" if inject else ""
        street.grants = (
            f"- {{host: {host}, port: {upstream.port}, addresses: [127.0.0.1], secret: {secret}{how}{more}}}\n"
        )
        async with street.open():
            await street.lease()
            yield House(street, upstream, host)


@pytest.mark.parametrize(
    ("inject", "path", "line", "header"),
    [
        ("{header: X-Key}", "/p", "GET /p HTTP/1.1", ("x-key", CANARY)),
        ('{header: Authorization, as: "Token {}"}', "/p", "GET /p HTTP/1.1", ("authorization", f"Token {CANARY}")),
        ("{cookie: session}", "/p", "GET /p HTTP/1.1", ("cookie", f"session={CANARY}")),
        (
            "{query: key}",
            "/p?key=planted&q=1&KEY=planted",
            "GET /p?q=1&key=canary-Zm9v%2FYmFy%2B1234567890abcdef HTTP/1.1",
            ("x-key", None),
        ),
        (
            "{basic: me}",
            "/p",
            "GET /p HTTP/1.1",
            ("authorization", "Basic bWU6Y2FuYXJ5LVptOXYvWW1GeSsxMjM0NTY3ODkwYWJjZGVm"),
        ),
        ("[bearer, {remove: X-Debug}]", "/p", "GET /p HTTP/1.1", ("authorization", f"Bearer {CANARY}")),
    ],
)
async def test_each_kind_arrives_in_its_place(
    tmp_path: Path, inject: str, path: str, line: str, header: tuple[str, str | None]
) -> None:
    """And what the agent planted there does not."""
    planted = [
        ("authorization", "Bearer planted"),
        ("x-key", "planted"),
        ("cookie", "session=planted"),
        ("x-debug", "1"),
    ]
    async with house(tmp_path, inject) as place:
        answer = await place.ask(path, headers=planted[2:] if header[0] == "x-key" and header[1] is None else planted)
        assert answer.status == 200
        name, value = header
        assert place.last.line == line
        assert place.last.header(name) == ([value] if value is not None else [])
        assert b"Bearer planted" not in place.arrived
        assert b"session=planted" not in place.arrived
        if "remove" in inject:
            assert place.last.header("x-debug") == []
        assert place.street.spilled() == []


async def test_a_replaced_header_is_there_only_if_the_agent_sent_one(tmp_path: Path) -> None:
    """A service that answers without a key too is asked without one."""
    async with house(tmp_path, "{header: Authorization, only_if_sent: true}") as place:
        await place.ask("/")
        assert place.last.header("authorization") == []
        await place.ask("/", headers=[("Authorization", "dummy")])
        assert place.last.header("authorization") == [CANARY]


async def test_a_json_field_arrives_with_the_right_length(tmp_path: Path) -> None:
    """The rest of the body is the agent's, byte for byte."""
    async with house(tmp_path, "{json: /auth/key}") as place:
        body = b'{ "q": 1.10, "auth": {"key": "dummy"} }'
        assert (await place.ask("/", method="POST", headers=JSON, body=body)).status == 200
        assert place.last.body == body.replace(b"dummy", CANARY.encode())
        refused = await place.ask("/", method="POST", headers=JSON, body=b"key=1")
        assert (refused.status, len(place.upstream.inbox)) == (422, 1)
        assert CANARY.encode() not in refused.body


async def test_a_large_body_holds_nobody_up(tmp_path: Path) -> None:
    """A body that takes long to read and to change is changed on another thread than the other requests are served on:
    compared by CPU time, of which a busy machine takes nothing."""
    members = ",".join(f'"{number}":[]' for number in range(250_000))
    body = b'{"auth":{},"x":{' + members.encode() + b"}}"
    async with house(tmp_path, "{json: /auth/key}") as place:
        loop_before_s, all_before_s = time.thread_time(), time.process_time()
        assert (await place.ask("/", method="POST", headers=JSON, body=body)).status == 200
        loop_s, all_s = time.thread_time() - loop_before_s, time.process_time() - all_before_s
        assert place.last.body == body.replace(b'"auth":{}', f'"auth":{{"key":"{CANARY}"}}'.encode())
    assert loop_s < all_s / 2


async def test_a_hole_in_the_path_is_filled_and_the_audit_has_the_path_before(tmp_path: Path) -> None:
    """Telegram's way, by its preset: what is recorded and told holds no token."""
    async with house(tmp_path, "", host="api.telegram.org", more=', paths: ["/bot*/sendMessage"]') as place:
        variables = await placeholder_variables(place.street.admin, GROUP)
        token = variables["TELEGRAM_BOT_TOKEN"]
        answer = await place.ask(f"/bot{token}/sendMessage", method="POST", headers=JSON, body=b"{}")
        assert answer.status == 424, "the canary has a slash, which no path takes"
        await place.street.admin.secret_add("key", "123:AA-canary-canary", "key", replace=True)
        assert (await place.ask(f"/bot{token}/sendMessage", method="POST", headers=JSON, body=b"{}")).status == 200
        assert place.last.line == "POST /bot123:AA-canary-canary/sendMessage HTTP/1.1"
        assert (await place.ask("/bot0/getMe")).status == 403
        event = await place.street.event("call_begun")
        assert token in event.target
        assert place.street.spilled(b"AA-canary-canary") == []


async def test_a_signature_arrives_and_its_key_does_not(tmp_path: Path) -> None:
    """HMAC over the body, with the time beside it."""
    async with house(
        tmp_path, '{hmac: {header: X-Sign, message: "{timestamp}.{body}", timestamp_header: X-Time}}'
    ) as place:
        assert (await place.ask("/", method="POST", body=b"hello")).status == 200
        assert len(place.last.header("x-sign")[0]) == 64
        assert place.last.header("x-time")[0].isdecimal()
        assert CANARY.encode() not in place.arrived


async def test_an_upload_to_s3_is_streamed(tmp_path: Path) -> None:
    """S3 takes a body that is not signed; what must be signed and is too large is refused."""
    parts = {"access_key_id": "AKIAREAL", "secret_access_key": "canary" * 6}
    for host, status in (("b.s3.eu-west-1.amazonaws.com", 200), ("sqs.eu-west-1.amazonaws.com", 413)):
        async with house(tmp_path / str(status), "aws", host=host, secret="aws") as place:
            place.street.proxy.vault.add("aws", parts, type_name="aws")
            small = await place.ask("/k", method="PUT", body=b"x")
            assert (small.status, len(place.last.header("x-amz-date"))) == (200, 1)
            assert "Credential=AKIAREAL/" in place.last.header("authorization")[0]
            large = await place.ask("/k", method="PUT", body=b"x" * (5 << 20))
            assert large.status == status
            assert place.last.header("x-amz-content-sha256") == (["UNSIGNED-PAYLOAD"] if status == 200 else [])
            assert b"canarycanary" not in place.arrived


async def test_a_provider_is_known_by_its_host(tmp_path: Path) -> None:
    """A grant for a known host need not say how."""
    async with house(tmp_path, "", host="api.github.com") as place:
        await place.ask("/user", headers=[("authorization", "token planted")])
        assert place.last.header("authorization") == [f"Bearer {CANARY}"]


async def test_a_placeholder_at_home_passes_and_elsewhere_trips(tmp_path: Path) -> None:
    """In header, query, Basic and body: denied, told to the owner, and nothing arrives."""
    street = Street(tmp_path)
    street.addresses |= {"api.github.com": ["127.0.0.1"], "evil.example.org": ["127.0.0.1"]}
    async with street.upstream("api.github.com") as github, street.upstream("evil.example.org") as evil:
        street.grants = (
            f"- {{host: api.github.com, port: {github.port}, addresses: [127.0.0.1], secret: key, must_carry: true}}\n"
            f"- {{host: evil.example.org, port: {evil.port}, addresses: [127.0.0.1]}}\n"
        )
        async with street.open():
            await street.lease()
            home, away = House(street, github, "api.github.com"), House(street, evil, "evil.example.org")
            token = (await placeholder_variables(street.admin, GROUP))["GITHUB_TOKEN"]
            assert (await home.ask("/user", headers=[("authorization", f"Bearer {token}")])).status == 200
            assert home.last.header("authorization") == [f"Bearer {CANARY}"]
            missing = await home.ask("/user")
            assert (missing.status, missing.headers["x-nightyard"]) == (403, "placeholder_missing")
            for path, headers, body in (
                ("/", [("authorization", f"Bearer {token}")], b""),
                (f"/?t={token}", [], b""),
                ("/", [("x-anything", token)], b""),
                ("/", [], f'{{"t": "{token}"}}'.encode()),
                ("/", [], b"x" * 700_000 + token.encode()),
            ):
                answer = await away.ask(path, method="POST", headers=headers, body=body)
                assert answer.status == 403
                assert token.encode() not in bytes(evil.everything)
            assert evil.inbox == []
            tripped = await street.event("tripwire")
            assert "key" in tripped.detail
            assert token not in tripped.detail + tripped.target


async def test_a_tool_that_always_sends_its_key_trips_nothing_at_its_host(tmp_path: Path) -> None:
    """To a path that is granted without the key too, and to the twin that stands for the host: without the key."""
    street = Street(tmp_path)
    street.addresses["api.github.com"] = ["127.0.0.1"]
    async with street.upstream("api.github.com") as github, street.upstream() as twin:
        place = f"host: api.github.com, port: {github.port}, addresses: [127.0.0.1]"
        street.grants = (
            f"- {{{place}, methods: [GET], paths: [/open], twin: 'http://127.0.0.1:{twin.port}'}}\n"
            f"- {{{place}, secret: key, twin: 'http://127.0.0.1:{twin.port}'}}\n"
        )
        async with street.open():
            await street.lease()
            home = House(street, github, "api.github.com")
            token = (await placeholder_variables(street.admin, GROUP))["GITHUB_TOKEN"]
            sent = [("authorization", f"Bearer {token}")]
            assert (await home.ask("/open", headers=sent)).status == 200
            assert home.last.header("authorization") == []
            await street.lease(effects=Effects.TWIN, attempt="attempt_2")
            assert (await home.ask("/closed", headers=sent)).status == 200
            assert len(twin.inbox) == 1
            assert CANARY.encode() not in bytes(twin.everything)
            assert not any(event.kind == "tripwire" for event in street.events)


async def test_a_listed_environment_goes_to_the_model_and_no_alarm(tmp_path: Path) -> None:
    """What an agent's tools print, its model reads; at a route any placeholder of its own is what it sends as a key."""
    street = Street(tmp_path)
    async with street.upstream() as model:
        street.routes["m"] = ("anthropic", f"http://127.0.0.1:{model.port}", None)
        street.grants = "- {host: api.github.com, secret: key}\n"
        async with street.open():
            await street.lease()
            token = (await placeholder_variables(street.admin, GROUP))["GITHUB_TOKEN"]
            for path in ("/m/m/v1/messages", "/m/m/v1/messages/count_tokens"):
                body = json.dumps({"messages": [token]}).encode()
                answer = await street.ask("POST", path, headers=[*JSON, ("x-api-key", token)], body=body)
                assert answer.status == 200
            assert len(model.inbox) == 2
            assert not any(event.kind == "tripwire" for event in street.events)


async def test_a_second_attempt_repeats_its_calls_under_the_same_keys(tmp_path: Path) -> None:
    """By preset or by grant; the agent's own key never goes out."""
    async with house(tmp_path, "", host="api.resend.com") as place:
        for attempt in ("attempt_1", "attempt_2"):
            await place.street.lease(attempt=attempt)
            for body in (b"a", b"b", b"a"):
                await place.ask(
                    "/emails", method="POST", headers=[("idempotency-key", attempt + body.decode())], body=body
                )
            await place.ask("/emails")
        keys = [arrived.header("idempotency-key") for arrived in place.upstream.inbox]
        assert keys[:4] == keys[4:]
        assert keys[3] == []
        # The agent said the third is the first again: it has the same key.
        assert keys[0] == keys[2] != keys[1]
        assert all("attempt" not in str(key) for key in keys)


async def test_the_same_call_in_a_later_step_has_another_key(tmp_path: Path) -> None:
    """An attempt's first call was in a step that is done, its second in one that was cut off: the next one's are the
    second again and a third. The audit has each key; a proxy that starts in between goes on from there."""
    async with house(tmp_path, "", host="api.resend.com") as place:
        await place.street.lease(attempt="attempt_1")
        for _ in range(2):
            await place.ask("/emails", method="POST", body=b"a")
        first, second = await sent_keys(place.street)
        await place.street.lease(attempt="attempt_2", unsettled_since=second.at)
        for _ in range(2):
            await place.ask("/emails", method="POST", body=b"a")
        place.street.proxy.idempotency.forget(AttemptId("attempt_2"))
        await place.ask("/emails", method="POST", body=b"a")
        keys = [arrived.header("idempotency-key")[0] for arrived in place.upstream.inbox]
        assert keys[:2] == [first.key, second.key]
        assert keys[2] == second.key
        assert len({*keys}) == 4
        assert [each.key for each in await sent_keys(place.street)] == keys


async def test_a_call_that_is_tried_again_after_the_proxys_start_has_its_key(tmp_path: Path) -> None:
    """The client says by its own key that it means the same: the service must not do it twice."""
    async with house(tmp_path, "", host="api.resend.com") as place:
        await place.street.lease()
        for own in ("mine", "mine", "other"):
            await place.ask("/emails", method="POST", headers=[("idempotency-key", own)], body=b"a")
            place.street.proxy.idempotency.forget(AttemptId("attempt_1"))
        keys = [arrived.header("idempotency-key") for arrived in place.upstream.inbox]
        assert keys[0] == keys[1] != keys[2]


async def sent_keys(street: Street) -> list[SentKey]:
    """What the audit knows of the task's keys."""
    return [SentKey(*each) for each in await street.proxy.audit.keys(TaskId("task_1"))]


async def test_variables_are_those_of_the_groups_own_grants(tmp_path: Path) -> None:
    """Another group has none, and a file with a mistake grants none."""
    async with house(tmp_path, "{header: X-Key, env: SEARCH_KEY}") as place:
        own = await placeholder_variables(place.street.admin, GROUP)
        assert list(own) == ["SEARCH_KEY"]
        assert await placeholder_variables(place.street.admin, GroupId("other")) == {}
        place.street.grants += "- {hots: a}\n"
        assert await placeholder_variables(place.street.admin, GROUP) == {}
