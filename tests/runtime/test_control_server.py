"""control.sock: verbs answered, hostile clients kept to themselves."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.control import ControlClient
from client.errors import HostNotRunning, HostSilent, Refused
from protocol.control import SERVER_FRAMES, Problem, Request, Say
from protocol.frames import PROTOCOL_VERSION, FrameDecoder, encode_frame
from tests.scripted_house import House, scripted_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(20), scripted_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(house: House) -> ControlClient:
    return ControlClient(house.home.control_socket)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


async def answers_to(house: House, sent: bytes, *, then_close: bool = True) -> list[object]:
    """Send bytes; return the frames that come back until the host closes the connection."""
    reader, writer = await asyncio.open_unix_connection(house.home.control_socket)
    writer.write(sent)
    if then_close:
        writer.write_eof()
    received = await reader.read()
    writer.close()
    return [SERVER_FRAMES.decode(body) for body in FrameDecoder(32 << 20).feed(received)]


async def test_socket_is_the_owners_alone(house: House) -> None:
    """Nobody but the owner of the home may open the control socket."""
    assert stat.S_IMODE(house.home.control_socket.stat().st_mode) == 0o600


async def test_health_tells_the_host_lives(client: ControlClient) -> None:
    """Health answers with the protocol's version and that nothing is stopping."""
    answer = await client.request("health")
    assert isinstance(answer, dict)
    assert answer["protocol"] == PROTOCOL_VERSION
    assert answer["is_stopping"] is False


