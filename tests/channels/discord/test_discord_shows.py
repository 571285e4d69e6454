"""What is said and shown on Discord, seen from a person's side."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels.channel import DeliveryFailed, HasMenus, HasReactions, MenuEntry, Menus, NotYet
from channels.discord.client import check_token
from channels.discord.connection import DiscordClient
from channels.discord.failures import ShutOut
from protocol.ids import PlatformMessageId
from protocol.message import Button, OutboundFile, OutboundMessage
from tests.channels.conformance_support import PATIENCE_S, Rig, deliver, rig_of
from tests.channels.discord.platform import FACTS, DiscordPlatform
from tests.channels.discord.support import QUICK
from twins.discord.certificate import write_certificates
from twins.discord.rest.limits import INVALID_PER_10_MIN
from twins.discord.seed import BACKSTAGE, GENERAL

DIRECT, MANY = FACTS.direct, FACTS.many
STOP = MenuEntry(name="stop", what="stop what you do")


async def _until_called(rig: Rig, method: str, count: int = 1) -> list[dict[str, Any]]:
    after = 0
    async with asyncio.timeout(PATIENCE_S):
        while len(calls := await rig.phone.calls(method)) < count:
            after = await rig.phone.next_event(after)
    return calls


async def test_commands_are_offered_and_come_in_as_text(tmp_path: Path) -> None:
    """The host's menu becomes slash commands; one that is used is answered at once and comes in as if typed."""
    async with rig_of(DiscordPlatform(haste=1.0), tmp_path) as rig, rig.connected() as channel:
        assert isinstance(channel, HasMenus)
        await channel.set_menu(Menus(direct=(STOP,), many=(STOP,), chats={}))
        await _until_called(rig, "bulk_set_application_commands")
        await rig.phone.post("command", name="stop", text="all of it", chat=GENERAL)
        (message,) = await rig.messages(channel, 1)
        await _until_called(rig, "create_interaction_response")
        seen = await rig.phone.chat(MANY)
    assert (message.text, message.mentions_me, message.chat) == ("/stop all of it", True, MANY.key)
    assert [(each["text"], each["ephemeral"]) for each in seen["messages"]] == [("`/stop` …", True)]


async def test_a_menu_is_set_again_when_it_changes_only(rig: Rig) -> None:
    """The same menu is not set twice: Discord takes few changes."""
    async with rig.connected() as channel:
        assert isinstance(channel, HasMenus)
        for _ in range(3):
            await channel.set_menu(Menus(direct=(STOP,), many=(), chats={}))
        await _until_called(rig, "bulk_set_application_commands")
        await channel.set_menu(Menus(direct=(), many=(STOP,), chats={}))
        calls = await _until_called(rig, "bulk_set_application_commands", 2)
    assert [[each["contexts"] for each in call["body"]] for call in calls] == [[[1]], [[0]]]


async def test_a_message_goes_out_once_with_its_nonce_and_rings_nobody(rig: Rig) -> None:
    """Each message has a nonce that Discord enforces, mentions nobody and shows no preview."""
    async with rig.connected() as channel:
        for _ in range(2):
            await channel.send(OutboundMessage(chat=MANY.key, text="<@2> https://example.org", idempotency_key="t:1"))
        calls = await rig.phone.calls("create_message")
        seen = await rig.phone.sees(MANY)
    assert len(seen) == 1
    for call in calls:
        assert (call["body"]["enforce_nonce"], len(call["body"]["nonce"])) == (True, 24)
        assert call["body"]["allowed_mentions"]["parse"] == []
        assert call["body"]["flags"] & 4


