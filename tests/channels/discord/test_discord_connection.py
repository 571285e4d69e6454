"""What becomes of the connection to Discord: each way in which discord.py loses messages or ends without a word."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed
from channels.discord.channel import DiscordChannel
from channels.discord.client import check_token
from channels.discord.facts import PERMISSIONS
from channels.discord.failures import TokenRefused, Unreachable
from protocol.ids import ChannelId
from protocol.message import Button, OutboundMessage
from tests.channels.conformance_support import PATIENCE_S, Inbox, Rig, Room, deliver, rig_of
from tests.channels.discord.platform import FACTS, DiscordPlatform
from tests.channels.discord.support import QUICK
from twins.discord.seed import ANNA, BACKSTAGE, BEN, BOT, GENERAL, THREAD
from twins.discord.world import DEFAULT_TOKEN

DIRECT, MANY = FACTS.direct, FACTS.many
IN_THREAD = Room(chat=GENERAL, thread=THREAD, key=f"discord:{GENERAL}:{THREAD}")  # type: ignore[arg-type]


async def _lose_session(rig: Rig) -> None:
    """Break the socket and forget the session: what is said until the next one is told to nobody."""
    await rig.phone.fault(kind="no_resume", method="resume")
    await rig.phone.fault(kind="refuse_socket", count=2)
    await rig.phone.fault(kind="close_socket", code=4000)


async def test_what_was_said_during_a_lost_session_is_read_from_the_histories(rig: Rig) -> None:
    """After a session that cannot be resumed, what was said meanwhile in all kinds of chats is there, in order."""
    async with rig.connected() as channel:
        for room in (DIRECT, MANY, IN_THREAD):
            await rig.phone.type("before", room)
        await rig.messages(channel, 3)
        await _lose_session(rig)
        await rig.phone.until(lambda: channel.health() != "ok")
        for number in range(3):
            for room in (DIRECT, MANY, IN_THREAD):
                await rig.phone.type(f"meanwhile {number}", room)
        await rig.well(channel)
        messages = await rig.messages(channel, 12)
    for room in (DIRECT, MANY, IN_THREAD):
        said = [message.text for message in messages if message.chat == room.key]
        assert said == ["before", *(f"meanwhile {number}" for number in range(3))]


async def test_what_is_said_now_waits_for_what_was_said_before(rig: Rig) -> None:
    """While a chat's history is slow to come, what is said there now waits behind it; another chat goes on."""
    async with rig.connected() as channel:
        for room in (DIRECT, FACTS.second_direct):
            await rig.phone.type("before", room, person=ANNA if room is DIRECT else BEN)
        await rig.messages(channel, 2)
        await rig.phone.fault(kind="error", method="list_messages", count=1, status=503)
        await _lose_session(rig)
        await rig.phone.until(lambda: channel.health() != "ok")
        await rig.phone.type("missed", DIRECT)
        await rig.well(channel)
        await rig.phone.type("now", DIRECT)
        await rig.phone.type("now", FACTS.second_direct, person=BEN)
        messages = await rig.messages(channel, 5)
    assert [message.text for message in messages if message.chat == DIRECT.key] == ["before", "missed", "now"]


async def test_a_channel_that_was_never_spoken_in_is_read_too(rig: Rig) -> None:
    """What is said for the first time in a channel while no host runs is heard by the next one, older words are not."""
    await rig.phone.type("long ago", MANY)
    async with rig.connected():
        pass
    await rig.phone.type("while you were away", MANY)
    made = await rig.phone.post("channel", name="new-room")
    new_room = Room(chat=made["chat"], key=f"discord:{made['chat']}")  # type: ignore[arg-type]
    await rig.phone.type("and here", new_room)
    async with rig.connected() as channel:
        messages = await rig.messages(channel, 2)
    assert {message.text for message in messages} == {"while you were away", "and here"}


async def test_a_thread_that_was_archived_meanwhile_is_read(rig: Rig) -> None:
    """A thread that Discord does not list any more is read as long as it may hold something new."""
    async with rig.connected() as channel:
        await rig.phone.type("before", IN_THREAD)
        await rig.messages(channel, 1)
    await rig.phone.type("last words", IN_THREAD)
    await rig.phone.post("archive", thread=THREAD)
    async with rig.connected() as channel:
        messages = await rig.messages(channel, 2)
    assert [message.text for message in messages] == ["before", "last words"]
    assert {message.chat for message in messages} == {IN_THREAD.key}


