"""Attacks on a grant's terms: caps, tokens, approvals, wildcards, tripwires, the web (27, 33, 41-43, 47, 52, 60)."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from credproxy.admin_client.approvals import approve, deny, list_approvals, show_approval
from tests.credproxy.street import CANARY, Client, say_json
from tests.security.proxy.scene import PATIENCE_S, Scene, code_of, status_of

CHUNK = b"400\r\n" + b"x" * 1024 + b"\r\n"
LARGE_BODIES = {
    "said beforehand": b"Content-Length: 2048\r\n\r\n" + b"x" * 2048,
    "said beforehand, and never sent": b"Content-Length: 2048\r\n\r\n",
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 2 + b"0\r\n\r\n",
    "in chunks that do not end": b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 3,
    "compressed": b"Content-Encoding: gzip\r\nContent-Length: 2048\r\n\r\n" + b"x" * 2048,
    "after a hundred is waited for": b"Expect: 100-continue\r\nContent-Length: 2048\r\n\r\n",
}


@pytest.mark.parametrize("how", LARGE_BODIES)
async def test_body_beyond_its_cap_is_refused_however_it_is_cut(scene: Scene, how: str) -> None:
    """A body beyond the grant's cap is refused, whatever is said of its length; A gets no whole request (27)."""
    await scene.grant(f"- {{{scene.place}, body_cap: 1KB, secret: key, inject: bearer}}")
    head = await scene.raw_inside(b"POST /x HTTP/1.1\r\nHost: HOST\r\n" + LARGE_BODIES[how])
    assert (status_of(head), code_of(head)) == (413, "body_too_large")
    assert scene.a.inbox == []


FRESH = CANARY + "-fresh-access"
ISSUED = json.dumps({"access_token": FRESH, "refresh_token": CANARY + "-fresh-refresh", "expires_in": 3600}).encode()
FORM = [("content-type", "application/x-www-form-urlencoded")]
SPELLINGS = (
    ("POST", "/token"),
    ("POST", "/oauth/token"),
    ("POST", "/OAuth2/v4/Token"),
    ("POST", "/oauth/token/"),
    ("POST", "/oauth/token//"),
    ("POST", "/oauth//token"),
    ("POST", "/oauth/%74oken"),
    ("POST", "/oauth/token?x=1"),
    ("POST", "/oauth/token;v=1"),
    ("POST", "/oauth/token%3Bv=1"),
    ("POST", "/login/oauth/access_token"),
    ("PUT", "/oauth/token"),
    ("PATCH", "/oauth/token"),
    ("GET", "/oauth/token?grant_type=refresh_token&refresh_token=x"),
    ("GET", "/oauth/access_token?client_id=x&client_secret=y&code=z"),
    ("GET", "/api/oauth.access?code=z"),
)


@pytest.mark.parametrize(("method", "path"), SPELLINGS)
async def test_tokens_are_taken_in_however_the_address_is_spelled(scene: Scene, method: str, path: str) -> None:
    """Fresh tokens do not reach the agent, whichever way that a server takes for its token endpoint was asked (33)."""
    await scene.grant(f"- {{{scene.place}}}")
    scene.a.respond = say_json(ISSUED)
    body = None if method == "GET" else b"grant_type=authorization_code&code=abc&client_id=tool"
    async with scene.inside() as client:
        response = await client.ask(method, path, host=scene.host, headers=FORM, body=body)
    assert response.status in (200, 400, 403), response
    assert b"-fresh-" not in response.body


PAY = b'{"to": "alice", "amount": 10}'


async def hold(scene: Scene, client: Client, group: asyncio.TaskGroup, body: bytes = PAY, path: str = "/x") -> str:
    """Ask for what needs a yes; return the approval's id once a person is wanted."""
    known = len([event for event in scene.street.events if event.kind == "approval_wanted"])
    group.create_task(client.begin("POST", path, host=scene.host, body=body))
    await scene.street.wait_for(
        lambda: len([event for event in scene.street.events if event.kind == "approval_wanted"]) > known
    )
    return [event.detail for event in scene.street.events if event.kind == "approval_wanted"][-1]


