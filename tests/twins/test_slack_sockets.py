"""Socket Mode as the platform does it: tickets, hello, acknowledgement, redelivery, and every way to lose a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.slack.seed import ANNA, DIRECT
from twins.slack.sockets import CONNECTION_S, MAX_SOCKETS
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN
from twins.slack.world import APP_ID


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with served_workspace() as workspace:
        yield workspace


async def test_hello_says_how_many_and_how_long(workspace: Workspace) -> None:
    """The first frame has the number of sockets, their life and the app."""
    async with workspace.socket() as first, workspace.socket() as second:
        hello, again = await first.receive(), await second.receive()
    assert (hello["type"], hello["num_connections"], again["num_connections"]) == ("hello", 1, 2)
    assert hello["connection_info"] == {"app_id": APP_ID}
    assert hello["debug_info"]["approximate_connection_time"] == CONNECTION_S


async def test_a_ticket_is_good_once_and_not_for_ever(workspace: Workspace) -> None:
    """A used ticket, an old one and none are refused at the handshake."""
    address = await workspace.socket_address()
    async with workspace.http.ws_connect(address):
        pass
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await workspace.http.ws_connect(address)
    old = await workspace.socket_address()
    await workspace.person("clock", advance_s=61)
    for refused in (old, address.replace("ticket=", "ticket=x")):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await workspace.http.ws_connect(refused)


async def test_only_an_app_level_token_opens_a_socket(workspace: Workspace) -> None:
    """The bot's token is not_allowed_token_type there; a revoked one is refused by name."""
    assert await workspace.error("apps.connections.open", token=BOT_TOKEN) == "not_allowed_token_type"
    await workspace.person("token", revoke="app")
    assert await workspace.error("apps.connections.open", token=APP_TOKEN) == "token_revoked"


