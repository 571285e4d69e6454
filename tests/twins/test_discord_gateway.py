"""The gateway of Discord's twin, payload by payload."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.twins.discord_raw import ALL_INTENTS, Raw, raw_client
from twins.clock import Clock
from twins.discord.gateway.intents import Intent
from twins.discord.gateway.protocol import RESUME_WITHIN_S, Close
from twins.discord.seed import ANNA, BEN, BOT, GENERAL, GUILD, THREAD
from twins.discord.server import DiscordTwin
from twins.discord.user_side import comings, verbs
from twins.discord.user_side.sight import show_chat


async def test_a_session_begins_with_hello_ready_and_the_whole_server(raw: Raw) -> None:
    """HELLO, READY with where to resume, then the server with its channels, threads and their last messages."""
    said = verbs.type_text(raw.twin.world, {"text": "before", "chat": GENERAL})["message_ids"][0]
    async with raw.gateway() as gateway:
        await gateway.identify()
        ready = await gateway.until("READY")
        assert ready["resume_gateway_url"] == raw.twin.address.replace("https", "wss")
        assert ready["guilds"] == [{"id": GUILD, "unavailable": True}]
        assert ready["application"]["flags"] == 1 << 13 | 1 << 15 | 1 << 19
        guild = await gateway.until("GUILD_CREATE")
        channels = {one["id"]: one for one in guild["channels"]}
        assert channels[GENERAL]["last_message_id"] == said
        assert [one["id"] for one in guild["threads"]] == [THREAD]
        assert "backstage" not in [one["name"] for one in guild["channels"]]
        assert guild["member_count"] == 4


@pytest.mark.parametrize("binary", [False, True])
async def test_a_heartbeat_is_acknowledged_before_the_client_says_who_it_is(raw: Raw, binary: bool) -> None:
    """A heartbeat as text or as a binary frame gets opcode 11, at any time."""
    async with raw.gateway() as gateway:
        interval = (await gateway.until_op(10))["heartbeat_interval"]
        assert 41_000 <= interval <= 45_000
        beat = json.dumps({"op": 1, "d": None})
        await (gateway.socket.send_bytes(beat.encode()) if binary else gateway.socket.send_str(beat))
        await gateway.until_op(11)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, Close.AUTHENTICATION_FAILED),
        ({"op": 2, "d": {"token": "TOKEN", "intents": 1 << 30}}, Close.INVALID_INTENTS),
        ({"op": 2, "d": {"token": "TOKEN", "intents": "all"}}, Close.INVALID_INTENTS),
        ({"op": 2, "d": {"token": "TOKEN", "intents": 1, "shard": [3, 2]}}, Close.INVALID_SHARD),
        ({"op": 6, "d": {"token": "wrong", "session_id": "x", "seq": 1}}, Close.AUTHENTICATION_FAILED),
        ({"op": 8, "d": {"guild_id": GUILD, "query": ""}}, Close.NOT_AUTHENTICATED),
        ({"op": 3, "d": {}}, Close.NOT_AUTHENTICATED),
        ({"op": 99, "d": {}}, Close.UNKNOWN_OPCODE),
        ({"op": 2, "d": []}, Close.DECODE_ERROR),
        ({"d": 1}, Close.DECODE_ERROR),
        ("no JSON", Close.DECODE_ERROR),
        ({"op": 1, "d": "x" * 4096}, Close.DECODE_ERROR),
    ],
)
async def test_what_a_client_may_not_say_closes_the_socket_with_its_code(raw: Raw, payload: Any, code: int) -> None:
    """Each misstep has its close code."""
    text = payload if isinstance(payload, str) else json.dumps(payload).replace("TOKEN", raw.twin.world.token)
    async with raw.gateway() as gateway:
        await gateway.socket.send_str(text)
        assert await gateway.until_closed() == code


async def test_an_intent_that_the_portal_has_off_is_refused(raw: Raw) -> None:
    """4014 for a privileged intent that is off; without it the session opens."""
    comings.intents(raw.twin.world, {"on": ["GUILD_MEMBERS"]})
    async with raw.gateway() as gateway:
        await gateway.identify()
        assert await gateway.until_closed() == Close.DISALLOWED_INTENTS
    async with raw.gateway() as gateway:
        await gateway.identify(intents=ALL_INTENTS & ~int(Intent.MESSAGE_CONTENT | Intent.GUILD_PRESENCES))
        await gateway.until("READY")


async def test_a_second_identify_on_a_socket_is_refused(raw: Raw) -> None:
    """4005."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.send(2, {"token": raw.twin.world.token, "intents": 1})
        assert await gateway.until_closed() == Close.ALREADY_AUTHENTICATED