async def test_files_go_in_packs_of_ten(rig: Rig, tmp_path: Path) -> None:
    """Eleven files come in two messages, the text with the first; a file that is gone is refused by its name."""
    paths = [tmp_path / f"{number}.txt" for number in range(11)]
    for path in paths:
        path.write_text(path.name)
    more = tuple(OutboundFile(path=str(path), name=path.name) for path in paths[1:])
    message = OutboundMessage(chat=DIRECT.key, text="here", file_path=str(paths[0]), file_name="0.txt", more_files=more)
    async with rig.connected() as channel:
        await channel.send(message)
        first, second = await rig.phone.sees(DIRECT)
        paths[3].unlink()
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(message)
    assert (first["text"], len(first["files"]), len(second["files"])) == ("here", 10, 1)
    assert "3.txt" in failed.value.reason


async def test_a_files_address_that_expired_is_asked_for_again(rig: Rig, tmp_path: Path) -> None:
    """A file is fetched a day later too, when the address that came with it is good no more."""
    platform = rig.platform
    assert isinstance(platform, DiscordPlatform)
    async with rig.connected() as channel:
        await rig.phone.upload("a.txt", b"content", DIRECT)
        (message,) = await rig.messages(channel, 1)
        platform.twin.clock.advance(3 * 86_400)
        into = tmp_path / "a"
        assert await channel.fetch(message.pending_files[0], into, 100) == 7
    assert into.read_bytes() == b"content"


async def test_only_discords_own_files_are_fetched(rig: Rig, tmp_path: Path) -> None:
    """An address at another host is not called, whatever a payload says."""
    async with rig.connected() as channel:
        await rig.phone.upload("a.txt", b"content", DIRECT)
        (message,) = await rig.messages(channel, 1)
        file = message.pending_files[0]
        elsewhere = type(file)(reference="1/2/3 https://example.org/a", name="a", media_type="a/b", size=1)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.fetch(elsewhere, tmp_path / "b", 100)
    assert failed.value.permanent
    assert not (tmp_path / "b").exists()


async def test_a_reaction_takes_the_place_of_the_one_before(rig: Rig) -> None:
    """Of ours there is one reaction under a message, besides the mark that says that it was taken."""
    async with rig.connected() as channel:
        assert isinstance(channel, HasReactions)
        number = PlatformMessageId(await rig.phone.type("look", DIRECT))
        channel.mark(DIRECT.key, number, is_on=True)  # type: ignore[attr-defined]
        await _until_called(rig, "add_my_message_reaction")
        shown = []
        for emoji in ("👍", "🎉", "🎉", ""):
            await channel.react(DIRECT.key, number, emoji)
            (message,) = (await rig.phone.chat(DIRECT))["messages"]
            shown.append({key for key, who in message["reactions"].items() if who})
        channel.mark(DIRECT.key, number, is_on=False)  # type: ignore[attr-defined]
        await _until_called(rig, "delete_my_message_reaction", 3)
        (message,) = (await rig.phone.chat(DIRECT))["messages"]
        with pytest.raises(DeliveryFailed):
            await channel.react(DIRECT.key, number, "no emoji")
    assert shown == [{"👀", "👍"}, {"👀", "🎉"}, {"👀", "🎉"}, {"👀"}]
    assert not any(message["reactions"].values())


async def test_buttons_become_part_of_the_answer_that_grew(rig: Rig) -> None:
    """An answer with buttons takes over what grew, buttons and all."""
    async with rig.connected() as channel:
        await channel.show(DIRECT.key, "delta", "Shall I go on")
        await rig.phone.until_seen(DIRECT, bool)
        await channel.send(
            OutboundMessage(
                chat=DIRECT.key,
                text="Shall I go on?",
                is_answer=True,
                buttons=(Button(label="Yes", value="yes"),),
                idempotency_key="t:1",
            )
        )
        (seen,) = await rig.phone.sees(DIRECT)
    assert (seen["text"], [button["label"] for button in seen["buttons"]]) == ("Shall I go on?", ["Yes"])


