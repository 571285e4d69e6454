"""What becomes of sockets, tokens and events that go wrong, against the twin: nothing is lost, nothing hurries."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from channels.channel import Channel, DeliveryFailed, Undecodable
from channels.slack.channel import SlackChannel
from channels.slack.client import check_token
from channels.slack.failures import TokenRefused, Unreachable
from channels.slack.manifest import SCOPES
from channels.slack.transport import proxy_for
from protocol.message import InboundMessage, OutboundMessage
from tests.channels.conformance_support import PATIENCE_S, Json, Phone, Rig, Room
from tests.channels.slack.support import QUICK, SECRET
from tests.channels.slack.test_conformance import FACTS
from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL, PRIVATE
from twins.slack.server import SlackTwin
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN

HERE, BESIDE, MANY = FACTS.direct, FACTS.second_direct, FACTS.many


async def events(phone: Phone, name: str) -> list[Json]:
    return [entry for entry in (await phone.get("log"))["events"] if entry["event"] == name]


async def until_events(phone: Phone, name: str, count: int) -> list[Json]:
    after = 0
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await events(phone, name)) < count:
            after = await phone.next_event(after)
    return found


async def texts(rig: Rig, channel: Channel, count: int) -> list[str]:
    return [message.text for message in await rig.messages(channel, count)]


def offered(rig: Rig, number: int) -> str:
    return rig.inbox.offered[number]


# Acknowledging


async def test_an_event_is_acknowledged_when_it_is_stored(rig: Rig) -> None:
    """Before the store has an event, Slack is not told; then it is, once."""
    rig.inbox.gate.clear()
    async with rig.connected():
        await rig.phone.type("keep me", HERE)
        await rig.inbox.until(lambda: len(rig.inbox.offered) == 1)
        assert await events(rig.phone, "ack") == []
        rig.inbox.gate.set()
        (ack,) = await until_events(rig.phone, "ack", 1)
    assert ack["known"]


async def test_what_nobody_sends_again_is_acknowledged_in_time(rig: Rig) -> None:
    """A press is acknowledged though the store takes long, since the person would be shown an error; and is stored."""
    async with rig.connected() as channel:
        await rig.phone.post("command", name="/nightyard", text="status")
        await rig.messages(channel, 1)
        rig.inbox.gate.clear()
        await rig.phone.post("command", name="/nightyard", text="stop")
        await until_events(rig.phone, "ack", 2)
        assert len(rig.inbox.stored) == 1
        rig.inbox.gate.set()
        assert await texts(rig, channel, 2) == ["/status", "/stop"]


async def test_every_kind_of_envelope_is_acknowledged(rig: Rig) -> None:
    """What says nothing to us is acknowledged too: else Slack would send it three times more."""
    async with rig.connected() as channel:
        await rig.phone.post("home")
        await rig.phone.post("person", name="Carl")
        await rig.phone.type("and this", HERE)
        acks = await until_events(rig.phone, "ack", 3)
        assert await texts(rig, channel, 1) == ["and this"]
    assert all(ack["known"] for ack in acks)
    assert len(await events(rig.phone, "envelope")) == 3


async def test_what_cannot_be_decoded_does_not_stop_what_follows(twin: SlackTwin, rig: Rig) -> None:
    """Events of shapes that nobody expects are stored and acknowledged, are undecodable, and the next one comes."""
    shapes: list[Json] = [
        {"type": "reaction_added", "item": "nothing", "user": [1]},
        {"type": "message", "channel": HERE.chat, "ts": 5, "text": 5, "user": {}},
        {"type": "message", "subtype": "message_changed", "message": [], "channel": HERE.chat},
        {"type": "member_joined_channel"},
    ]
    async with rig.connected() as channel:
        for event in shapes:
            twin.world.publish(event)
        await rig.inbox.until(lambda: len(rig.inbox.stored) == len(shapes))
        for raw in rig.inbox.stored.values():
            with pytest.raises(Undecodable):
                channel.decode(raw)
        rig.inbox.stored.clear()
        await rig.phone.type("still here", HERE)
        assert await texts(rig, channel, 1) == ["still here"]
        assert channel.health() == "ok"


async def test_a_revocation_that_slack_tells_of_is_looked_into(twin: SlackTwin, rig: Rig) -> None:
    """Slack's word that a token was revoked is not waited out: the client is built anew, and knows."""
    async with rig.connected() as channel:
        await rig.phone.post("token", token=f"{BOT_TOKEN}-renewed")
        twin.world.publish({"type": "tokens_revoked", "tokens": {"bot": ["U0NIGHT01"]}})
        await rig.phone.until(lambda: channel.health() == "token refused")