async def test_a_history_that_cannot_be_read_now_is_read_later(rig: Rig) -> None:
    """A history that Discord does not give keeps no one waiting for ever, and is asked for again."""
    platform = rig.platform
    assert isinstance(platform, DiscordPlatform)
    platform.timings = replace(QUICK, hold_s=0.1)
    async with rig.connected() as channel:
        await rig.phone.type("before", DIRECT)
        await rig.messages(channel, 1)
        await rig.phone.fault(kind="error", method="list_messages", count=-1, status=503)
        await _lose_session(rig)
        await rig.phone.until(lambda: channel.health() != "ok")
        await rig.phone.type("missed", DIRECT)
        await rig.well(channel)
        await rig.phone.type("now", DIRECT)
        await rig.messages(channel, 2)
        await rig.phone.clear_faults()
        messages = await rig.messages(channel, 3)
    assert sorted(message.text for message in messages) == ["before", "missed", "now"]


async def test_a_history_that_may_not_be_read_is_given_up(rig: Rig) -> None:
    """Where the bot may not read the history, what is said there now is heard all the same."""
    async with rig.connected() as channel:
        await rig.phone.type("before", MANY)
        await rig.messages(channel, 1)
    await rig.phone.type("missed", MANY)
    await rig.phone.post("permission", chat=GENERAL, deny=["READ_MESSAGE_HISTORY"])
    async with rig.connected() as channel:
        await rig.phone.type("now", MANY)
        messages = await rig.messages(channel, 2)
    assert (messages[0].text, messages[-1].text) == ("before", "now")


@pytest.mark.parametrize("code", [1000, 1001, 4000, 4007, 4009])
async def test_a_remote_close_loses_nothing(rig: Rig, code: int) -> None:
    """Whichever way Discord closes the socket, what is said during it arrives once, in order."""
    async with rig.connected() as channel:
        await rig.phone.type("before", DIRECT)
        await rig.messages(channel, 1)
        await rig.phone.fault(kind="close_socket", code=code)
        await rig.phone.type("during", DIRECT)
        await rig.messages(channel, 2)
        await rig.well(channel)
        await rig.phone.type("after", DIRECT)
        messages = await rig.messages(channel, 3)
    assert [message.text for message in messages] == ["before", "during", "after"]


async def test_a_silent_socket_is_given_up(tmp_path: Path) -> None:
    """A gateway that says nothing any more, heartbeats' answers too, is noticed and built anew; nothing is lost."""
    async with rig_of(DiscordPlatform(haste=100.0), tmp_path) as rig, rig.connected() as channel:
        await rig.phone.type("before", DIRECT)
        await rig.messages(channel, 1)
        await rig.phone.fault(kind="silent_socket")
        await rig.phone.type("to the wall", DIRECT)
        await rig.phone.until(lambda: channel.health() != "ok")
        messages = await rig.messages(channel, 2)
        await rig.well(channel)
    assert [message.text for message in messages] == ["before", "to the wall"]


async def test_a_server_that_is_gone_for_a_while_loses_nothing(rig: Rig) -> None:
    """While nothing answers at all, the channel tries again and again; what was said before it answers is there."""
    async with rig.connected() as channel:
        await rig.phone.type("before", DIRECT)
        await rig.messages(channel, 1)
        await rig.phone.fault(kind="refuse_socket", count=-1)
        await rig.phone.fault(kind="reset", method="*", count=-1)
        await rig.phone.fault(kind="close_socket", code=4000)
        await rig.phone.until(lambda: channel.health() not in ("ok", "the gateway's socket is gone"))
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(OutboundMessage(chat=DIRECT.key, text="lost?", idempotency_key="t:1"))
        await rig.phone.type("meanwhile", DIRECT)
        await rig.phone.clear_faults()
        await rig.well(channel)
        messages = await rig.messages(channel, 2)
    assert not failed.value.permanent
    assert [message.text for message in messages] == ["before", "meanwhile"]