async def test_yes_is_for_what_was_shown(scene: Scene) -> None:
    """What a person said yes to goes out once, byte for byte; what was sent behind it does not (42)."""
    await scene.grant(f"- {{{scene.place}, approval: true, secret: key, inject: bearer}}")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group, scene.inside() as client:
        wanted = await hold(scene, client, group)
        scene.said += await show_approval(scene.street.admin, wanted)
        client.writer.write(b"POST /x HTTP/1.1\r\nHost: " + scene.host.encode() + b"\r\nContent-Length: 4\r\n\r\ntail")
        assert scene.a.inbox == []
        await approve(scene.street.admin, wanted)
        assert (await client.read_response()).status == 200
    (arrived,) = scene.a.inbox
    assert arrived.body == PAY
    assert b"tail" not in bytes(scene.a.everything)


async def test_yes_is_for_one_sending(scene: Scene) -> None:
    """The very same request, asked again, waits for a yes of its own (42)."""
    await scene.grant(f"- {{{scene.place}, approval: true, secret: key, inject: bearer}}")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group, scene.inside() as client:
        wanted = await hold(scene, client, group)
        await approve(scene.street.admin, wanted)
        assert (await client.read_response()).status == 200
        again = await hold(scene, client, group)
        assert again != wanted
        await deny(scene.street.admin, again)
        assert (await client.read_response()).status == 403
    assert len(scene.a.inbox) == 1


@pytest.mark.parametrize("change", [b'{"to": "mallory", "amount": 10}', PAY + b" ", PAY[:-1]])
async def test_other_request_cannot_use_a_yes(scene: Scene, change: bytes) -> None:
    """A yes to one body lets no other out, even after its own client has gone (42)."""
    await scene.grant(f"- {{{scene.place}, approval: true, secret: key, inject: bearer}}")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        async with scene.inside() as client:
            wanted = await hold(scene, client, group)
        await approve(scene.street.admin, wanted)
        async with scene.inside() as client:
            again = await hold(scene, client, group, body=change)
            assert again != wanted
            await deny(scene.street.admin, again)
            assert (await client.read_response()).status == 403
    assert scene.a.inbox == []


async def test_agent_cannot_say_yes_to_itself(scene: Scene) -> None:
    """Whatever a container sends, as a header, a path or a frame, the request goes on waiting (41)."""
    await scene.grant(f"- {{{scene.place}, approval: true, secret: key, inject: bearer}}")
    claims = [("X-Nightyard-Approved", "yes"), ("X-Nightyard-Approval", "owner"), ("X-Approved-By", "owner")]
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group, scene.inside() as client:
        asking = group.create_task(client.ask("POST", "/x", host=scene.host, body=PAY, headers=claims))
        wanted = (await scene.street.event("approval_wanted")).detail
        for line in (
            f"POST /approve/{wanted}",
            f"POST /m/approve/{wanted}",
            f"GET http://nightyard/approve?id={wanted}",
        ):
            host = "nightyard" if "http://" in line else "x"
            head = await scene.raw_at_door(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert status_of(head) in (400, 403)
        assert [one.approval_id for one in await list_approvals(scene.street.admin)] == [wanted]
        assert scene.a.inbox == []
        await deny(scene.street.admin, wanted)
        assert (await asking).headers["x-nightyard"] == "approval_denied"
    assert scene.a.inbox == []


async def test_flood_of_holds_has_its_bound(scene: Scene) -> None:
    """A container that asks for a hundred approvals gets a few to wait and the rest refused; others go on (43)."""
    free = f"- {{{scene.place}, paths: [/free]}}"
    await scene.grant(f"{free}\n- {{{scene.place}, approval: true, secret: key, inject: bearer}}")

    async def ask(number: int) -> str:
        async with scene.inside() as client:
            response = await client.ask("POST", f"/x?{number}", host=scene.host, body=PAY)
        return response.headers.get("x-nightyard", "sent")

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(number)) for number in range(40)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        async with scene.inside() as client:
            assert (await client.ask("GET", "/free", host=scene.host)).status == 200
        waiting: set[str] = set()
        while not all(task.done() for task in asking):
            for one in await list_approvals(scene.street.admin):
                waiting.add(one.approval_id)
                await deny(scene.street.admin, one.approval_id)
            await asyncio.wait(asking, timeout=0.02)
    answers = {task.result() for task in asking}
    assert "sent" not in answers
    assert "approval_quota" in answers, answers
    assert len(scene.a.inbox) == 1