async def test_what_we_say_ourselves_is_not_stored(rig: Rig) -> None:
    """Slack sends a bot its own messages, and what becomes of them: acknowledged, they are nothing to the host."""
    async with rig.connected() as channel:
        receipt = await channel.send(OutboundMessage(chat=HERE.key, text="one"))
        assert isinstance(channel, SlackChannel)
        await channel.edit(HERE.key, receipt.platform_message_ids[0], "two")
        await channel.delete(HERE.key, receipt.platform_message_ids[0])
        await until_events(rig.phone, "ack", 3)
    assert rig.inbox.offered == []


async def test_a_slow_chat_holds_up_no_other(rig: Rig) -> None:
    """While one conversation's event waits for the store, another one's is stored and acknowledged."""
    inbox, accept = rig.inbox, rig.inbox.accept
    held = asyncio.Event()

    async def slow_for_anna(channel_id: object, event_id: str, raw: bytes) -> None:
        if event_id.startswith(DIRECT[ANNA]):
            await held.wait()
        await accept(FACTS.channel_id, event_id, raw)

    inbox.accept = slow_for_anna  # type: ignore[method-assign]  # the host's side is the test's own
    async with rig.connected() as channel:
        await rig.phone.type("slow", HERE)
        await rig.phone.type("quick", BESIDE, person=BEN)
        assert await texts(rig, channel, 1) == ["quick"]
        held.set()
        assert await texts(rig, channel, 2) == ["quick", "slow"]


# Sockets


async def test_a_burned_ticket_is_not_tried_again(rig: Rig) -> None:
    """A refused socket costs a new ticket each time, and the next one is taken; nothing said meanwhile is lost."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="refuse_socket", count=3)
        await rig.phone.fault(kind="close_socket")
        await rig.phone.type("still there?", HERE)
        assert await texts(rig, channel, 1) == ["still there?"]
        await rig.well(channel)
    refused, tickets = await events(rig.phone, "socket_refused"), await rig.phone.calls("apps.connections.open")
    assert len(refused) == 3
    assert len(tickets) == 5


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
async def test_a_closed_socket_is_built_again(rig: Rig, code: int) -> None:
    """Whatever the code, the next socket is there at once."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="close_socket", code=code)
        await until_events(rig.phone, "socket_opened", 2)
        await rig.phone.type("again", HERE)
        assert await texts(rig, channel, 1) == ["again"]
        await rig.well(channel)


async def test_a_silent_socket_is_given_up(rig: Rig) -> None:
    """A socket that answers no pings is replaced, and what was sent into it arrives over the next."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="silent_socket")
        await rig.phone.type("into the void", HERE)
        assert await texts(rig, channel, 1) == ["into the void"]
        await rig.well(channel)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_socket_that_is_to_go_is_replaced_before_it_does(rig: Rig, reason: str) -> None:
    """On a refresh the next socket stands before the last one is closed: there is no gap, and no history is read."""
    async with rig.connected() as channel:
        await rig.phone.type("before", HERE)
        await rig.messages(channel, 1)
        await rig.phone.post("disconnect", reason=reason)
        await until_events(rig.phone, "socket_closed", 1)
        assert channel.health() == "ok"
        await rig.phone.type("after", HERE)
        assert await texts(rig, channel, 2) == ["before", "after"]
    order = [entry["event"] for entry in (await rig.phone.get("log"))["events"] if entry["event"].startswith("socket_")]
    assert order[:4] == ["socket_opened", "socket_disconnect", "socket_opened", "socket_closed"]
    assert await rig.phone.calls("conversations.history") == []


async def test_a_server_that_was_gone_is_found_again(twin: SlackTwin, rig: Rig) -> None:
    """While nothing answers, health says so and sends are put off; when it answers again all is well."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="error", method="apps.connections.open", count=-1)
        await rig.phone.fault(kind="error", method="auth.test", count=-1)
        await rig.phone.fault(kind="close_socket")
        await rig.phone.until(lambda: channel.health() != "ok")
        await rig.phone.type("meanwhile", HERE)
        await rig.phone.until(lambda: "auth.test" in channel.health())
        await rig.phone.clear_faults()
        assert await texts(rig, channel, 1) == ["meanwhile"]
        await rig.well(channel)


