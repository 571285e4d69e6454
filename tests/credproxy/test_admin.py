"""The admin socket: what it refuses, and that a broken client harms nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credproxy.admin_client.link import ProxyAdmin, ProxyRefused, ProxyUnavailable, connect
from protocol.frames import FrameDecoder, encode_frame
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.proxy_admin import ADMIN_SERVER_FRAMES, AdminProblem, AdminReply, AdminRequest
from protocol.task import Effects, Lease, Limits, Usage
from tests.credproxy.street import CANARY, DOOR, Street

HOSTILE = {
    "oversized": b"\xff\xff\xff\xff",
    "not JSON": b"\0\0\0\x03{{{",
    "no object": b"\0\0\0\x02[]",
    "unknown type": b'\0\0\0\x0f{"type":"hello"}'[:19],
    "wrong shape": encode_frame(AdminRequest(protocol="1.0", id=1, verb="x")).replace(b'"id":1', b'"id":"'),
    "truncated": b"\0\0\0\xff{",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_broken_frame_ends_its_own_connection(street: Street, name: str) -> None:
    """Whatever is no frame closes that link, and the others go on."""
    reader, writer = await asyncio.open_unix_connection(street.admin_path)
    writer.write(HOSTILE[name])
    writer.write_eof()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    assert DOOR in (await street.admin.health()).doors


async def send(street: Street, request: AdminRequest) -> AdminReply | AdminProblem:
    reader, writer = await asyncio.open_unix_connection(street.admin_path)
    writer.write(encode_frame(request))
    decoder = FrameDecoder()
    try:
        async with asyncio.timeout(5):
            while True:
                for body in decoder.feed(await reader.read(65536)):
                    answer = ADMIN_SERVER_FRAMES.decode(body)
                    assert isinstance(answer, AdminReply | AdminProblem)
                    return answer
    finally:
        writer.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
)


VERBS = (
    *("open_door", "close_door", "grant", "end", "calls", "usage", "freeze", "nothing"),
    *("secret_add", "secret_fetch", "secret_show", "secret_rotate", "secret_reserve", "secret_promote"),
    *("secret_remove", "secret_test", "vault_state"),
)
ARGUMENTS = (
    "door_id",
    "path",
    "lease",
    "task_id",
    "on",
    "name",
    "value",
    "parts",
    "source",
    "label",
    "overlap_s",
    "url",
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    verb=st.sampled_from(VERBS),
    arguments=st.dictionaries(st.sampled_from(ARGUMENTS), JSON),
)
async def test_any_arguments_are_answered(street: Street, verb: str, arguments: dict[str, object]) -> None:
    """Arguments of any shape get an answer, never a crash."""
    answer = await send(street, AdminRequest(protocol="1.0", id=7, verb=verb, arguments=arguments))
    assert answer.id == 7


async def test_half_a_character_is_no_text(street: Street) -> None:
    """JSON can spell what no answer could repeat: refused, and the connection goes on."""
    reader, writer = await asyncio.open_unix_connection(street.admin_path)
    for verb in ("secret_show", "secret_remove", "secret_fetch"):
        request = AdminRequest(protocol="1.0", id=1, verb=verb, arguments={"name": "halved"})
        writer.write(encode_frame(request).replace(b"halved", b"\\ud800"))
        async with asyncio.timeout(5):
            length = int.from_bytes(await reader.readexactly(4), "big")
            answer = ADMIN_SERVER_FRAMES.decode(await reader.readexactly(length))
        assert isinstance(answer, AdminProblem)
        assert answer.code == "wrong_shape"
    writer.close()


async def test_other_major_version_is_told(street: Street) -> None:
    """A client of another protocol learns what is spoken here."""
    answer = await send(street, AdminRequest(protocol="2.0", id=1, verb="health"))
    assert isinstance(answer, AdminProblem)
    assert answer.code == "wrong_version"


async def test_doors_are_made_in_their_folder_only(street: Street) -> None:
    """A path elsewhere, too long, or taken by a file is refused, and nothing is removed."""
    taken = street.door_path.with_name("file")
    taken.write_text("kept")
    link = street.door_path.with_name("link")
    link.symlink_to(taken)
    cases = {
        Path("/tmp/elsewhere.sock"): "path_refused",
        street.run_folder / "c" / ".." / ".." / "x.sock": "path_refused",
        street.run_folder / "c" / ("x" * 200): "path_too_long",
        street.run_folder / "absent" / "deep" / "x.sock": "door_failed",
        taken: "path_taken",
        link: "path_taken",
    }
    for path, code in cases.items():
        with pytest.raises(ProxyRefused) as refusal:
            await street.admin.open_door(DoorId("door_x"), path)
        assert refusal.value.code == code, path
    assert taken.read_text() == "kept"


async def test_door_verbs_may_be_repeated(street: Street) -> None:
    """Opening what is open, closing what is closed and ending what has ended are no mistakes."""
    await street.admin.open_door(DOOR, street.door_path)
    await street.lease()
    assert await street.admin.end(DOOR) == Usage(cost_usd=0.0)
    assert await street.admin.end(DOOR) == Usage(cost_usd=0.0)
    await street.admin.close_door(DOOR)
    await street.admin.close_door(DOOR)
    assert not street.door_path.exists()
    with pytest.raises(ProxyRefused, match="no door"):
        await street.lease()


async def test_a_lease_that_comes_with_the_door_is_there_when_it_opens(street: Street) -> None:
    """An agent at work, whose proxy was started anew, never finds its door open and its lease missing."""
    await street.admin.close_door(DOOR)
    lease = Lease(
        group_id=GroupId("main"),
        task_id=TaskId("task_1"),
        attempt_id=AttemptId("attempt_1"),
        effects=Effects.LIVE,
        limits=Limits(),
        routes=(),
    )
    await street.admin.open_door(DOOR, street.door_path, lease=lease)
    assert DOOR in (await street.admin.health()).leases
    await street.admin.open_door(DOOR, street.door_path)
    assert DOOR in (await street.admin.health()).leases


async def test_keys_are_told_to_nobody(street: Street) -> None:
    """Only a channel's token can be fetched, and the fetch is on record."""
    with pytest.raises(ProxyRefused) as refusal:
        await street.admin.secret_fetch("key", "curiosity")
    assert refusal.value.code == "secret_is_key"
    assert CANARY not in str(refusal.value)
    await street.admin.secret_add("bot", "123456:token-of-a-bot", "channel")
    assert await street.admin.secret_fetch("bot", "telegram client") == "123456:token-of-a-bot"
    listed = {secret.name: secret.kind for secret in await street.admin.secret_list()}
    assert listed == {"bot": "channel", "key": "key"}


async def test_client_without_a_proxy_says_so(tmp_path: Path) -> None:
    """An unanswered question ends in its own time, with the socket's path."""
    with pytest.raises(ProxyUnavailable, match=r"proxy\.sock"):
        async with connect(tmp_path / "proxy.sock", answer_timeout_s=0.1) as admin:
            await admin.health()


async def test_client_that_has_ended_keeps_nobody_waiting(street: Street) -> None:
    """Once `run` is over, questions fail at once: a host on its way out must not wait for its own connection."""
    admin = ProxyAdmin(street.admin_path)
    async with asyncio.timeout(5):
        async with asyncio.TaskGroup() as group:
            running = group.create_task(admin.run())
            await admin.health()
            running.cancel()
        with pytest.raises(ProxyUnavailable, match="given up"):
            await admin.close_door(DOOR)
    assert not admin.is_connected


async def test_client_sets_doors_again_after_a_cut(street: Street) -> None:
    """A client whose connection is cut asks again in silence."""
    admin = ProxyAdmin(street.admin_path)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(admin.run(lambda _event: None))
        await admin.health()
        for watcher in tuple(street.proxy.watchers):
            watcher.events.put_nowait(None)
        assert DOOR in (await admin.health()).doors
        running.cancel()