async def test_events_that_are_replayed_after_a_resume_have_their_ids(rig: Rig) -> None:
    """What Discord sends again after a resumed session is known by its id, reactions too."""
    async with rig.connected() as channel:
        number = await rig.phone.type("once", DIRECT)
        await rig.phone.post("react", message_id=number, emoji="👍")
        await rig.messages(channel, 2)
        await rig.phone.fault(kind="duplicate", method="resume")
        await rig.phone.fault(kind="close_socket", code=4000)
        await rig.inbox.until(lambda: len(rig.inbox.offered) >= 4)
        await rig.phone.type("after", DIRECT)
        messages = await rig.messages(channel, 3)
    assert [message.kind for message in messages] == ["message", "reaction", "message"]


async def test_a_press_is_answered_while_the_host_is_busy(rig: Rig) -> None:
    """Discord is told within its three seconds that a press was taken, however long the store takes."""
    async with rig.connected() as channel:
        await channel.send(OutboundMessage(chat=DIRECT.key, text="Well?", buttons=(Button(label="Yes", value="yes"),)))
        rig.inbox.gate.clear()
        await rig.phone.post("press", label="Yes", chat=DIRECT.chat)
        async with asyncio.timeout(PATIENCE_S):
            after = 0
            while not await rig.phone.calls("create_interaction_response"):
                after = await rig.phone.next_event(after)
        rig.inbox.gate.set()
        (press,) = await rig.said(channel, "press")
    assert press.text == "yes"


async def test_a_token_that_is_refused_in_a_call_is_noticed(rig: Rig) -> None:
    """A 401 in the middle of the day ends the connection: the token is fetched anew and tried slowly."""
    rig.token_retry_s = 60.0
    async with rig.connected() as channel:
        await rig.phone.fault(kind="unauthorized", method="create_message")
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(OutboundMessage(chat=DIRECT.key, text="hello"))
        await rig.phone.until(lambda: channel.health() == "token refused")
    assert "token refused" in failed.value.reason


async def test_without_the_content_intent_it_says_where_to_switch_it_on(rig: Rig) -> None:
    """With the Message Content intent off, the channel works for direct messages and says what is missing; switched
    on, it is used without a restart."""
    await rig.phone.post("intents", on=["GUILD_MEMBERS"])
    async with rig.running() as channel:
        await rig.phone.until(lambda: "Message Content intent is off" in channel.health())
        assert f"https://discord.com/developers/applications/{BOT}/bot" in channel.health()
        await rig.phone.type("a direct word", DIRECT)
        assert [message.text for message in await rig.messages(channel, 1)] == ["a direct word"]
        await rig.phone.post("intents", on=["GUILD_MEMBERS", "MESSAGE_CONTENT"])
        await rig.well(channel)
        await rig.phone.type("a word among many", MANY)
        messages = await rig.messages(channel, 2)
    assert messages[-1].text == "a word among many"


async def test_without_the_members_intent_the_greeting_tells_who_came(rig: Rig) -> None:
    """Joins are told by the server's own greeting where the Server Members intent is off."""
    await rig.phone.post("intents", on=["MESSAGE_CONTENT"])
    async with rig.connected() as channel:
        await rig.phone.post("join", person="Carla")
        (joined,) = await rig.said(channel, "joined")
    assert (joined.text, joined.chat) == ("Carla", MANY.key)


async def test_events_of_no_interest_are_passed_over(rig: Rig) -> None:
    """New channels, permissions, the bot's own words and what other rooms hide say nothing to an agent."""
    async with rig.connected() as channel:
        await rig.phone.post("channel", name="another")
        await channel.send(OutboundMessage(chat=MANY.key, text="my own word"))
        await rig.phone.type("behind the scenes", Room(chat=BACKSTAGE, key=MANY.key))
        await rig.phone.type("for you", MANY)
        messages = await rig.messages(channel, 1)
    assert [message.text for message in messages] == ["for you"]
    assert len(rig.inbox.stored) == 1


async def test_a_stopped_channel_leaves_nothing_behind(rig: Rig) -> None:
    """After its end there is no task and no thread of it."""
    async with rig.connected():
        assert [thread for thread in threading.enumerate() if thread.name.startswith("keep-alive")]
    async with asyncio.timeout(PATIENCE_S):
        tasks = [task for task in asyncio.all_tasks() if "discord" in repr(task.get_coro()).split(" at ")[0]]
        await asyncio.gather(*(task for task in tasks if task is not asyncio.current_task()), return_exceptions=True)
    await _no_heartbeat_goes_on()


