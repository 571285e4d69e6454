"""What a grant may ask besides: each term, through a door and over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from credproxy.policy.rules import Policy, index_rules
from credproxy.policy.verdict import WebRead
from protocol.task import Effects
from tests.credproxy.street import (
    CANARY,
    DOOR,
    GROUP,
    Arrived,
    Respond,
    Response,
    Street,
    Upstream,
    denied,
    hang,
    say,
    say_json,
)

PORT_OF_NONE = 1
SECOND = "second-key-0123456789abcdefghij"


@pytest.fixture
async def upstream(street: Street) -> AsyncIterator[Upstream]:
    """A server under TLS that a grant of the test's may lead to, as api.test."""
    async with street.upstream("api.test") as upstream:
        street.addresses["api.test"] = ["127.0.0.1"]
        yield upstream


async def grant(
    street: Street, upstream: Upstream, terms: str = "", *, secret: bool = True, task: str = "task_1"
) -> None:
    """Grant api.test with these terms, and let the door use it."""
    place = f"host: api.test, port: {upstream.port}, addresses: [127.0.0.1]"
    key = ", secret: key, inject: bearer" if secret else ""
    street.grants = f"- {{{place}{key}{', ' + terms if terms else ''}}}"
    await street.lease(task=task, attempt=f"attempt_{hash(street.grants)}")
    assert street.proxy.problems == ()