async def test_sockets_that_are_switched_off_are_named(rig: Rig) -> None:
    """When Socket Mode is switched off, that is said in words, and a ticket is asked for at a slow pace."""
    rig.token_retry_s = 60.0
    async with rig.connected() as channel:
        await rig.phone.post("disconnect", reason="link_disabled")
        await rig.phone.until(lambda: "Socket Mode is switched off" in channel.health())
        before = len(await rig.phone.calls("apps.connections.open"))
        await rig.phone.get("log", after=await rig.phone.last_event(), wait_s=0.5)
        assert len(await rig.phone.calls("apps.connections.open")) == before


async def test_nothing_of_a_channel_goes_on_after_its_end(rig: Rig) -> None:
    """When the channel is stopped, every task that it or the SDK began has ended, in the middle of storing too."""
    before = asyncio.all_tasks()
    rig.inbox.gate.clear()
    async with rig.connected():
        await rig.phone.type("never stored", HERE)
        await rig.inbox.until(lambda: len(rig.inbox.offered) == 1)
    own = [
        task for task in asyncio.all_tasks() - before if "slack" in repr(task.get_coro()) and "twins" not in repr(task)
    ]
    assert own == []
    assert rig.inbox.stored == {}


async def test_a_store_that_fails_ends_the_channel(rig: Rig) -> None:
    """When the host cannot store, the channel ends with the host's own error instead of going quiet."""
    rig.inbox.refuse = RuntimeError("the disk is full")
    channel = rig.platform.build(rig._fetch_secret, rig.served.url, rig.kept, 60.0)
    running = asyncio.ensure_future(channel.run(rig.inbox))
    await rig.well(channel)
    await rig.phone.type("x", HERE)
    with pytest.raises(BaseExceptionGroup) as failed:
        async with asyncio.timeout(PATIENCE_S):
            await running
    assert failed.group_contains(RuntimeError, match="the disk is full")


# Order and doubles


async def test_what_comes_again_has_the_same_key(rig: Rig) -> None:
    """An event that was acknowledged and comes again, in another envelope, is the same to the store."""
    await rig.phone.fault(kind="redeliver")
    async with rig.connected() as channel:
        await rig.phone.type("once", HERE)
        await rig.inbox.until(lambda: len(rig.inbox.offered) == 2)
        assert len(await rig.messages(channel, 1)) == 1
    assert offered(rig, 0) == offered(rig, 1)


async def test_a_mention_is_one_message(rig: Rig) -> None:
    """A mention comes as a mention and as a message, and is one, whichever is first."""
    async with rig.connected() as channel:
        await rig.phone.type("@nightyard_bot hello", MANY)
        await rig.inbox.until(lambda: len(rig.inbox.offered) == 2)
        (message,) = await rig.messages(channel, 1)
    assert offered(rig, 0) == offered(rig, 1)
    assert message.chat == f"slack:{GENERAL}:{message.platform_message_id}"


