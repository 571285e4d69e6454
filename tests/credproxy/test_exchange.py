"""Requests through a door, each way of asking, over real sockets."""

from __future__ import annotations

import asyncio

from protocol.task import Limits
from tests.credproxy.street import CANARY, DOOR, Arrived, Street, denied, hang, say, say_json

JSON_USE = b'{"model":"priced-model","content":[],"usage":{"input_tokens":3,"output_tokens":2}}'


async def test_route_injects_the_key_and_streams_the_answer(street: Street) -> None:
    """A model route is plain HTTP for the agent; the proxy owns host, path prefix and key."""
    async with street.upstream() as upstream:
        upstream.respond = say_json(JSON_USE)
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}/api", "key")
        await street.lease()
        response = await street.ask("POST", "/m/claude/v1/messages?beta=true", body=b'{"model":"priced-model"}')
    assert (response.status, response.body) == (200, JSON_USE)
    (arrived,) = upstream.inbox
    assert arrived.line == "POST /api/v1/messages?beta=true HTTP/1.1"
    assert arrived.header("x-api-key") == [CANARY]
    assert arrived.header("host") == [f"127.0.0.1:{upstream.port}"]
    assert arrived.body == b'{"model":"priced-model"}'


async def test_openai_route_uses_a_bearer_token(street: Street) -> None:
    """The OpenAI kind of route carries the key as a bearer token, its version said once."""
    async with street.upstream() as upstream:
        street.routes["gpt"] = ("openai", f"http://127.0.0.1:{upstream.port}/v1", "key")
        await street.lease()
        response = await street.ask("POST", "/m/gpt/v1/chat/completions", body=b"{}")
    assert response.status == 200
    assert upstream.inbox[0].line == "POST /v1/chat/completions HTTP/1.1"
    assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]


async def test_tunnel_injects_into_verified_tls(street: Street) -> None:
    """CONNECT is answered with a leaf of our own; inside, each request is decided and the secret added."""
    async with street.upstream("api.test") as upstream, street.client() as client:
        street.addresses["api.test"] = ["127.0.0.1"]
        street.grants = (
            f"- {{host: api.test, port: {upstream.port}, secret: key, inject: bearer, addresses: [127.0.0.1]}}"
        )
        await street.lease()
        inside = await client.tunnel("api.test", upstream.port, street.ca)
        host = f"api.test:{upstream.port}"
        first = await inside.ask("GET", "/a", host=host)
        second = await inside.ask("POST", "/b", host=host, body=b"x" * 10)
    assert (first.status, second.status) == (200, 200)
    assert [arrived.line for arrived in upstream.inbox] == ["GET /a HTTP/1.1", "POST /b HTTP/1.1"]
    assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
    assert upstream.connections == 1


async def test_plain_http_needs_a_grant_of_its_own(street: Street) -> None:
    """Absolute form serves plain http where that is granted, without any secret."""
    async with street.upstream() as upstream:
        street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}"
        await street.lease()
        host = f"127.0.0.1:{upstream.port}"
        granted = await street.ask("GET", f"http://{host}/x?y=1", host=host)
        other = await street.ask("GET", "http://example.org/", host="example.org")
        (denial,) = await denied(street, "task_1")
        assert await denied(street, "task_of_others") == ()
    assert (denial.target, denial.detail) == ("GET http://example.org/", "host_not_granted")
    assert granted.status == 200
    assert upstream.inbox[0].line == "GET /x?y=1 HTTP/1.1"
    assert (other.status, other.headers["x-nightyard"]) == (403, "host_not_granted")
    assert b"nightyard allow host main example.org --scheme http --method GET" in other.body


async def test_event_stream_passes_event_by_event(street: Street) -> None:
    """Each event reaches the agent before the upstream makes the next."""
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def respond(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            assert await asyncio.wait_for(seen.get(), 5) == event
        writer.write(b"0\r\n\r\n")

    async with street.upstream() as upstream, street.client() as client:
        upstream.respond = respond
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        await client.begin("POST", "/m/claude/v1/messages", body=b"{}")
        assert (await client.read_head()).status_code == 200
        for _number in range(5):
            event = await client.next_event()
            seen.put_nowait(bytes(event.data))  # type: ignore[attr-defined]  # h11.Data
        assert type(await client.next_event()).__name__ == "EndOfMessage"


async def test_large_body_is_streamed_both_ways(street: Street) -> None:
    """Bodies beyond what is held in memory pass through in pieces, chunked ones too."""
    large = bytes(range(256)) * 8192

    async def echo(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(arrived.body) + arrived.body)

    async with street.upstream() as upstream:
        upstream.respond = echo
        street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}"
        await street.lease()
        host = f"127.0.0.1:{upstream.port}"
        response = await street.ask("PUT", f"http://{host}/", host=host, body=large)
        assert response.body == large
        async with street.client() as client:
            head = f"PUT http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            answer = await client.raw(
                head.encode()
                + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n"
            )
    assert answer.endswith(b"abcdefg")
    assert upstream.inbox[1].body == b"abcdefg"


async def test_upstream_connection_is_used_again(street: Street) -> None:
    """Two requests of one group under one rule share an upstream connection; a stale one is replaced in silence."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        for _number in range(3):
            assert (await street.ask("POST", "/m/claude/v1/messages", body=b"{}")).status == 200
        assert upstream.connections == 1

        async def close_next_time(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
            writer.close()

        upstream.respond = close_next_time
        assert (await street.ask("POST", "/m/claude/v1/messages", body=b"{}")).status == 502
        assert upstream.connections == 2


async def test_missing_secret_is_named(street: Street) -> None:
    """Without its secret a route answers 424 with the command that mends it; nothing goes out."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "absent")
        await street.lease()
        response = await street.ask("POST", "/m/claude/v1/messages", body=b"{}")
    assert (response.status, response.headers["x-nightyard"]) == (424, "secret_missing")
    assert b"nightyard secret add absent" in response.body
    assert upstream.inbox == []