async def ask(
    street: Street,
    upstream: Upstream,
    method: str = "GET",
    path: str = "/",
    *,
    body: bytes | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    async with street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        return await inside.ask(method, path, host=f"api.test:{upstream.port}", body=body, headers=headers)


async def rows(street: Street, kind: str) -> list[dict[str, object]]:
    """Return the audit's rows of a kind, in order, when all that has ended is written."""
    await street.admin.usage()
    connection = sqlite3.connect(street.folder / "audit.db")
    connection.row_factory = sqlite3.Row
    found = connection.execute("SELECT * FROM entries WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
    connection.close()
    return [dict(row) for row in found]


def statuses(*codes: bytes) -> Respond:
    """An upstream that answers with each status in turn, the last one for ever."""
    left = list(codes)

    async def respond(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        code = left.pop(0) if len(left) > 1 else left[0]
        writer.write(b"HTTP/1.1 " + code + b" X\r\nContent-Length: 2\r\n\r\n{}")

    return respond


@pytest.mark.parametrize("status", [b"401", b"429"])
async def test_reserve_is_used_where_a_key_is_refused(street: Street, upstream: Upstream, status: bytes) -> None:
    """On 401 or 429 the next value is sent, in its order, whatever the method; the audit says which one it was."""
    street.proxy.vault.add_reserve("key", SECOND)
    upstream.respond = statuses(status, b"200")
    await grant(street, upstream)
    assert (await ask(street, upstream, "POST", body=b"order")).status == 200
    assert [arrived.header("authorization") for arrived in upstream.inbox] == [
        [f"Bearer {CANARY}"],
        [f"Bearer {SECOND}"],
    ]
    assert [arrived.body for arrived in upstream.inbox] == [b"order", b"order"]
    assert [row["note"] for row in await rows(street, "end")] == ["reserve 1"]


async def test_last_refusal_is_the_answer(street: Street, upstream: Upstream) -> None:
    """Where every value is refused the agent gets the last refusal; a key without reserve is sent once."""
    upstream.respond = statuses(b"401")
    await grant(street, upstream)
    assert (await ask(street, upstream)).status == 401
    assert len(upstream.inbox) == 1
    street.proxy.vault.add_reserve("key", SECOND)
    assert (await ask(street, upstream)).status == 401
    assert len(upstream.inbox) == 3


async def test_values_in_reserve_do_not_come_back(street: Street, upstream: Upstream) -> None:
    """A response is searched for every value of the secret, not only the one that was sent."""
    street.proxy.vault.add_reserve("key", SECOND)
    upstream.respond = say_json(f'{{"echo": "{SECOND}"}}'.encode())
    await grant(street, upstream)
    response = await ask(street, upstream)
    assert (response.status, response.headers["x-nightyard"]) == (502, "secret_reflected")


async def ask_raw(street: Street, upstream: Upstream, head: str = "Connection: close\r\n") -> bytes:
    """Return all bytes of an answer, to the connection's end."""
    async with street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        return await inside.raw(f"GET / HTTP/1.1\r\nHost: api.test:{upstream.port}\r\n{head}\r\n".encode())


async def test_trailers_come_through(street: Street, upstream: Upstream) -> None:
    """What an upstream says behind its body reaches the agent, after the body, but for what only a head may say; a
    connection that carried trailers carries the next request too."""
    upstream.respond = say(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\n{}\r\n0\r\n"
        b"X-Sum: abc\r\nServer-Timing: db;dur=5\r\nContent-Length: 5\r\nSet-Cookie: s=1\r\nAuthorization: x\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Type: text/html\r\nX-Nightyard: fake\r\nHost: b.test\r\n\r\n"
    )
    await grant(street, upstream)
    for head in ("Connection: close\r\n", "Connection: close\r\nTE: trailers\r\n"):
        answer = await ask_raw(street, upstream, head)
        assert answer.endswith(b"2\r\n{}\r\n0\r\nx-sum: abc\r\nserver-timing: db;dur=5\r\n\r\n"), answer
        assert b"trailer: X-Sum\r\n" in answer
    async with street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        for _number in range(2):
            response = await inside.ask("GET", "/", host=f"api.test:{upstream.port}")
            assert (response.status, response.body) == (200, b"{}")
    assert upstream.connections == 1


@pytest.mark.parametrize(
    "trailer",
    [b"X: a\0b", b"X: a\x01b", b"X : a", b": a", b"X\x80: a", b"X: " + b"a" * 70_000, b"X: a\r\n" * 101 + b"Y: a"],
)
async def test_a_crooked_trailer_cuts_the_answer(street: Street, upstream: Upstream, trailer: bytes) -> None:
    """What is no header field, too long or too much is not passed on, and the answer is visibly unfinished."""
    upstream.respond = say(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + trailer + b"\r\n\r\n"
    )
    await grant(street, upstream)
    answer = await ask_raw(street, upstream)
    assert not answer.endswith(b"0\r\n\r\n") or b"502" in answer[:20]
    assert b"a" not in answer.partition(b"{}")[2]


@pytest.mark.parametrize("head", ["", "Connection: close\r\n"])
async def test_no_content_has_no_length(street: Street, upstream: Upstream, head: str) -> None:
    """A length that an upstream says of no body would make a client wait for it, or read what comes next as it."""
    upstream.respond = say(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
    await grant(street, upstream)
    async with street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        inside.writer.write(f"GET / HTTP/1.1\r\nHost: api.test:{upstream.port}\r\n{head}\r\n".encode())
        answer = await inside.reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"content-length" not in answer.lower()


@pytest.mark.parametrize("said", [b"utf-8", b"identity, identity", b"none", b""])
async def test_an_encoding_that_is_none_is_searched(street: Street, upstream: Upstream, said: bytes) -> None:
    """What servers say of a body as it is: passed on, and searched all the same."""
    await grant(street, upstream)
    for body, status in ((b"ok", 200), (CANARY.encode(), 502)):
        upstream.respond = say(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (said, len(body), body)
        )
        assert (await ask(street, upstream)).status == status


@pytest.mark.parametrize("line", ["GET /\u00e9 HTTP/1.1", "GET / HTTP/1.1\r\nX A: 1", "HTTP"])
async def test_a_crooked_head_is_refused_in_words(street: Street, upstream: Upstream, line: str) -> None:
    """Nobody has to know a parser's way of speaking to read what is wrong."""
    await grant(street, upstream)
    async with street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        answer = await inside.raw(f"{line}\r\nHost: a\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bytearray" not in answer
    assert b"is none" in answer


TRAILERS = {
    "whole": b"X-Echo: " + CANARY.encode(),
    "folded": b"X-Echo: a\r\n " + CANARY.encode() + b"\r\n b",
    "one of several": b"X-Sum: abc\r\nX-Echo: " + CANARY.encode(),
    "its name": b"X-" + CANARY.replace("/", "-").encode() + b": " + CANARY.encode().hex().encode(),
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("is_late", [False, True])
async def test_secret_in_a_trailer_stays_here(street: Street, upstream: Upstream, trailer: str, is_late: bool) -> None:
    """A secret that comes back behind a body stays here with all that comes there; the answer itself is whole, whether
    its body has gone on before or not, and the audit says what was withheld."""
    may_end = asyncio.Event()

    async def respond(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Echo\r\n\r\n2\r\n{}\r\n")
        if is_late:
            await may_end.wait()
        writer.write(b"0\r\n" + TRAILERS[trailer] + b"\r\n\r\n")

    upstream.respond = respond
    await grant(street, upstream)
    async with asyncio.timeout(10), street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        inside.writer.write(f"GET / HTTP/1.1\r\nHost: api.test:{upstream.port}\r\n\r\n".encode())
        answer = await inside.reader.readuntil(b"{}")
        may_end.set()
        answer += await inside.reader.readuntil(b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert CANARY.encode() not in answer
    assert (await rows(street, "end"))[-1]["note"] == "withheld trailers"


async def test_rate_and_daily_quota(street: Street, upstream: Upstream) -> None:
    """Beyond a rate or a day's number the answer is 429 with the time to wait; nothing is sent."""
    await grant(street, upstream, "rate: 2/h")
    assert [(await ask(street, upstream)).status for _number in range(3)] == [200, 200, 429]
    await grant(street, upstream, "daily: 1")
    assert (await ask(street, upstream)).status == 200
    refused = await ask(street, upstream)
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert b'"retry": true' in refused.body
    assert len(upstream.inbox) == 3


async def test_daily_quota_outlives_the_proxy(short_folder: Path) -> None:
    """What was used today is still used after a restart."""
    statuses_seen = []
    for _start in range(2):
        street = Street(short_folder)
        async with street.open(), street.upstream() as upstream:
            street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {PORT_OF_NONE}, daily: 1}}"
            await street.lease()
            place = f"127.0.0.1:{PORT_OF_NONE}"
            statuses_seen.append((await street.ask("GET", f"http://{place}/", host=place)).status)
            assert upstream.inbox == []
    assert statuses_seen == [502, 429]


async def test_body_cap(street: Street, upstream: Upstream) -> None:
    """A body beyond the grant's cap is refused, said beforehand or found out on the way."""
    await grant(street, upstream, "body_cap: 1KB")
    assert (await ask(street, upstream, "POST", body=b"x" * 1024)).status == 200
    refused = await ask(street, upstream, "POST", body=b"x" * 1025)
    assert (refused.status, refused.headers["x-nightyard"]) == (413, "body_too_large")
    async with street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        head = f"POST / HTTP/1.1\r\nHost: api.test:{upstream.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await inside.raw(head.encode() + b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert len(upstream.inbox) == 1


async def test_placeholder_must_be_carried(street: Street, upstream: Upstream) -> None:
    """Where a grant asks for the placeholder, a request without it is denied, and one with it gets the key instead."""
    await grant(street, upstream, "must_carry: true")
    placeholder = street.proxy.placeholders.of(GROUP, "key")
    refused = await ask(street, upstream)
    assert (refused.status, refused.headers["x-nightyard"]) == (403, "placeholder_missing")
    granted = await ask(street, upstream, headers=(("Authorization", f"Bearer {placeholder}"),))
    assert granted.status == 200
    (arrived,) = upstream.inbox
    assert arrived.header("authorization") == [f"Bearer {CANARY}"]
    assert placeholder.encode() not in upstream.everything


PLACES: dict[str, Callable[[str], dict[str, object]]] = {
    "header": lambda text: {"headers": (("X-Key", text),)},
    "bearer": lambda text: {"headers": (("Authorization", f"Bearer {text}"),)},
    "query": lambda text: {"path": f"/?key={text}"},
    "path": lambda text: {"path": f"/bot{text}/x"},
    "body": lambda text: {"method": "POST", "body": f'{{"key": "{text}"}}'.encode()},
    "streamed body": lambda text: {"method": "POST", "body": b" " * 700_000 + text.encode() + b" " * 700_000},
}


@pytest.mark.parametrize("place", PLACES)
async def test_placeholder_elsewhere_is_a_tripwire(street: Street, upstream: Upstream, place: str) -> None:
    """A placeholder of another secret, wherever it stands, denies the request, and the owner is told of it."""
    await grant(street, upstream)
    arguments = PLACES[place](street.proxy.placeholders.of(GROUP, "other"))
    refused = await ask(street, upstream, **arguments)  # type: ignore[arg-type]  # as the table has them
    assert (refused.status, refused.headers["x-nightyard"]) == (403, "tripwire")
    assert (await street.event("tripwire")).detail == "other"
    assert upstream.inbox == []


async def test_shadow_records_what_would_have_been_sent(street: Street, upstream: Upstream) -> None:
    """A task in shadow sends nothing that counts; method, target and the body's digest are on record."""
    await grant(street, upstream)
    await street.lease(attempt="attempt_shadow", effects=Effects.SHADOW)
    refused = await ask(street, upstream, "POST", "/orders?n=1", body=b"one of them")
    assert refused.headers["x-nightyard"] == "shadow"
    (row,) = await rows(street, "shadow")
    assert row["target"] == f"POST https://api.test:{upstream.port}/orders"
    assert row["request_sha256"] == hashlib.sha256(b"one of them").hexdigest()
    assert upstream.inbox == []


async def test_twin_takes_the_place_of_the_service(street: Street, upstream: Upstream) -> None:
    """A task that talks to twins reaches the twin under the service's name, without the key."""
    async with street.upstream() as twin:
        await grant(street, upstream, f"twin: 'http://127.0.0.1:{twin.port}'")
        await street.lease(attempt="attempt_twin", effects=Effects.TWIN)
        assert (await ask(street, upstream, "POST", "/orders", body=b"one")).status == 200
        (arrived,) = twin.inbox
    assert arrived.line == "POST /orders HTTP/1.1"
    assert arrived.header("host") == [f"api.test:{upstream.port}"]
    assert CANARY.encode() not in twin.everything
    assert upstream.inbox == []


async def test_approved_request_goes_out_once_and_as_it_was_shown(street: Street, upstream: Upstream) -> None:
    """A held request is told of, goes out on a yes, with the key, and the audit names the approval."""
    await grant(street, upstream, "approval: true")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(street, upstream, "POST", "/pay", body=b"ten"))
        wanted = await street.event("approval_wanted")
        assert upstream.inbox == []
        (hold,) = street.proxy.approvals.waiting(time.time())
        assert hold.request.body == b"ten"
        await street.proxy.approvals.approve(wanted.detail, "owner", time.time())
        assert (await asking).status == 200
    (arrived,) = upstream.inbox
    assert arrived.body == b"ten"
    assert arrived.header("authorization") == [f"Bearer {CANARY}"]
    assert [row["note"] for row in await rows(street, "begin")] == [f"approval {wanted.detail} by owner"]


async def test_chunked_body_that_is_held_goes_out_with_its_length(street: Street, upstream: Upstream) -> None:
    """A body that had to be read as a whole is framed anew."""
    await grant(street, upstream, "approval: true")
    async with asyncio.timeout(10), street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        head = f"POST /pay HTTP/1.1\r\nHost: api.test:{upstream.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        inside.writer.write(head.encode() + b"3\r\nten\r\n0\r\n\r\n")
        wanted = await street.event("approval_wanted")
        await street.proxy.approvals.approve(wanted.detail, "owner", time.time())
        assert (await inside.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    (arrived,) = upstream.inbox
    assert (arrived.body, arrived.header("content-length"), arrived.header("transfer-encoding")) == (b"ten", ["3"], [])


async def test_refused_approval_sends_nothing(street: Street, upstream: Upstream) -> None:
    """A no is an answer that teaches, and nothing has gone out."""
    await grant(street, upstream, "approval: true")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(street, upstream, "POST", "/pay", body=b"ten"))
        wanted = await street.event("approval_wanted")
        await street.proxy.approvals.deny(wanted.detail, "owner", time.time())
        refused = await asking
    assert (refused.status, refused.headers["x-nightyard"]) == (403, "approval_denied")
    assert upstream.inbox == []


async def test_approval_does_not_outlive_its_grant(street: Street, upstream: Upstream) -> None:
    """What was granted when a person was asked, and is not any more when they say yes, stays here."""
    await grant(street, upstream, "approval: true")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(street, upstream, "POST", "/pay", body=b"ten"))
        wanted = await street.event("approval_wanted")
        street.grants = street.grants.replace("approval: true", "methods: [GET]")
        await street.admin.reload()
        await street.proxy.approvals.approve(wanted.detail, "owner", time.time())
        refused = await asking
    assert refused.headers["x-nightyard"] == "method_not_granted"
    assert upstream.inbox == []


async def test_secret_that_changed_while_a_person_thought_is_sent_as_it_is_now(
    street: Street, upstream: Upstream
) -> None:
    """The value is got after the yes, not before: what was rotated away meanwhile is not used any more."""
    await grant(street, upstream, "approval: true")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(street, upstream, "POST", "/pay", body=b"ten"))
        wanted = await street.event("approval_wanted")
        street.proxy.vault.rotate("key", SECOND, overlap_s=0)
        street.proxy.secret_changed("key")
        await street.proxy.approvals.approve(wanted.detail, "owner", time.time())
        assert (await asking).status == 200
    assert [arrived.header("authorization") for arrived in upstream.inbox] == [[f"Bearer {SECOND}"]]


async def test_same_call_of_a_later_attempt_has_the_same_idempotency_key(street: Street, upstream: Upstream) -> None:
    """The header is the proxy's: equal for what a task asks again in another attempt, different for another call."""
    await grant(street, upstream, "idempotency: true")
    for attempt in ("attempt_a", "attempt_b"):
        await street.lease(attempt=attempt)
        await ask(street, upstream, "POST", "/pay", body=b"ten", headers=(("Idempotency-Key", attempt),))
        await ask(street, upstream, "POST", "/pay", body=b"ten")
        await ask(street, upstream, "POST", "/pay", body=b"twelve")
    keys = [arrived.header("idempotency-key")[0] for arrived in upstream.inbox]
    assert keys[:3] == keys[3:]
    assert len(set(keys)) == 3


def allow_with(street: Street, **changes: object) -> None:
    """Have every rule of the group allow with these changes."""

    def amend(policy: Policy) -> Policy:
        rules = [
            replace(rule, allow=replace(rule.allow, **changes))  # type: ignore[arg-type]  # as the test has them
            for rule in policy.groups[GROUP].rules
        ]
        return replace(policy, groups={GROUP: index_rules(rules)})

    street.amend = amend


async def test_expiry_denies_and_cuts(street: Street, upstream: Upstream) -> None:
    """A grant that has run out denies, and takes along what is under way when it does."""
    upstream.respond = hang
    allow_with(street, expires_at=time.time() + 0.3)
    await grant(street, upstream)
    async with asyncio.timeout(5), street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        await inside.begin("GET", "/slow", host=f"api.test:{upstream.port}")
        assert await inside.reader.read() == b""
    async with street.client() as client:
        place = f"api.test:{upstream.port}"
        client.writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        assert b"grant_expired" in await client.reader.readuntil(b"\r\n\r\n")
    assert len(upstream.inbox) == 1


async def test_open_web_is_read_without_the_agents_words(street: Street, upstream: Upstream) -> None:
    """What is read of the open web goes out with few headers, comes back marked, and its digest is on record."""
    page = b"<p>anybody wrote this</p>"
    upstream.respond = say_json(page, b"text/html")
    allow_with(street, web_read=WebRead(max_answer_bytes=1000))
    await grant(street, upstream, secret=False)
    told = (("Accept", "text/html"), ("User-Agent", "x" * 300), ("Referer", "http://secret.test/?q=1"), ("X-Data", "d"))
    response = await ask(street, upstream, path="/page", headers=told)
    assert (response.status, response.body) == (200, page)
    assert response.headers["x-nightyard-taint"] == "web"
    (arrived,) = upstream.inbox
    assert arrived.raw.lower().split(b"\r\n")[1:-2] == [
        f"host: api.test:{upstream.port}".encode(),
        b"accept: text/html",
    ]
    (row,) = await rows(street, "end")
    assert row["response_sha256"] == hashlib.sha256(page).hexdigest()


async def test_open_web_takes_no_body(street: Street, upstream: Upstream) -> None:
    """A body would carry data out; and one without its length would be read as another request."""
    allow_with(street, web_read=WebRead(max_answer_bytes=1000))
    await grant(street, upstream, secret=False)
    smuggled = b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n"
    response = await ask(street, upstream, body=smuggled)
    assert (response.status, response.headers["x-nightyard"]) == (403, "web_read_body")
    assert upstream.inbox == []


@pytest.mark.parametrize("is_said", [True, False])
async def test_open_web_is_read_up_to_a_length(street: Street, upstream: Upstream, is_said: bool) -> None:
    """Too long an answer is refused where its head says so, and cut where it does not."""
    allow_with(street, web_read=WebRead(max_answer_bytes=1000))
    await grant(street, upstream, secret=False)
    long = b"x" * 1001
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + long + b"\r\n0\r\n\r\n"
    upstream.respond = say_json(long) if is_said else say(chunked)
    response = await ask(street, upstream)
    assert (response.status, response.headers["x-nightyard"]) == (502, "answer_too_large")
    (row,) = await rows(street, "end")
    assert '"broken":"answer_too_large"' in str(row["detail"])


async def test_upstream_cannot_mark_its_answers(street: Street, upstream: Upstream) -> None:
    """The proxy's own headers are the proxy's: an upstream's are dropped."""
    upstream.respond = say(
        b"HTTP/1.1 200 OK\r\nX-Nightyard: denied\r\nX-Nightyard-Taint: no\r\nContent-Length: 0\r\n\r\n"
    )
    await grant(street, upstream, secret=False)
    response = await ask(street, upstream)
    assert not [name for name in response.headers if name.startswith("x-nightyard")]


async def test_revoked_grant_cuts_what_runs_under_it(street: Street, upstream: Upstream) -> None:
    """Within a second of a reload, calls that would not be allowed any more are cut, and pooled connections closed."""
    asked = asyncio.Event()

    async def note_and_hang(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(arrived, writer)

    await grant(street, upstream)
    assert (await ask(street, upstream)).status == 200
    upstream.respond = note_and_hang
    async with asyncio.timeout(10), street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        await inside.begin("POST", "/slow", host=f"api.test:{upstream.port}", body=b"x")
        await asked.wait()
        street.grants = "- {host: other.test}"
        await street.admin.reload()
        async with asyncio.timeout(1):
            assert await inside.reader.read() == b""
    assert '"broken":"revoked"' in str((await rows(street, "end"))[-1]["detail"])
    assert street.proxy.upstreams._kept == {}


async def test_removed_secret_cuts_what_was_sent_with_it(street: Street, upstream: Upstream) -> None:
    """A secret that is removed ends the calls that carry it."""
    asked = asyncio.Event()

    async def note_and_hang(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(arrived, writer)

    upstream.respond = note_and_hang
    await grant(street, upstream)
    async with asyncio.timeout(10), street.client() as client:
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        await inside.begin("GET", "/slow", host=f"api.test:{upstream.port}")
        await asked.wait()
        await street.admin.secret_remove("key")
        async with asyncio.timeout(1):
            assert await inside.reader.read() == b""
    refused = await ask(street, upstream)
    assert (refused.status, refused.headers["x-nightyard"]) == (424, "secret_missing")


async def test_reload_leaves_allowed_calls_alone(street: Street, upstream: Upstream) -> None:
    """A change of other grants does not disturb what is still allowed."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait_then_answer(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    upstream.respond = wait_then_answer
    await grant(street, upstream)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(street, upstream))
        await asked.wait()
        street.grants += "\n- {host: other.test}"
        await street.admin.reload()
        go_on.set()
        assert (await asking).status == 200
    assert await denied(street, "task_1") == ()
    await street.admin.end(DOOR)