async def test_a_channel_stopped_before_a_new_session_leaves_nothing_behind(tmp_path: Path) -> None:
    """What is stopped while it waits to open a new session, the socket greeted already, has no thread any more."""
    platform = DiscordPlatform(haste=0.01, timings=replace(QUICK, haste=0.01, identify_pause_s=3600))
    async with rig_of(platform, tmp_path) as rig:
        async with rig.connected():
            began = await rig.phone.last_event()
            await rig.phone.fault(kind="close_socket", code=4009)
            async with asyncio.timeout(PATIENCE_S):
                while not await _greeted(rig, began):
                    await rig.phone.next_event(await rig.phone.last_event())
        await _no_heartbeat_goes_on()


async def _greeted(rig: Rig, after: int) -> bool:
    """Return whether a socket that was opened since then has had its first heartbeat: its thread goes."""
    events = (await rig.phone.get("log", after=after, event="gateway_received"))["events"]
    return any(event["op"] == 1 for event in events)


async def _no_heartbeat_goes_on() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("keep-alive"):
            await asyncio.to_thread(thread.join, PATIENCE_S)
            assert not thread.is_alive()


async def test_two_accounts_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Two bots in one process each hear and say only their own."""
    one, two = DiscordPlatform(), DiscordPlatform()
    async with (
        rig_of(one, tmp_path / "one") as first,
        rig_of(two, tmp_path / "two") as second,
        first.connected() as one_channel,
        second.connected() as two_channel,
    ):
        await first.phone.type("to the first", DIRECT)
        await second.phone.type("to the second", DIRECT)
        (heard_one,) = await first.messages(one_channel, 1)
        (heard_two,) = await second.messages(two_channel, 1)
    assert (heard_one.text, heard_two.text) == ("to the first", "to the second")


async def test_a_token_is_checked(rig: Rig) -> None:
    """Checking a token tells the bot's name, what is switched on, and the link that invites it."""
    facts = await check_token(DEFAULT_TOKEN, rig.served.url, QUICK)
    assert (facts.name, facts.bot_id, facts.application_id) == ("nightyard_bot", int(BOT), int(BOT))
    assert facts.has_message_content
    assert facts.has_members
    assert f"client_id={BOT}" in facts.invite_link
    assert f"permissions={sum(PERMISSIONS.values())}" in facts.invite_link  # with those alone all these tests run
    with pytest.raises(TokenRefused):
        await check_token("MTIz.another.token", rig.served.url, QUICK)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "https://127.0.0.1", "https://127.0.0.1:1", "https://127.0.0.1:1#/no/such/file"]
)
async def test_a_url_of_no_server_is_named(url: str) -> None:
    """A url that names no server, or an authority that is not there, is said in words."""
    with pytest.raises(Unreachable) as unreachable:
        await check_token(DEFAULT_TOKEN, url, QUICK)
    assert (
        "127.0.0.1:1" in str(unreachable.value)
        or "/no/such/file" in str(unreachable.value)
        or url in str(unreachable.value)
    )


async def test_a_vault_that_gives_nothing_is_said() -> None:
    """What the vault answers instead of a token is the channel's health, and is tried again."""

    async def fetch() -> str:
        raise OSError("the vault is closed")

    channel = DiscordChannel(ChannelId("discord"), fetch, "https://127.0.0.1:1#/nothing", QUICK)
    running = asyncio.ensure_future(channel.run(Inbox()))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while "the vault is closed" not in channel.health():  # noqa: ASYNC110 - a channel says nothing of itself
                await asyncio.sleep(0)
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_what_breaks_off_is_said_once(rig: Rig) -> None:
    """However a call ends, tried again with its key the message stands there once."""
    async with rig.connected() as channel:
        for kind in ("error", "reset", "garbage", "lost_answer"):
            await rig.phone.fault(kind=kind, method="create_message")
            await deliver(channel, OutboundMessage(chat=DIRECT.key, text=f"after {kind}", idempotency_key=kind))
        seen = await rig.phone.sees(DIRECT)
    assert [message["text"].replace("\\", "") for message in seen] == [
        "after error",
        "after reset",
        "after garbage",
        "after lost_answer",
    ]