async def test_an_eleventh_socket_is_one_too_many(workspace: Workspace) -> None:
    """It is told too_many_websockets and closed; the ten stay."""
    async with aiohttp.ClientSession() as http:
        channels = [await http.ws_connect(await workspace.socket_address()) for _ in range(MAX_SOCKETS)]
        hellos = [await channel.receive_json(timeout=WAIT_S) for channel in channels]
        assert [hello["num_connections"] for hello in hellos] == list(range(1, MAX_SOCKETS + 1))
        async with workspace.socket() as one_more:
            told = await one_more.receive()
            assert (told["type"], told["reason"]) == ("disconnect", "too_many_websockets")
            assert (await one_more.channel.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.CLOSE
        assert not any(channel.closed for channel in channels)


async def test_sockets_share_the_traffic(workspace: Workspace) -> None:
    """Each event goes to one of them, by turns."""
    async with workspace.socket() as first, workspace.socket() as second:
        await first.receive()
        await second.receive()
        for text in ("a", "b", "c", "d"):
            await workspace.person("type", text=text)
        here = [await first.envelope() for _ in range(2)]
        there = [await second.envelope() for _ in range(2)]
        for envelope in here:
            await first.acknowledge(envelope)
        for envelope in there:
            await second.acknowledge(envelope)
    texts = sorted(envelope["payload"]["event"]["text"] for envelope in (*here, *there))
    assert texts == ["a", "b", "c", "d"]


async def test_what_is_not_acknowledged_comes_three_times_more(workspace: Workspace) -> None:
    """At once, after a minute and after five, by the same event_id in a new envelope; then no more."""
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("type", text="again?")
        envelopes = [await socket.envelope()]
        for wait_s in (3.1, 3.1 + 60, 3.1 + 300):
            await workspace.person("clock", advance_s=3.1)
            if wait_s > 4:
                await workspace.noted("ack_missed", len(envelopes))
                await workspace.person("clock", advance_s=wait_s - 3.1)
            envelopes.append(await socket.envelope())
        await workspace.person("clock", advance_s=3.1)
        undelivered = await workspace.noted("undelivered")
    assert len({envelope["envelope_id"] for envelope in envelopes}) == 4
    assert len({envelope["payload"]["event_id"] for envelope in envelopes}) == 1
    assert [envelope["retry_attempt"] for envelope in envelopes] == [0, 1, 2, 3]
    assert [envelope["retry_reason"] for envelope in envelopes] == ["", "timeout", "timeout", "timeout"]
    assert undelivered[0]["name"] == "message"


async def test_what_happens_between_two_sockets_comes_with_the_next(workspace: Workspace) -> None:
    """Events of the gap of a reconnect arrive in their order; of a longer one by redelivery."""
    await workspace.person("type", text="first")
    await workspace.person("type", text="second")
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        texts = [(await arrived.get()).payload["event"]["text"] for _ in range(2)]
    assert texts == ["first", "second"]
    await workspace.noted("socket_closed")
    waited = len(workspace.twin.log.read(event="waits_for_socket"))
    await workspace.person("type", text="while away")
    for missed in (1, 2):
        await workspace.noted("waits_for_socket", waited + missed)
        await workspace.person("clock", advance_s=3.1)
        await workspace.noted("ack_missed", missed)
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.noted("socket_opened", 2)
        await workspace.person("clock", advance_s=60)
        request = await arrived.get()
    assert (request.payload["event"]["text"], request.retry_attempt) == ("while away", 2)


async def test_the_sdk_stays_through_every_reason_to_disconnect(workspace: Workspace) -> None:
    """warning, refresh_requested, link_disabled: it reconnects, and what was typed meanwhile comes."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        for number, reason in enumerate(("warning", "refresh_requested", "link_disabled"), 2):
            await workspace.person("disconnect", reason=reason)
            await workspace.person("type", text=reason)
            assert (await arrived.get()).payload["event"]["text"] == reason
            await workspace.noted("socket_opened", number)


async def test_a_socket_grows_old(workspace: Workspace) -> None:
    """Near the end of its life it is warned, then told to go, then closed."""
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("clock", advance_s=CONNECTION_S - 10)
        assert (await socket.receive())["reason"] == "warning"
        await workspace.person("clock", advance_s=10)
        assert (await socket.receive())["reason"] == "refresh_requested"
        await workspace.person("clock", advance_s=10)
        assert (await socket.channel.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.CLOSE


async def test_pings_are_answered_with_what_they_brought(workspace: Workspace) -> None:
    """The SDK tells its own pings by their words; a silent socket answers none."""
    async with workspace.socket() as socket:
        await socket.receive()
        await socket.channel.ping(b"sdk-ping-pong:1.5")
        pong = await socket.channel.receive(timeout=WAIT_S)
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1.5")
        await workspace.person("fault", kind="silent_socket")
        await socket.channel.ping(b"sdk-ping-pong:2.5")
        await workspace.person("type", text="unheard")
        with pytest.raises(TimeoutError):
            await socket.channel.receive(timeout=0.3)


async def test_the_twin_pings_too(workspace: Workspace) -> None:
    """As the platform does; what is idle is heard of."""
    workspace.twin.sockets.ping_s = 0.01
    async with workspace.socket() as socket:
        await socket.receive()
        frame = await socket.channel.receive(timeout=WAIT_S)
    assert (frame.type, frame.data) == (aiohttp.WSMsgType.PING, b"Ping from the twin")


async def test_nothing_overtakes_what_waits_for_a_socket(workspace: Workspace) -> None:
    """What is said while the first socket opens comes after what was said before."""
    async with asyncio.timeout(WAIT_S):
        for number in range(20):
            await workspace.person("type", text=str(number))

        async def go_on() -> None:
            for number in range(20, 60):
                await workspace.person("type", text=str(number))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(go_on())
            async with workspace.listening() as arrived:
                texts = [(await arrived.get()).payload["event"]["text"] for _ in range(60)]
    assert texts == [str(number) for number in range(60)]


async def test_a_closed_socket_and_a_burned_ticket(workspace: Workspace) -> None:
    """close_socket ends it with the asked code; refuse_socket refuses the next one and its ticket is burned."""
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("fault", kind="close_socket", code=4001)
        closing = await socket.channel.receive(timeout=WAIT_S)
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 4001)
    await workspace.person("fault", kind="refuse_socket")
    address = await workspace.socket_address()
    for _ in range(2):  # refused by the fault, then because the ticket is burned
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await workspace.http.ws_connect(address)
    async with workspace.socket() as socket:
        assert (await socket.receive())["type"] == "hello"


async def test_a_revoked_app_token_ends_its_sockets(workspace: Workspace) -> None:
    """The sockets are told link_disabled."""
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("token", revoke="app")
        assert (await socket.receive())["reason"] == "link_disabled"


async def test_without_its_bot_token_an_app_hears_nothing(workspace: Workspace) -> None:
    """tokens_revoked is the last event; what is said until the token holds again stands only in the history."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("token", revoke="bot")
        assert (await arrived.get()).payload["event"]["type"] == "tokens_revoked"
        await workspace.person("type", text="unheard")
        await workspace.person("token", restore=BOT_TOKEN)
        await workspace.person("type", text="heard")
        assert (await arrived.get()).payload["event"]["text"] == "heard"
    history = (await workspace.bot.conversations_history(channel=DIRECT[ANNA]))["messages"]
    assert [message["text"] for message in history] == ["heard", "unheard"]


async def test_events_held_back_doubled_turned_round_and_sent_again(workspace: Workspace) -> None:
    """hold, duplicate, reorder and redeliver do that to events, and to nothing else."""
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("fault", kind="hold", method="message", count=-1)
        await workspace.person("type", text="held")
        await workspace.person("react", message_id=(await workspace.chat(DIRECT[ANNA]))[0]["id"], emoji="eyes")
        await socket.acknowledge(await socket.envelope("reaction_added"))
        await workspace.clear_faults()
        held = await socket.envelope()
        await socket.acknowledge(held)
        assert held["payload"]["event"]["text"] == "held"
        await workspace.person("fault", kind="duplicate", method="message")
        await workspace.person("type", text="twice")
        twice = [await socket.envelope() for _ in range(2)]
        for envelope in twice:
            await socket.acknowledge(envelope)
        assert twice[0]["payload"] == twice[1]["payload"]
        assert twice[0]["envelope_id"] != twice[1]["envelope_id"]
        await workspace.person("fault", kind="reorder", method="message")
        await workspace.person("type", text="second")
        await workspace.person("type", text="first")
        turned = [await socket.envelope() for _ in range(2)]
        assert [envelope["payload"]["event"]["text"] for envelope in turned] == ["first", "second"]
        for envelope in turned:
            await socket.acknowledge(envelope)
        await workspace.noted("ack", 6)
        await workspace.person("fault", kind="redeliver", method="message")
        await workspace.person("type", text="acknowledged and yet")
        once = await socket.envelope()
        await socket.acknowledge(once)
        again = await socket.envelope()
        assert (again["payload"]["event_id"], again["retry_attempt"]) == (once["payload"]["event_id"], 1)
        await socket.acknowledge(again)


async def test_too_many_events_of_an_hour_are_not_delivered(workspace: Workspace) -> None:
    """Beyond the cap only app_rate_limited comes, once a minute; the next hour all is well again."""
    await workspace.person("limits", events_an_hour=1)
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("type", text="counts")
        await socket.acknowledge(await socket.envelope())
        await workspace.person("type", text="too much")
        await workspace.person("type", text="and more")
        limited = await socket.envelope("events_api")
        assert (limited["payload"]["type"], limited["payload"]["api_app_id"]) == ("app_rate_limited", APP_ID)
        await socket.acknowledge(limited)
        await workspace.person("clock", advance_s=3600)
        await workspace.person("type", text="anew")
        assert (await socket.envelope())["payload"]["event"]["text"] == "anew"


async def test_an_unreadable_acknowledgement_is_noted_and_harms_nothing(workspace: Workspace) -> None:
    """Frames that are no acknowledgement leave the socket open."""
    async with workspace.socket() as socket:
        await socket.receive()
        await socket.channel.send_str("not json")
        await socket.channel.send_json({"no": "id"})
        await workspace.noted("ack_unreadable", 2)
        await workspace.person("type", text="still here")
        await socket.acknowledge(await socket.envelope())
        assert (await workspace.noted("ack"))[0]["known"]


async def test_a_refused_socket_leaves_the_sdk_with_a_burned_ticket(workspace: Workspace) -> None:
    """The SDK's aiohttp client tries the same address for ever and asks for no new one; another client gets through."""
    async with workspace.listening(ping_interval=0.1):
        await workspace.noted("socket_opened")
        await workspace.person("fault", kind="refuse_socket")
        await workspace.person("disconnect", reason="refresh_requested")
        refused = await workspace.noted("socket_refused", 4)
        calls = [call["method"] for call in workspace.twin.log.read(event="call")]
        assert [entry["burned"] for entry in refused[:2]] == [True, False]
        assert calls.count("apps.connections.open") == 2
        async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
            await workspace.person("type", text="through")
            assert (await arrived.get()).payload["event"]["text"] == "through"


async def test_with_a_revoked_token_the_sdk_asks_on_and_recovers(workspace: Workspace) -> None:
    """It asks for a socket every ping interval; once the token holds again what was missed comes."""
    async with workspace.listening(ping_interval=0.1) as arrived, asyncio.timeout(WAIT_S):
        await workspace.noted("socket_opened")
        await workspace.person("token", revoke="app")
        await workspace.twin.log.until(lambda: refusals(workspace) >= 3, WAIT_S)
        await workspace.person("type", text="missed")
        await workspace.person("token", restore=APP_TOKEN)
        assert (await arrived.get()).payload["event"]["text"] == "missed"


def refusals(workspace: Workspace) -> int:
    return sum(call.get("error") == "token_revoked" for call in workspace.twin.log.read(event="call"))