HOSTILE = {
    "oversized": (b"\xff\xff\xff\xff" + b"x" * 10, "oversized"),
    "not_json": (frame(b"{nope"), "not_json"),
    "not_utf8": (frame(b"\xff\xfe\x00"), "not_json"),
    "deep": (frame(b"[" * 100_000), "not_json"),
    "not_an_object": (frame(b"[1]"), "not_an_object"),
    "unknown_type": (frame(b'{"type":"lease"}'), "unknown_type"),
    "a_servers_frame": (frame(b'{"type":"reply","value":1}'), "unknown_type"),
    "wrong_shape": (frame(b'{"type":"request","protocol":1,"verb":"health"}'), "wrong_shape"),
    "truncated_header": (b"\x00\x00", "truncated"),
    "truncated_body": (b"\x00\x00\x00\x10abc", "truncated"),
    "say_first": (encode_frame(Say(text="hi")), "unknown_type"),
    "other_major": (encode_frame(Request(protocol="2.0", verb="health")), "wrong_version"),
    "no_version": (encode_frame(Request(protocol="", verb="health")), "wrong_version"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_bytes_are_named_and_end_only_their_connection(
    house: House, client: ControlClient, name: str
) -> None:
    """Bytes that are no question are answered with the fault's code; others go on being served."""
    sent, code = HOSTILE[name]
    (answer,) = await answers_to(house, sent)
    assert isinstance(answer, Problem)
    assert answer.code == code
    await client.request("health")


async def test_silent_clients_do_not_lock_others_out(house: House, client: ControlClient) -> None:
    """Clients beyond the limit are told so; when the others go, there is room again."""
    silent = [await asyncio.open_unix_connection(house.home.control_socket) for _ in range(8)]
    with pytest.raises(Refused) as refused:
        await client.request("health")
    assert refused.value.code == "too_many"
    for _, writer in silent:
        writer.close()
    await healthy(client)


async def healthy(client: ControlClient) -> None:
    """Return as soon as the host has room for a question."""
    while True:
        try:
            await client.request("health")
        except Refused:
            await asyncio.sleep(0)
        else:
            return


async def test_client_that_hangs_up_disturbs_nobody(house: House, client: ControlClient) -> None:
    """A client that closes at once, before its answer, is forgotten."""
    for _ in range(20):
        _, writer = await asyncio.open_unix_connection(house.home.control_socket)
        writer.write(encode_frame(Request(protocol=PROTOCOL_VERSION, verb="status")))
        writer.transport.abort()
    await healthy(client)


@pytest.mark.parametrize(
    ("verb", "arguments", "code"),
    [
        ("healht", {}, "unknown_verb"),
        ("trace", {}, "wrong_arguments"),
        ("trace", {"reference": 7}, "wrong_arguments"),
        ("trace", {"reference": "task_nope"}, "unknown_reference"),
        ("stop", {"task": "task_nope"}, "unknown_task"),
        ("new", {"chat": "telegram:1"}, "unknown_chat"),
        ("pair", {"group": "nope"}, "unknown_group"),
        ("pair", {"channel": "nope"}, "unknown_channel"),
        ("group_show", {"group": "../x"}, "unknown_group"),
        ("chat", {"group": "nope"}, "unknown_group"),
        ("chat", {"name": "../../x"}, "wrong_name"),
        ("unfreeze", {}, "proxy_unavailable"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    client: ControlClient, verb: str, arguments: dict[str, object], code: str
) -> None:
    """A refused verb says why with a stable code."""
    with pytest.raises(Refused) as refused:
        await client.request(verb, arguments)
    assert refused.value.code == code


async def test_unknown_verb_names_the_nearest(client: ControlClient) -> None:
    """A mistyped verb is answered with the one that was probably meant."""
    with pytest.raises(Refused, match="did you mean status"):
        await client.request("statsu")


async def test_status_holds_the_whole_overview(client: ControlClient) -> None:
    """Status tells host, channels, agents, queue, today, disk, freeze and rehearsal in one answer."""
    answer = await client.request("status")
    assert isinstance(answer, dict)
    assert answer["rehearsal"] == ["main", "side"]
    assert answer["frozen"] is False
    assert answer["proxy"]["state"] == "away"
    assert answer["agents"]["waiting"] == 1
    assert answer["channels"][0] == {
        "channel": "terminal",
        "platform": "terminal",
        "group": "main",
        "health": "ok",
    }
    assert json.dumps(answer)


async def test_freeze_stops_agents_even_without_the_proxy(house: House, client: ControlClient) -> None:
    """A freeze stores its flag, stops the tasks and drops the spares, and says that the proxy was not told."""
    async with client.chat() as chat:
        await chat.say(Say(text="slow"))
        await house.agent.working.wait()
        answer = await client.request("freeze")
    assert isinstance(answer, dict)
    assert len(answer["tasks"]) == 1
    assert "does not answer" in answer["egress"]
    assert house.containers.spares_dropped == 1
    assert await house.store.is_frozen()


async def test_pairing_code_lets_one_in(house: House, client: ControlClient) -> None:
    """The code that pair gives is one that the store takes."""
    answer = await client.request("pair", {"group": "side"})
    assert isinstance(answer, dict)
    assert answer["group"] == "side"
    assert len(answer["code"]) == 9


async def test_reload_names_what_is_wrong(house: House, client: ControlClient) -> None:
    """Reload answers with file, line and key of what it found."""
    (house.fork / "nightyard.yaml").write_text("modle: x/y\n")
    answer = await client.request("reload")
    assert isinstance(answer, dict)
    assert any("nightyard.yaml:1" in problem and "did you mean model" in problem for problem in answer["problems"])


async def test_trace_tells_the_story_of_a_message(client: ControlClient) -> None:
    """A message's trace by its event id holds the message, its task and its delivery."""
    async with client.chat() as chat:
        await chat.say(Say(text="hello"))
        event_id = ""
        async for shown in chat.shown():
            event_id = shown.text if shown.kind == "accepted" else event_id
            if shown.kind == "message":
                break
    answer = await client.request("trace", {"reference": event_id})
    assert isinstance(answer, dict)
    assert answer["messages"][0]["text"] == "hello"
    assert answer["task"]["state"] == "reply"
    assert answer["outbox"]


async def test_shutdown_is_begun_and_answered_at_once(house: House, client: ControlClient) -> None:
    """Shutdown answers before anything ends."""
    answer = await client.request("shutdown")
    assert isinstance(answer, dict)
    assert answer["grace_s"] == 30.0
    assert house.state.is_stopping


async def test_no_host_is_said_plainly(tmp_path: Path) -> None:
    """Without a socket the client names it and what to do."""
    with pytest.raises(HostNotRunning, match="does not exist"):
        await ControlClient(tmp_path / "control.sock").request("health")


async def test_silent_host_is_given_up(tmp_path: Path) -> None:
    """A host that takes the question and never answers is given up after the caller's time."""
    path, closed = tmp_path / "control.sock", asyncio.Event()

    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with await asyncio.start_unix_server(listen_only, path):
        with pytest.raises(HostSilent):
            await ControlClient(path).request("health", timeout_s=0.05)
        await closed.wait()


async def test_restart_takes_the_place_of_a_dead_socket(tmp_path: Path) -> None:
    """A socket that a killed host left does not stand in the way of the next."""
    (tmp_path / "home" / "run").mkdir(parents=True)
    (tmp_path / "home" / "run" / "control.sock").touch()
    async with scripted_house(tmp_path) as house:
        await ControlClient(house.home.control_socket).request("health")


def test_every_verb_is_documented() -> None:
    """docs/control.md has a section for every verb of every room."""
    root = Path(__file__).parents[2]
    text = (root / "docs" / "control.md").read_text()
    rooms = "\n".join(file.read_text() for file in (root / "runtime" / "control").glob("*.py"))
    verbs = re.findall(r'^        "(\w+)": (?:verb|stream)\(', rooms, re.MULTILINE)
    assert {"health", "shutdown"} <= set(verbs)
    assert [verb for verb in [*verbs, "chat"] if f"### `{verb}`" not in text] == []
