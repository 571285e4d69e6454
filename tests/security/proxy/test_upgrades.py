"""Attacks by switching the protocol: WebSockets past the decision, other protocols behind an upgrade (44, 45)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from protocol.task import Effects
from tests.credproxy.pipeline.test_websocket import SHAKE, accepting, stay
from tests.credproxy.street import CANARY, say
from tests.security.proxy.scene import PATIENCE_S, B, Scene, answer_head, code_of, status_of

HANDSHAKE = "".join(f"{name}: {value}\r\n" for name, value in SHAKE)


async def nothing(scene: Scene) -> None:
    await scene.grant("[]")


async def another_path(scene: Scene) -> None:
    await scene.grant(f"- {{{scene.place}, paths: [/open/**], secret: key, inject: bearer}}")


async def a_broken_file(scene: Scene) -> None:
    await scene.grant("- {hots: x}")


async def a_missing_secret(scene: Scene) -> None:
    await scene.grant(f"- {{{scene.place}, secret: gone, inject: bearer}}")


async def a_placeholder_missing(scene: Scene) -> None:
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer, must_carry: true}}")


async def no_address(scene: Scene) -> None:
    await scene.grant(f"- {{host: a.test, port: {scene.a.port}, secret: key, inject: bearer}}")


async def an_ended_grant(scene: Scene) -> None:
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer, expires: 2020-01-01T00:00:00Z}}")


async def twins_only(scene: Scene) -> None:
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}", effects=Effects.TWIN)


async def frozen(scene: Scene) -> None:
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}")
    await scene.street.admin.freeze(True)


STATES = (
    *(nothing, another_path, a_broken_file, a_missing_secret, a_placeholder_missing, no_address, an_ended_grant),
    *(twins_only, frozen),
)


async def ask_in_tunnel(scene: Scene, extra: str) -> str:
    """Return the code with which a GET is refused: by its tunnel, or in it."""
    async with scene.client() as client:
        connect = f"CONNECT {scene.host} HTTP/1.1\r\nHost: {scene.host}\r\n\r\n".encode()
        head = await answer_head(client, connect)
    if status_of(head) != 200:
        return code_of(head)
    return code_of(await scene.raw_inside(f"GET /x HTTP/1.1\r\nHost: HOST\r\n{extra}\r\n".encode()))


@pytest.mark.parametrize("state", STATES)
async def test_upgrade_is_judged_as_a_request_is(scene: Scene, state: Callable[[Scene], Awaitable[None]]) -> None:
    """Whatever refuses a request refuses a WebSocket, with the same code; A is not told of it (44)."""
    await state(scene)
    plain = await ask_in_tunnel(scene, "")
    upgrade = await ask_in_tunnel(scene, HANDSHAKE)
    assert plain
    assert upgrade == plain
    assert scene.a.inbox == []
    if state is frozen:
        await scene.street.admin.freeze(False)


async def test_granted_upgrade_works(scene: Scene) -> None:
    """The paired case: where a request may read and write, a WebSocket opens, and A gets the secret (44)."""
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}")
    scene.a.respond = accepting(stay)
    assert status_of(await scene.raw_inside(f"GET /x HTTP/1.1\r\nHost: HOST\r\n{HANDSHAKE}\r\n".encode())) == 101
    assert scene.canary_came_home()


PROTOCOLS = ("h2c", "HTTP/2.0", "TLS/1.0", "raw", "websocket, h2c", "h2c, websocket", "WebSocket/13", "connect-udp")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_no_other_protocol_is_switched_to(scene: Scene, protocol: str) -> None:
    """An upgrade to anything else never reaches A; a 101 all the same is an error, and raw bytes go nowhere (45)."""
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}")
    name = protocol.partition(",")[0].encode()
    scene.a.respond = say(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
        + name
        + b"\r\n\r\nraw "
        + CANARY.encode()
    )
    wire = (
        f"GET /x HTTP/1.1\r\nHost: {scene.host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n"
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    ).encode()
    async with scene.inside() as client:
        head = await answer_head(client, wire)
        assert status_of(head) in (400, 502), head
        client.writer.write(b"GET /open/behind HTTP/1.1\r\nHost: b.test\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(client.reader.read(), 0.2)
    assert b"behind" not in scene.a.everything
    assert b"ttp2-" not in scene.a.everything
    for arrived in scene.a.inbox:
        assert arrived.header("upgrade") == []


async def test_upgrade_of_a_tunnel_to_another_host(scene: Scene) -> None:
    """A WebSocket whose handshake names another host than its tunnel's is misdirected, as any request (1, 44)."""
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}")
    head = await scene.raw_inside(f"GET /x HTTP/1.1\r\nHost: {B}\r\n{HANDSHAKE}\r\n".encode())
    assert (status_of(head), code_of(head)) == (421, "misdirected")
    assert scene.a.inbox == []