async def test_without_the_content_intent_a_session_reads_only_what_is_for_it(raw: Raw) -> None:
    """Content is empty but in direct chats, where the bot is mentioned, and in its own messages."""
    world = raw.twin.world
    async with raw.gateway() as gateway:
        await gateway.identify(intents=ALL_INTENTS & ~int(Intent.MESSAGE_CONTENT))
        await gateway.until("GUILD_CREATE")
        verbs.type_text(world, {"text": "secret", "chat": GENERAL})
        assert (await gateway.until("MESSAGE_CREATE"))["content"] == ""
        verbs.type_text(world, {"text": f"<@{BOT}> hello", "chat": GENERAL})
        heard = await gateway.until("MESSAGE_CREATE")
        assert (heard["content"], heard["mentions"][0]["id"]) == (f"<@{BOT}> hello", BOT)
        verbs.type_text(world, {"text": "direct"})
        assert (await gateway.until("MESSAGE_CREATE"))["content"] == "direct"
        await raw.call("POST", f"/channels/{GENERAL}/messages", {"content": "mine"})
        assert (await gateway.until("MESSAGE_CREATE"))["content"] == "mine"


async def test_events_without_their_intent_are_not_sent(raw: Raw) -> None:
    """A session that asked for direct messages alone hears nothing of the server."""
    async with raw.gateway() as gateway:
        await gateway.identify(intents=int(Intent.DIRECT_MESSAGES))
        await gateway.until("READY")
        verbs.type_text(raw.twin.world, {"text": "in the server", "chat": GENERAL})
        comings.typing(raw.twin.world, {})
        verbs.type_text(raw.twin.world, {"text": "direct"})
        assert (await gateway.receive())["d"]["content"] == "direct"


async def test_a_lost_socket_is_resumed_in_order(raw: Raw) -> None:
    """What was missed is replayed in order, then RESUMED; numbers go on."""
    world = raw.twin.world
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        session, sequence = gateway.session_id, gateway.sequence
        await gateway.socket.close(code=4000)
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    for number in range(5):
        verbs.type_text(world, {"text": str(number)})
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        heard = [await gateway.receive() for _ in range(6)]
        assert [one["d"].get("content") for one in heard[:5]] == ["0", "1", "2", "3", "4"]
        assert [one["s"] for one in heard] == list(range(sequence + 1, sequence + 7))
        assert heard[5]["t"] == "RESUMED"
        verbs.type_text(world, {"text": "live"})
        assert (await gateway.until("MESSAGE_CREATE"))["content"] == "live"


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_client_that_says_goodbye_ends_its_session(raw: Raw, code: int) -> None:
    """After a close with 1000 or 1001 there is nothing to resume: opcode 9, false."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
        session, sequence = gateway.session_id, gateway.sequence
        await gateway.socket.close(code=code)
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        assert await gateway.until_op(9) is False


async def test_a_session_waits_a_few_minutes_for_its_client(raw: Raw) -> None:
    """Later it is gone, by the twin's clock."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
        session, sequence = gateway.session_id, gateway.sequence
        await gateway.socket.close(code=4000)
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    raw.twin.clock.advance(RESUME_WITHIN_S + 1)
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        assert await gateway.until_op(9) is False