async def test_an_answer_that_grew_stays_for_the_next_life(rig: Rig) -> None:
    """What became the answer is no half one that the next host takes away; what did not, is."""
    async with rig.connected() as channel:
        await channel.show(DIRECT.key, "delta", "It is")
        await rig.phone.until_seen(DIRECT, bool)
        await channel.send(OutboundMessage(chat=DIRECT.key, text="It is so.", is_answer=True, idempotency_key="t:1"))
        await channel.show(MANY.key, "delta", "Half an ans")
        await rig.phone.until_seen(MANY, bool)
    async with rig.connected():
        await rig.phone.until_seen(MANY, lambda seen: not seen)
        seen = await rig.phone.sees(DIRECT)
    assert [message["text"] for message in seen] == ["It is so."]


async def test_an_answer_whose_preview_was_taken_away_is_sent(rig: Rig) -> None:
    """When somebody deletes what grew, the answer comes as a message of its own."""
    async with rig.connected() as channel:
        await channel.show(MANY.key, "delta", "I was about")
        (growing,) = await rig.phone.until_seen(MANY, bool)
        await rig.phone.post("delete", message_id=growing["id"])
        await channel.send(OutboundMessage(chat=MANY.key, text="Here.", is_answer=True, idempotency_key="t:1"))
        seen = await rig.phone.until_seen(MANY, bool)
    assert [message["text"] for message in seen] == ["Here."]


async def test_a_line_says_what_goes_on_and_goes(rig: Rig) -> None:
    """A line of progress is one message, edited as work goes on, and gone at its end; typing is seen meanwhile."""
    async with rig.connected() as channel:
        await channel.show(MANY.key, "accepted", "")
        await _until_called(rig, "trigger_typing_indicator")
        await channel.show(MANY.key, "progress", "reading")
        await rig.phone.until_seen(MANY, lambda seen: [each["text"] for each in seen] == ["reading"])
        await channel.show(MANY.key, "progress", "writing")
        await rig.phone.until_seen(MANY, lambda seen: [each["text"] for each in seen] == ["writing"])
        await channel.show(MANY.key, "done", "")
        await rig.phone.until_seen(MANY, lambda seen: not seen)
    assert len(await rig.phone.calls("create_message")) == 1


async def test_where_the_bot_may_not_speak_it_says_what_it_lacks(rig: Rig) -> None:
    """A channel that is hidden or closed to the bot, and a person who takes no messages, are named for good."""
    async with rig.connected() as channel:
        hidden = type(MANY.key)(f"discord:{BACKSTAGE}")
        with pytest.raises(DeliveryFailed) as unseen:
            await channel.send(OutboundMessage(chat=hidden, text="hello?"))
        await rig.phone.post("permission", chat=GENERAL, deny=["SEND_MESSAGES"])
        with pytest.raises(DeliveryFailed) as mute:
            await channel.send(OutboundMessage(chat=MANY.key, text="hello?"))
        await rig.phone.post("block")
        with pytest.raises(DeliveryFailed) as blocked:
            await channel.send(OutboundMessage(chat=DIRECT.key, text="hello?"))
    assert all(failed.value.permanent for failed in (unseen, mute, blocked))
    assert "View Channel" in unseen.value.reason
    assert "lacks a permission" in mute.value.reason
    assert "no direct messages" in blocked.value.reason


async def test_a_chat_that_has_used_its_limit_waits_outside_of_the_sdk(tmp_path: Path) -> None:
    """discord.py would sleep in the call that uses up a limit; here it returns, the next one is told how long to wait,
    another chat has its turn at once, and Discord has nothing to refuse."""
    async with (
        rig_of(DiscordPlatform(limits=True, haste=1.0, timings=replace(QUICK, haste=1.0)), tmp_path) as rig,
        rig.connected() as channel,
    ):
        for number in range(5):
            await channel.send(OutboundMessage(chat=DIRECT.key, text=f"{number}", idempotency_key=f"t:{number}"))
        with pytest.raises(NotYet) as told:
            await channel.send(OutboundMessage(chat=DIRECT.key, text="5", idempotency_key="t:5"))
        await channel.send(OutboundMessage(chat=FACTS.second_direct.key, text="quick", idempotency_key="u:1"))
        seen = await rig.phone.sees(DIRECT)
        statuses = {call["status"] for call in await rig.phone.calls("create_message")}
    assert told.value.retry_after_s is not None
    assert 0 < told.value.retry_after_s <= 5
    assert [message["text"] for message in seen] == [str(number) for number in range(5)]
    assert statuses == {200}