WILDCARDS = (
    "*.com",
    "*.co.uk",
    "*.github.io",
    "*.s3.amazonaws.com",
    "*.herokuapp.com",
    "*.workers.dev",
    "*.vercel.app",
    "*",
)


@pytest.mark.parametrize("host", WILDCARDS)
async def test_wildcard_over_strangers_grants_nothing(scene: Scene, host: str) -> None:
    """A wildcard below which anybody can have a name is a mistake in the file: nothing in it counts (52)."""
    await scene.grant(f'- {{{scene.place}, secret: key, inject: bearer}}\n- {{host: "{host}"}}')
    head = await scene.raw_at_door(b"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n")
    assert (status_of(head), code_of(head)) == (403, "grants_broken")


async def test_wildcard_gets_no_secret(scene: Scene) -> None:
    """A secret goes to hosts that are named, one by one (52)."""
    await scene.grant('- {host: "*.a.test", secret: key, inject: bearer}')
    head = await scene.raw_at_door(b"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n")
    assert code_of(head) == "grants_broken"


async def test_tags_by_the_thousand_hold_up_nobody(scene: Scene) -> None:
    """A body full of what placeholders begin with is searched in milliseconds (47)."""
    names = [f"secret{number}" for number in range(60)]
    grants = "\n".join(
        f"- {{host: h{number}.test, secret: {name}, inject: bearer}}" for number, name in enumerate(names)
    )
    await scene.grant(f"- {{{scene.place}, methods: [POST]}}\n{grants}")
    first, second = (scene.street.proxy.placeholders.of(*_named(name)) for name in names[:2])
    shared = max(
        (first[at : at + 8] for at in range(len(first) - 7) if first[at : at + 8] in second), default=first[:8]
    )
    body = (shared * 70_000)[: 512 << 10].encode()
    began = time.process_time()
    async with scene.inside() as client:
        assert (await client.ask("POST", "/x", host=scene.host, body=body)).status == 200
    assert time.process_time() - began < 1.0


def _named(secret: str):  # type: ignore[no-untyped-def]  # the arguments of `of`
    from tests.credproxy.street import GROUP

    return GROUP, secret


OPEN_WEB = "- web_read: true"
INNER = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "100.64.0.1", "192.168.0.1")


@pytest.mark.parametrize("address", INNER)
async def test_open_web_takes_no_words_and_no_inner_address(scene: Scene, address: str) -> None:
    """What reads the open web reaches no inner address, sends no body, no other method and no secret (11, 12, 60)."""
    await scene.grant(OPEN_WEB)
    scene.street.addresses["page.test"] = [address]
    async with scene.client() as client:
        inside = await client.tunnel("page.test", 443, scene.street.ca)
        codes = [
            (await inside.ask("GET", "/", host="page.test")).headers.get("x-nightyard"),
            (await inside.ask("POST", "/", host="page.test", body=b"data")).headers.get("x-nightyard"),
            (await inside.ask("GET", "/?" + "q" * 8000, host="page.test")).headers.get("x-nightyard"),
        ]
    assert codes[0] == "address_refused"
    assert all(codes), codes
    assert scene.a.connections == scene.b.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "localhost"])
async def test_open_web_is_asked_by_name(scene: Scene, host: str) -> None:
    """An inner address is no page, however it is asked for (11, 13)."""
    await scene.grant(OPEN_WEB)
    for line in (f"CONNECT {host}:{scene.b.port}", f"GET http://{host}:{scene.b.port}/"):
        target = f"{host}:{scene.b.port}"
        head = await scene.raw_at_door(f"{line} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert status_of(head) in (400, 403), line
    assert scene.b.connections == 0