async def test_a_sequence_that_never_was_is_refused(raw: Raw) -> None:
    """4007, and the session is over."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
        session = gateway.session_id
        await gateway.socket.close(code=4000)
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    async with raw.gateway() as gateway:
        await gateway.resume(session, 9999)
        assert await gateway.until_closed() == Close.INVALID_SEQUENCE


async def test_zlib_stream_is_one_context_for_the_whole_socket(raw: Raw) -> None:
    """Every payload ends with the flush mark and inflates with the context of those before."""
    async with raw.gateway("?v=10&encoding=json&compress=zlib-stream") as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        verbs.type_text(raw.twin.world, {"text": "packed"})
        assert (await gateway.until("MESSAGE_CREATE"))["content"] == "packed"


async def test_an_unknown_api_version_is_refused(raw: Raw) -> None:
    """4012."""
    async with raw.gateway("?v=3&encoding=json") as gateway:
        assert await gateway.until_closed() == Close.INVALID_VERSION


async def test_a_client_whose_heart_stops_is_let_go() -> None:
    """Without heartbeats the twin closes with 4009; the interval is the twin's, told in the client's seconds."""
    twin = DiscordTwin(clock=Clock(scale=1000), limits=False)
    async with twin.serve(), raw_client(twin) as raw, raw.gateway() as gateway:
        assert (await gateway.until_op(10))["heartbeat_interval"] == 41
        assert await gateway.until_closed() == Close.SESSION_TIMED_OUT


async def test_a_clock_put_forward_lets_no_heart_miss_a_beat(raw: Raw) -> None:
    """Rules of days are tried on a connection that lives."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        raw.twin.clock.advance(7 * 86_400)
        await gateway.send(1, None)
        assert (await gateway.receive())["op"] == 11


async def test_clients_are_moved_with_and_without_their_session(raw: Raw) -> None:
    """Opcode 7 leaves the session for a resume; opcode 9 ends it."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        session, sequence = gateway.session_id, gateway.sequence
        await raw.person("reconnect", {})
        await gateway.until_op(7)
        await gateway.socket.close(code=4000)
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        await gateway.until("RESUMED")
        await raw.person("reconnect", {"resumable": False})
        assert await gateway.until_op(9) is False
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        assert await gateway.until_op(9) is False


async def test_members_are_sent_in_chunks_when_asked(raw: Raw) -> None:
    """Opcode 8: everybody, by name, or by id with those who are not there."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
        await gateway.send(8, {"guild_id": GUILD, "query": "", "limit": 0, "nonce": "n1"})
        chunk = await gateway.until("GUILD_MEMBERS_CHUNK")
        assert (len(chunk["members"]), chunk["nonce"], chunk["chunk_count"]) == (4, "n1", 1)
        await gateway.send(8, {"guild_id": GUILD, "query": "be", "limit": 5})
        found = await gateway.until("GUILD_MEMBERS_CHUNK")
        assert [one["user"]["id"] for one in found["members"]] == [BEN]
        await gateway.send(8, {"guild_id": GUILD, "user_ids": [ANNA, "7"], "limit": 0})
        named = await gateway.until("GUILD_MEMBERS_CHUNK")
        assert ([one["user"]["id"] for one in named["members"]], named["not_found"]) == ([ANNA], ["7"])


async def test_presence_is_taken_without_a_word(raw: Raw) -> None:
    """Opcode 3 changes nothing and closes nothing."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        await gateway.send(3, {"since": None, "activities": [], "status": "online", "afk": False})
        await gateway.send(1, 2)
        assert (await gateway.receive())["op"] == 11


async def test_too_many_payloads_a_minute_close_the_socket() -> None:
    """The 121st within a minute: 4008."""
    twin = DiscordTwin()
    async with twin.serve(), raw_client(twin) as raw, raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
        for _ in range(120):
            await gateway.send(1, None)
        assert await gateway.until_closed() == Close.RATE_LIMITED


async def test_two_identifies_within_five_seconds_are_one_too_many() -> None:
    """The second gets opcode 9, false; after five seconds of the twin's clock it goes."""
    twin = DiscordTwin()
    async with twin.serve(), raw_client(twin) as raw:
        for expected in ("READY", "refused", "READY"):
            async with raw.gateway() as gateway:
                await gateway.identify()
                if expected == "READY":
                    await gateway.until("READY")
                else:
                    assert await gateway.until_op(9) is False
                    twin.clock.advance(5.1)
        status, body = await raw.call("GET", "/gateway/bot")
        assert (status, body["session_start_limit"]["remaining"]) == (200, 998)