async def test_order_holds_through_broken_sockets(rig: Rig) -> None:
    """A hundred messages in three chats while sockets break again and again: all there, each chat in its order."""
    rooms = [HERE, MANY, Room(chat=PRIVATE, key=FACTS.direct.key)]
    faults: list[Json] = [{"kind": "close_socket"}, {"kind": "silent_socket"}, {"kind": "refuse_socket"}]
    async with rig.connected() as channel:
        for number in range(99):
            if number % 20 == 10:
                await rig.phone.fault(**faults[number // 20 % 3])
            await rig.phone.type(str(number), rooms[number % 3])
        messages = await rig.messages(channel, 99)
    for start in range(3):
        of_one = [message for message in messages if int(message.text) % 3 == start]
        assert [int(message.text) for message in of_one] == list(range(start, 99, 3))


async def test_nothing_overtakes_what_a_short_gap_swallowed(rig: Rig) -> None:
    """An event that got lost with its socket comes before the next one of its chat, from history."""
    async with rig.connected() as channel:
        await rig.phone.type("before", HERE)
        await rig.messages(channel, 1)
        await rig.phone.fault(kind="hold", method="message")
        await rig.phone.type("swallowed", HERE)
        await rig.phone.fault(kind="close_socket")
        await until_events(rig.phone, "socket_opened", 2)
        await rig.phone.type("after", HERE)
        assert await texts(rig, channel, 3) == ["before", "swallowed", "after"]
        await rig.phone.clear_faults()
        await rig.inbox.until(lambda: len(rig.inbox.offered) >= 4)
        assert len(await rig.messages(channel, 3)) == 3


# Catching up


async def begin(rig: Rig) -> None:
    async with rig.connected() as channel:
        await rig.phone.type("begin", HERE)
        await rig.messages(channel, 1)


async def test_a_file_after_a_gap_ends_nothing(rig: Rig) -> None:
    """Slack tells of a shared file without naming a conversation as messages do: there is no history to read for it."""
    await begin(rig)
    async with rig.connected() as channel:
        await rig.phone.upload("note.txt", b"hello", HERE)
        await rig.messages(channel, 2)
        await rig.phone.type("still here?", HERE)
        assert (await texts(rig, channel, 3))[-1] == "still here?"
        assert channel.health() == "ok"


async def test_threads_and_new_chats_are_caught_up_with(rig: Rig) -> None:
    """What was said in threads, known and new, and in chats where nothing was heard before, arrives after a pause."""
    root = await rig.phone.type("@nightyard_bot begin", MANY)
    async with rig.connected() as channel:
        await rig.phone.type("in the thread", MANY, thread=root)
        await rig.messages(channel, 2)
    said = {"known thread": {"thread": root}, "plain": {}}
    for text, more in said.items():
        await rig.phone.type(text, MANY, **more)
    fresh = await rig.phone.type("a new root", MANY)
    await rig.phone.type("new thread", MANY, thread=fresh)
    await rig.phone.type("hello from Ben", BESIDE, person=BEN)
    async with rig.connected() as channel:
        found = {message.text: message.chat for message in (await rig.messages(channel, 7))[2:]}
    assert found == {
        "known thread": f"slack:{GENERAL}:{root}",
        "plain": f"slack:{GENERAL}",
        "a new root": f"slack:{GENERAL}",
        "new thread": f"slack:{GENERAL}:{fresh}",
        "hello from Ben": BESIDE.key,
    }


async def test_a_thread_that_is_gone_costs_nothing_else(rig: Rig) -> None:
    """Of a chat with a thread that was deleted meanwhile all the rest is caught up with."""
    root = await rig.phone.type("@nightyard_bot begin", MANY)
    async with rig.connected() as channel:
        await rig.messages(channel, 1)
    await rig.phone.post("delete", message_id=root, chat=GENERAL)
    await rig.phone.type("meanwhile", MANY)
    async with rig.connected() as channel:
        assert (await texts(rig, channel, 2))[-1] == "meanwhile"


async def test_what_was_said_before_the_first_connection_is_not_heard(rig: Rig) -> None:
    """A bot that is new somewhere does not answer what people said to each other before."""
    await rig.phone.type("long ago", HERE)
    while not await events(rig.phone, "undelivered"):  # Slack itself sends it again for some minutes
        await rig.phone.post("clock", advance_s=400)
    async with rig.connected():
        await rig.phone.type("now", HERE)
        await rig.inbox.until(lambda: bool(rig.inbox.stored))
    async with rig.connected() as channel:
        assert await texts(rig, channel, 1) == ["now"]


async def test_history_that_fails_is_read_again(rig: Rig) -> None:
    """Errors and floods while reading history delay it and lose nothing, and a live word does not overtake."""
    await begin(rig)
    for number in range(3):
        await rig.phone.type(f"missed {number}", HERE)
    await rig.phone.fault(kind="error", method="conversations.history", count=2)
    await rig.phone.fault(kind="flood", method="conversations.history", retry_after=1)
    async with rig.connected() as channel:
        await rig.phone.type("live", HERE)
        assert await texts(rig, channel, 5) == ["begin", "missed 0", "missed 1", "missed 2", "live"]


async def test_a_long_history_comes_page_by_page(rig: Rig) -> None:
    """More than one page of missed messages arrives whole and in order."""
    await begin(rig)
    for number in range(230):
        await rig.phone.type(str(number), HERE)
    async with rig.connected() as channel:
        assert (await texts(rig, channel, 231))[1:] == [str(number) for number in range(230)]


async def test_without_a_scope_for_history_the_rest_goes_on(rig: Rig) -> None:
    """An app that may not read history hears what is sent to it."""
    await begin(rig)
    scopes = [scope for scope in SCOPES if not scope.endswith(":history")]
    await rig.phone.post("token", scopes=scopes)
    async with rig.connected() as channel:
        await rig.phone.type("live", HERE)
        assert await texts(rig, channel, 2) == ["begin", "live"]


# Tokens


async def test_a_revoked_bot_token_is_noticed_when_something_is_said(rig: Rig) -> None:
    """A bot token that is refused while the socket stands is told, the message is kept, and a new token heals it."""
    async with rig.connected() as channel:
        await rig.phone.post("token", token=f"{BOT_TOKEN}-renewed")
        with pytest.raises(DeliveryFailed, match="token refused") as failed:
            await channel.send(OutboundMessage(chat=HERE.key, text="x"))
        assert not failed.value.permanent
        await rig.phone.until(lambda: channel.health() == "token refused")
        rig.secret = f"{APP_TOKEN} {BOT_TOKEN}-renewed"
        await rig.well(channel)
        await channel.send(OutboundMessage(chat=HERE.key, text="x"))


async def test_a_secret_that_is_no_pair_is_explained(rig: Rig) -> None:
    """A secret of one token, or none, is told in words that say what to do."""
    rig.secret = BOT_TOKEN
    async with rig.running() as channel:
        await rig.phone.until(lambda: "the secret must hold two tokens" in channel.health())
        assert BOT_TOKEN not in channel.health()
        rig.secret = SECRET
        await rig.well(channel)


async def test_a_vault_that_is_away_is_waited_for(rig: Rig) -> None:
    """Without tokens the channel says why, and sends fail for now."""

    async def no_secret() -> str:
        raise ConnectionRefusedError("the credential proxy is away")

    channel = SlackChannel(FACTS.channel_id, no_secret, rig.served.url, replace(QUICK, ready_s=0.05))
    running = asyncio.ensure_future(channel.run(rig.inbox))
    await rig.phone.until(lambda: "the credential proxy is away" in channel.health())
    with pytest.raises(DeliveryFailed, match="credential proxy") as failed:
        await channel.send(OutboundMessage(chat=HERE.key, text="x"))
    assert not failed.value.permanent
    running.cancel()
    await asyncio.wait({running})


async def test_tokens_are_checked_and_the_bot_named(rig: Rig) -> None:
    """Good tokens give the bot's name and team; a bad one, and a dead server, a plain word."""
    account = await check_token(SECRET, rig.served.url)
    assert (account.bot_name, account.app_id) == ("@nightyard_bot", "A0NIGHT01")
    assert account.team
    for secret in (f"xoxb-wrong {APP_TOKEN}", f"{BOT_TOKEN} xapp-wrong"):
        with pytest.raises(TokenRefused, match="app's settings"):
            await check_token(secret, rig.served.url)
    with pytest.raises(Unreachable, match="no answer"):
        await check_token(SECRET, "http://127.0.0.1:9")


async def test_missing_scopes_are_named(rig: Rig) -> None:
    """A token without some of the manifest's scopes says which."""
    await rig.phone.post("token", scopes=[scope for scope in SCOPES if scope != "files:write"])
    account = await check_token(SECRET, rig.served.url)
    assert account.missing_scopes == ("files:write",)


async def test_a_proxy_of_the_environment_breaks_no_local_server(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes any proxy it finds, NO_PROXY or not; to a server on this machine none is asked."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with rig.connected() as channel:
        await rig.phone.type("hello", HERE)
        assert await texts(rig, channel, 1) == ["hello"]
        await channel.send(OutboundMessage(chat=HERE.key, text="hello"))
    assert proxy_for("wss://wss-primary.slack.com/link") == "http://127.0.0.1:9"
    monkeypatch.setenv("NO_PROXY", "slack.com")
    assert proxy_for("https://slack.com/api/") is None


def kinds(messages: list[InboundMessage]) -> list[str]:
    return [message.kind for message in messages]


async def test_two_workspaces_are_two_channels(rig: Rig) -> None:
    """Several accounts live side by side, each with its own people, pace and health."""
    other = SlackTwin(rate_limits=False)
    async with other.serve() as address, rig.connected() as channel:

        async def fetch_secret() -> str:
            return SECRET

        second = SlackChannel(FACTS.channel_id, fetch_secret, address, QUICK)
        running = asyncio.ensure_future(second.run(rig.inbox))
        await rig.well(second)
        await second.send(OutboundMessage(chat=HERE.key, text="there"))
        await channel.send(OutboundMessage(chat=HERE.key, text="here"))
        assert [message["text"] for message in await rig.phone.sees(HERE)] == ["here"]
        await rig.phone.post("token", token=f"{APP_TOKEN}-renewed")
        await rig.phone.until(lambda: channel.health() == "token refused")
        assert second.health() == "ok"
        running.cancel()
        await asyncio.wait({running})