async def test_a_pause_that_discord_asks_for_is_not_slept_through(rig: Rig) -> None:
    """discord.py sleeps through a pause of up to 30 s inside of the call; here who sends is told at once."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="flood", method="create_message", retry_after=20)
        async with asyncio.timeout(10):
            with pytest.raises(NotYet) as told:
                await channel.send(OutboundMessage(chat=DIRECT.key, text="patience", idempotency_key="t:1"))
            await channel.send(OutboundMessage(chat=FACTS.second_direct.key, text="quick", idempotency_key="u:1"))
    assert told.value.retry_after_s is not None
    assert 10 < told.value.retry_after_s <= 20


async def test_five_pauses_in_a_row_are_no_ban(tmp_path: Path) -> None:
    """After the fifth 429 discord.py gives up: the chat waits as long as Discord says, and no other one does."""
    platform = DiscordPlatform(timings=replace(QUICK, shut_out_s=900.0))
    async with rig_of(platform, tmp_path) as rig, rig.connected() as channel:
        await rig.phone.fault(kind="flood", method="create_message", retry_after=0.05, count=5)
        patient = OutboundMessage(chat=DIRECT.key, text="patience", idempotency_key="t:1")
        with pytest.raises(NotYet):
            await channel.send(patient)
        await _until_called(rig, "create_message", 5)
        await channel.send(OutboundMessage(chat=FACTS.second_direct.key, text="quick", idempotency_key="u:1"))
        await deliver(channel, patient)
        seen = await rig.phone.sees(DIRECT)
        statuses = [call["status"] for call in await rig.phone.calls("create_message")]
    assert [message["text"] for message in seen] == ["patience"]
    assert statuses == [429] * 5 + [200] * 2


async def test_a_ban_page_in_a_call_ends_all_calls_for_long(tmp_path: Path) -> None:
    """A 429 that is not Discord's own is Cloudflare's: no chat's message is tried for as long as a ban takes."""
    platform = DiscordPlatform(limits=True, timings=replace(QUICK, shut_out_s=900.0))
    async with rig_of(platform, tmp_path) as rig, rig.connected() as channel:
        for _ in range(INVALID_PER_10_MIN):
            platform.twin.limits.note_invalid(platform.twin.clock.now())
        for room, key in ((DIRECT, "t:1"), (FACTS.second_direct, "u:1")):
            with pytest.raises(NotYet) as told:
                await channel.send(OutboundMessage(chat=room.key, text="x", idempotency_key=key))
            assert (told.value.retry_after_s or 0) > 800


async def test_an_address_that_cloudflare_shuts_out_is_left_alone(tmp_path: Path) -> None:
    """A ban page is no rate limit: nothing is asked for a long while, and the health says why."""
    asked = 0

    async def ban(request: web.BaseRequest) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=429, text="<html>Error 1015</html>", content_type="text/html")

    runner = web.ServerRunner(web.Server(ban, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=write_certificates(tmp_path))
    await site.start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}#{tmp_path}/ca.pem"

    async def fetch() -> str:
        return "a-token"

    try:
        with pytest.raises(ShutOut):
            await check_token("a-token", url, QUICK)
        client = DiscordClient(fetch, url)
        running = asyncio.ensure_future(client.run(lambda event, raw: asyncio.sleep(0)))
        async with asyncio.timeout(PATIENCE_S):
            while "shut this address out" not in client.health():  # noqa: ASYNC110 - a client says nothing of itself
                await asyncio.sleep(0)
        assert asked == 2
        running.cancel()
        await asyncio.wait({running})
    finally:
        await runner.cleanup()