async def test_a_preview_of_a_link_is_an_update_that_is_no_edit(raw: Raw) -> None:
    """MESSAGE_UPDATE with the embed and without a time of editing; none for code, `<>` or suppressed ones."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        verbs.type_text(raw.twin.world, {"text": "`http://code.example` <http://quiet.example>"})
        verbs.type_text(raw.twin.world, {"text": "see https://example.com/x"})
        events = [await gateway.receive() for _ in range(3)]
        assert [one["t"] for one in events] == ["MESSAGE_CREATE", "MESSAGE_CREATE", "MESSAGE_UPDATE"]
        preview = events[2]["d"]
        assert (preview["edited_timestamp"], preview["embeds"][0]["url"]) == (None, "https://example.com/x")
        await raw.call("POST", f"/channels/{GENERAL}/messages", {"content": "https://example.com", "flags": 4})
        assert (await gateway.until("MESSAGE_CREATE"))["flags"] == 4
        await gateway.send(1, None)
        assert (await gateway.receive())["op"] == 11


async def test_what_people_do_is_told_as_events(raw: Raw) -> None:
    """Edits, deletions, reactions, typing, joins, leaves, threads and channels each have theirs."""
    world = raw.twin.world
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        said = verbs.type_text(world, {"text": "one", "chat": GENERAL})["message_ids"][0]
        verbs.edit_text(world, {"message_id": said, "text": "two"})
        edited = await gateway.until("MESSAGE_UPDATE")
        assert (edited["id"], edited["content"], edited["guild_id"]) == (said, "two", GUILD)
        assert edited["edited_timestamp"] is not None
        verbs.react(world, {"message_id": said, "emoji": "👍", "person": BEN})
        added = await gateway.until("MESSAGE_REACTION_ADD")
        assert (added["user_id"], added["emoji"], added["message_author_id"]) == (BEN, {"id": None, "name": "👍"}, ANNA)
        verbs.react(world, {"message_id": said, "emoji": "👍", "person": BEN, "take": True})
        assert (await gateway.until("MESSAGE_REACTION_REMOVE"))["message_id"] == said
        comings.typing(world, {"person": BEN, "chat": GENERAL})
        assert (await gateway.until("TYPING_START"))["member"]["user"]["id"] == BEN
        thread = comings.thread(world, {"name": "side", "message_id": said})["thread"]
        assert thread == said
        assert (await gateway.until("THREAD_CREATE"))["newly_created"] is True
        verbs.delete(world, {"message_id": said})
        assert (await gateway.until("MESSAGE_DELETE"))["id"] == said
        carl = comings.join(world, {"person": "Carl"})["person"]
        assert (await gateway.until("GUILD_MEMBER_ADD"))["user"]["global_name"] == "Carl"
        comings.join(world, {"person": "Robo", "bot": True})
        assert (await gateway.until("GUILD_MEMBER_ADD"))["user"]["bot"] is True
        assert (await gateway.until("MESSAGE_CREATE"))["type"] == 7
        comings.leave(world, {"person": carl})
        assert (await gateway.until("GUILD_MEMBER_REMOVE"))["user"]["id"] == carl
        made = comings.channel(world, {"name": "new"})["chat"]
        assert (await gateway.until("CHANNEL_CREATE"))["id"] == made
        comings.channel(world, {"chat": made, "gone": True})
        assert (await gateway.until("CHANNEL_DELETE"))["id"] == made
        comings.archive(world, {"thread": THREAD})
        assert (await gateway.until("THREAD_UPDATE"))["thread_metadata"]["archived"] is True


async def test_a_chat_that_the_bot_cannot_see_stays_silent(raw: Raw) -> None:
    """Events of a hidden channel never reach the bot; people see them."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        verbs.type_text(raw.twin.world, {"text": "hidden", "chat": "backstage"})
        verbs.type_text(raw.twin.world, {"text": "open", "chat": GENERAL})
        assert (await gateway.receive())["d"]["content"] == "open"
    seen = await show_chat(raw.twin.world, {"chat": "backstage", "person": ANNA})
    assert [one["text"] for one in seen["messages"]] == ["hidden"]


def test_close_codes_say_which_are_final() -> None:
    """Exactly 4004 and 4010 to 4014 are those after which no client need come back."""
    assert sorted(code for code in Close if code.is_final) == [4004, 4010, 4011, 4012, 4013, 4014]