async def test_refusals_by_lease_freeze_and_route(street: Street) -> None:
    """No lease, a freeze and an unknown route each have their code."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        assert (await street.ask("POST", "/m/claude/v1/messages", body=b"{}")).headers["x-nightyard"] == "no_lease"
        await street.lease()
        await street.admin.freeze(True)
        frozen = await street.ask("POST", "/m/claude/v1/messages", body=b"{}")
        assert (frozen.status, frozen.headers["x-nightyard"]) == (503, "frozen")
        await street.admin.freeze(False)
        assert (await street.ask("POST", "/m/nobody/v1/messages")).headers["x-nightyard"] == "route_unknown"
        assert (await street.ask("POST", "/m/claude/v1/files")).headers["x-nightyard"] == "route_path"
        assert upstream.inbox == []
        await street.wait_for(lambda: len(street.events) == 3)
        assert [event.detail for event in street.events] == ["frozen", "route_unknown", "route_path"]


async def test_calls_tokens_and_money_are_limited(street: Street) -> None:
    """Each limit of a lease answers 402 with its code once it is reached, and the host is told."""
    async with street.upstream() as upstream:
        upstream.respond = say_json(JSON_USE)
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        cases = {
            "limit_calls": Limits(model_calls=2),
            "limit_input_tokens": Limits(input_tokens=6),
            "limit_output_tokens": Limits(output_tokens=4),
            "limit_cost": Limits(cost_usd=14.0),
        }
        for code, limits in cases.items():
            await street.lease(task=f"task_{code}", attempt=code, limits=limits)
            answers = [await street.ask("POST", "/m/claude/v1/messages", body=b"{}") for _number in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 402], code
            assert answers[2].headers["x-nightyard"] == code
        assert (await street.event("limit")).detail == "limit_calls"
        usage = await street.event("usage")
        assert usage.usage is not None
        assert (usage.usage.input_tokens, usage.usage.cost_usd, usage.model) == (3, 7.0, "priced-model")


async def test_calls_that_change_the_world_are_reported(street: Street) -> None:
    """A POST outside model routes is told when it begins and when it ends, and can be asked for afterwards."""
    async with street.upstream() as upstream:
        street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}"
        await street.lease()
        host = f"127.0.0.1:{upstream.port}"
        await street.ask("POST", f"http://{host}/order", host=host, body=b"one")
        ended = await street.event("call_ended")
        assert ended.detail == "200"
        (call,) = await street.admin.calls(ended.task_id)
    assert (call.target, call.status) == (f"POST http://{host}/order", 200)
    assert [event.kind for event in street.events] == ["call_begun", "call_ended"]


async def test_agent_that_goes_ends_its_upstream_call(street: Street) -> None:
    """When the container closes its connection, the upstream call is cut, and the record says that no answer came."""
    asked = asyncio.Event()

    async def note_and_hang(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(arrived, writer)

    async with street.upstream() as upstream, street.client() as client:
        upstream.respond = note_and_hang
        street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}"
        await street.lease()
        host = f"127.0.0.1:{upstream.port}"
        await client.begin("POST", f"http://{host}/order", host=host, body=b"one")
        async with asyncio.timeout(5):
            await asked.wait()
        client.close()
        ended = await street.event("call_ended")
        (call,) = await street.admin.calls(ended.task_id)
    assert ended.detail == "broken"
    assert call.status is None


async def test_end_of_a_lease_cuts_what_is_under_way(street: Street) -> None:
    """`end` takes the lease, closes the container's connections and tells what the task used."""
    asked = asyncio.Event()

    async def note_and_hang(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(arrived, writer)

    async with street.upstream() as upstream, street.client() as client:
        upstream.respond = note_and_hang
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        await client.begin("POST", "/m/claude/v1/messages", body=b"{}")
        async with asyncio.timeout(5):
            await asked.wait()
        usage = await street.admin.end(DOOR)
        assert usage.model_calls == 1
        async with asyncio.timeout(5):
            assert await client.reader.read() == b""


async def test_error_of_the_upstream_passes_through(street: Street) -> None:
    """A 401 of the provider reaches the agent as it is, and costs nothing."""
    async with street.upstream() as upstream:
        upstream.respond = say_json(b'{"error":"bad key"}', status=b"401 Unauthorized")
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease()
        response = await street.ask("POST", "/m/claude/v1/messages", body=b"{}")
        assert (response.status, response.body) == (401, b'{"error":"bad key"}')
        usage = (await street.event("usage")).usage
        assert usage is not None
        assert usage.output_tokens == 0


async def test_unreachable_upstream_is_said(street: Street) -> None:
    """Nobody listening: 502 with the code, and a hint that asking again may help."""
    async with street.upstream() as upstream:
        port = upstream.port
    street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{port}", "key")
    await street.lease()
    response = await street.ask("POST", "/m/claude/v1/messages", body=b"{}")
    assert (response.status, response.headers["x-nightyard"]) == (502, "upstream_unreachable")
    assert b'"retry": true' in response.body


async def test_informational_answers_are_skipped(street: Street) -> None:
    """A 103 before the answer does not reach the agent."""
    async with street.upstream() as upstream:
        upstream.respond = say(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
        street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {upstream.port}}}"
        await street.lease()
        host = f"127.0.0.1:{upstream.port}"
        assert (await street.ask("GET", f"http://{host}/", host=host)).status == 204
