"""A door on hold: its container has its task before the start of that is on disk, and nothing goes out until it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import h11
import pytest

from credproxy.admin_client.link import ProxyRefused
from credproxy.pipeline.hold import Hold
from protocol.ids import AttemptId, TaskId
from protocol.task import Effects, Lease, Limits
from tests.credproxy.street import DOOR, GROUP, TIMEOUT_S, Response, Street

ASK = b'{"model":"priced-model","max_tokens":2}'
ATTEMPT = AttemptId("attempt_1")


def a_lease(street: Street, attempt: AttemptId = ATTEMPT) -> Lease:
    return Lease(
        task_id=TaskId("task_1"),
        attempt_id=attempt,
        group_id=GROUP,
        effects=Effects.LIVE,
        limits=Limits(),
        routes=tuple(street.routes),
    )


async def on_hold(street: Street) -> None:
    await street.admin.open_door(DOOR, street.door_path, is_held=True)


async def ask_model(street: Street) -> Response:
    return await street.ask("POST", "/m/claude/v1/messages", body=ASK)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not holds():  # noqa: ASYNC110 - the proxy's own state; nobody sets an event
            await asyncio.sleep(0)


async def test_a_model_call_waits_for_its_lease_and_for_the_release_of_that(street: Street) -> None:
    """Asked without any lease yet and then under a held one it is neither refused nor sent; released, it goes out."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        street.proxy.reload()
        await on_hold(street)
        asking = asyncio.create_task(ask_model(street))
        await until(lambda: bool(street.proxy.doors[DOOR].connections))
        await street.admin.grant(DOOR, a_lease(street), is_held=True)
        await until(lambda: bool(street.proxy.under_way))  # admitted and on record, and not sent
        assert (upstream.inbox, upstream.connections, asking.done()) == ([], 0, False)
        await street.admin.release(DOOR, ATTEMPT)
        assert (await asking).status == 200
        assert len(upstream.inbox) == 1
        assert (await ask_model(street)).status == 200, "a released lease held the next call"


async def test_what_is_no_model_call_is_not_even_decided_before_the_release(street: Street) -> None:
    """No connection, no approval, no token for it: a tunnel is not opened."""
    async with street.upstream("api.test") as upstream:
        street.addresses["api.test"] = ["127.0.0.1"]
        street.grants = (
            f"- {{host: api.test, port: {upstream.port}, secret: key, inject: bearer, addresses: [127.0.0.1]}}"
        )
        street.proxy.reload()
        await on_hold(street)
        await street.admin.grant(DOOR, a_lease(street), is_held=True)
        async with street.client() as client:
            tunnelling = asyncio.create_task(client.tunnel("api.test", upstream.port, street.ca))
            await until(lambda: bool(street.proxy.doors[DOOR].connections))
            await street.admin.health()  # a whole round behind it
            assert not tunnelling.done()
            await street.admin.release(DOOR, ATTEMPT)
            inside = await tunnelling
            assert (await inside.ask("GET", "/", host=f"api.test:{upstream.port}")).status == 200


async def test_a_route_that_moves_while_its_call_waits_keeps_its_key_from_the_old_place(street: Street) -> None:
    """The lease brings another policy: what was asked before goes where the route leads then, with the key of then."""
    async with street.upstream() as old, street.upstream() as new:
        street.proxy.vault.add("other", "other-canary-1234567890")
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{old.port}", "key")
        street.proxy.reload()
        await on_hold(street)
        asking = asyncio.create_task(ask_model(street))
        await until(lambda: bool(street.proxy.doors[DOOR].connections))
        await street.admin.health()  # a whole round behind it
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{new.port}", "other")
        await street.admin.grant(DOOR, a_lease(street))
        assert (await asking).status == 200
        assert old.inbox == []
        assert [arrived.header("x-api-key") for arrived in new.inbox] == [["other-canary-1234567890"]]


async def test_a_start_that_is_not_stored_lets_nothing_out(street: Street) -> None:
    """The host ends the container and its door instead of releasing: what waited is cut off, and was never sent."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        street.proxy.reload()
        await on_hold(street)
        await street.admin.grant(DOOR, a_lease(street), is_held=True)
        asking = asyncio.create_task(ask_model(street))
        await until(lambda: bool(street.proxy.under_way))
        await street.admin.close_door(DOOR)
        with pytest.raises(h11.RemoteProtocolError):
            await asking
        assert (upstream.inbox, upstream.connections) == ([], 0)


async def test_a_host_that_never_says_so_is_not_waited_for_without_end(street: Street) -> None:
    """Killed between the two: what waits is refused with a word that it may be asked again, and nothing was sent."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        street.proxy.reload()
        street.proxy.doors[DOOR].hold = Hold(limit_s=0.02)
        await on_hold(street)
        refused = await ask_model(street)
        assert (refused.status, refused.headers["x-nightyard"]) == (503, "start_not_stored")
        await street.admin.grant(DOOR, a_lease(street), is_held=True)
        refused = await ask_model(street)
        assert (refused.status, refused.headers["x-nightyard"]) == (503, "start_not_stored")
        assert (upstream.inbox, upstream.connections, street.proxy.under_way) == ([], 0, set())


async def test_a_lease_that_is_not_held_lifts_the_hold(street: Street) -> None:
    """A task that was stored before it was handed over, and a container that the next host takes up."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        street.proxy.reload()
        await on_hold(street)
        await street.admin.grant(DOOR, a_lease(street), is_held=True)
        await street.admin.open_door(DOOR, street.door_path, lease=a_lease(street))
        assert (await ask_model(street)).status == 200
        await on_hold(street)
        await street.admin.grant(DOOR, a_lease(street))
        assert (await ask_model(street)).status == 200


async def test_only_the_attempts_own_lease_is_released(street: Street) -> None:
    """Another attempt's word releases nothing."""
    await on_hold(street)
    await street.admin.grant(DOOR, a_lease(street), is_held=True)
    with pytest.raises(ProxyRefused) as refused:
        await street.admin.release(DOOR, AttemptId("attempt_2"))
    assert refused.value.code == "lease_unknown"
    assert street.proxy.doors[DOOR].hold.is_on
