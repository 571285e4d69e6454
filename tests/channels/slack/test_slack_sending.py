"""What is said on Slack, against the twin: once where that can be known, whole, and with words where it cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from channels.channel import DeliveryFailed, HasButtons, HasEdits, HasReactions, NotYet
from protocol.ids import ChatKey, PlatformMessageId
from protocol.message import Button, OutboundFile, OutboundMessage, PendingFile
from tests.channels.conformance_support import Json, Phone, Rig, Room, deliver
from tests.channels.slack.support import read_text
from tests.channels.slack.test_conformance import FACTS
from twins.slack.posting import author, post
from twins.slack.seed import ANNA, BEN, GENERAL, RANDOM
from twins.slack.server import SlackTwin

HERE, MANY = FACTS.direct, FACTS.many
LONG = "\n\n".join(f"Paragraph {number}: {'word ' * 60}end." for number in range(25))


def say(text: str, room: Room = HERE, key: str = "task/1") -> OutboundMessage:
    return OutboundMessage(chat=room.key, text=text, idempotency_key=key)


async def thread(rig: Rig) -> Room:
    """Return the thread that somebody's mention of the bot begins."""
    root = await rig.phone.type("@nightyard_bot help", MANY)
    return Room(chat=GENERAL, thread=root, key=ChatKey(f"slack:{GENERAL}:{root}"))


async def words(phone: Phone, room: Room) -> list[str]:
    return [read_text(message) for message in await phone.sees(room)]


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "error", "garbage"])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_what_was_not_answered_is_said_once(rig: Rig, kind: str, in_thread: bool) -> None:
    """Whether it was done or not when the answer was lost: after the next try it is there once."""
    async with rig.connected() as channel:
        room = await thread(rig) if in_thread else HERE
        await rig.phone.fault(kind=kind, method="chat.postMessage")
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(say("only once", room))
        assert not failed.value.permanent
        receipt = await channel.send(say("only once", room))
        (seen,) = await rig.phone.sees(room)
    assert receipt.platform_message_ids == (seen["id"],)


async def test_what_a_dead_host_said_is_not_said_again(rig: Rig) -> None:
    """A host that died between saying and knowing leaves enough behind for the next one to find what was said."""
    async with rig.connected() as channel:
        room = await thread(rig)
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage", count=2)
        for where, key in ((HERE, "task/1"), (room, "task/2")):
            with pytest.raises(DeliveryFailed):
                await channel.send(say("only once", where, key))
    async with rig.connected() as channel:
        for where, key in ((HERE, "task/1"), (room, "task/2")):
            (number,) = (await channel.send(say("only once", where, key))).platform_message_ids
            assert [seen["id"] for seen in await rig.phone.sees(where)] == [number]


async def test_what_was_said_is_found_in_a_long_thread(twin: SlackTwin, rig: Rig) -> None:
    """A thread's history begins with its first message: it is read from when the answer was begun."""
    async with rig.connected() as channel:
        room = await thread(rig)
        general = twin.world.conversations[GENERAL]
        for number in range(150):
            post(twin.world, general, {**author(twin.world, BEN), "text": str(number)}, str(room.thread))
        await rig.messages(channel, 151)
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        await deliver(channel, say("only once", room))
        assert await words(rig.phone, room) == ["only once"]


async def test_equal_words_of_different_keys_are_both_said(rig: Rig) -> None:
    """A message is known by its key, not by its words."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        with pytest.raises(DeliveryFailed):
            await channel.send(say("yes", key="task/1"))
        await channel.send(say("yes", key="task/2"))
        await channel.send(say("yes", key="task/1"))
        assert await words(rig.phone, HERE) == ["yes", "yes"]


async def test_a_long_answer_that_broke_off_goes_on_where_it_was(rig: Rig) -> None:
    """Parts that were said are not said again, the one that was not answered included."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="delay", method="chat.postMessage", delay_s=0)
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        with pytest.raises(DeliveryFailed):
            await channel.send(say(LONG))
        receipt, _ = await deliver(channel, say(LONG))
        seen = await rig.phone.sees(HERE)
    assert [message["id"] for message in seen] == list(receipt.platform_message_ids)
    assert " ".join(map(read_text, seen)).split() == LONG.split()


async def test_whether_it_was_said_must_be_known_first(rig: Rig) -> None:
    """While history cannot be read, what may have been said is not said again."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="lost_answer", method="chat.postMessage")
        await rig.phone.fault(kind="error", method="conversations.history")
        for _ in range(2):
            with pytest.raises(DeliveryFailed):
                await channel.send(say("only once"))
        await channel.send(say("only once"))
        assert await words(rig.phone, HERE) == ["only once"]


async def test_an_answer_rings_nobody_and_unfurls_nothing(rig: Rig) -> None:
    """Words of an agent cause no mention and no request of Slack's."""
    async with rig.connected() as channel:
        await channel.send(say(f"<!channel> <@{BEN}> @here https://x.org/secret", MANY))
        (call,) = await rig.phone.calls("chat.postMessage")
        (seen,) = await rig.phone.sees(MANY)
    arguments = call["arguments"]
    assert not arguments["unfurl_links"]
    assert not arguments["unfurl_media"]
    assert "<!" not in arguments["text"]
    assert "<@" not in arguments["text"]
    kinds = {element["type"] for part in seen["raw"]["blocks"][0]["elements"] for element in part["elements"]}
    assert kinds <= {"text", "link"}


@pytest.mark.parametrize(
    ("chat", "reason"),
    [(f"slack:{RANDOM}", "channel_not_found|not_in_channel"), ("slack:C0NOWHERE", "no such conversation")],
)
async def test_a_chat_that_is_not_ours_fails_for_good(twin: SlackTwin, rig: Rig, chat: str, reason: str) -> None:
    """Where the bot is not, or nobody is, another try cannot help; the words say what to do."""
    scopes = twin.world.tokens.of_kind("bot").scopes
    scopes.discard("chat:write.public")
    async with rig.connected() as channel:
        with pytest.raises(DeliveryFailed, match=reason) as failed:
            await channel.send(OutboundMessage(chat=ChatKey(chat), text="x"))
    assert failed.value.permanent


async def test_a_missing_scope_is_named(twin: SlackTwin, rig: Rig) -> None:
    """What the app may not do is told with the scope that it lacks."""
    async with rig.connected() as channel:
        await rig.phone.post("token", scopes=["im:history"])
        with pytest.raises(DeliveryFailed, match=r"lacks the scope `chat:write`"):
            await channel.send(say("x"))


async def test_the_pace_of_a_channel_is_kept(rig: Rig) -> None:
    """A series in one chat is as fast as Slack allows, so that Slack need not say so."""
    await rig.phone.post("limits", on=True)
    async with rig.connected() as channel:
        for number in range(7):
            await channel.send(say(str(number), key=str(number)))
        assert await words(rig.phone, HERE) == [str(number) for number in range(7)]
        calls = await rig.phone.calls("chat.postMessage")
    assert [call for call in calls if "error" in call] == []


async def test_told_to_wait_the_channel_asks_no_more_till_then(rig: Rig) -> None:
    """After Slack's own word a chat's messages are put off without a call, and that is no failed try."""
    await rig.phone.fault(kind="flood", method="chat.postMessage", retry_after=30)
    async with rig.connected() as channel:
        with pytest.raises(DeliveryFailed) as told:
            await channel.send(say("x"))
        with pytest.raises(NotYet) as later:
            await channel.send(say("x"))
        assert len(await rig.phone.calls("chat.postMessage")) == 1
    assert told.value.retry_after_s == 30
    assert 25 < (later.value.retry_after_s or 0) <= 30


# Files


@asynccontextmanager
async def written(folder: Path, *names: str) -> AsyncIterator[OutboundMessage]:
    for name in names:
        (folder / name).write_bytes(f"content of {name} ".encode() * 20_000)
    more = tuple(OutboundFile(path=str(folder / name), name=name) for name in names[1:])
    yield OutboundMessage(
        chat=HERE.key,
        text="**Here**",
        file_path=str(folder / names[0]),
        file_name=names[0],
        more_files=more,
        idempotency_key="task/1",
    )


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("lost_answer", "files.completeUploadExternal"),
        ("reset", "files.completeUploadExternal"),
        ("error", "files.getUploadURLExternal"),
        ("reset", "upload"),
        ("error", "upload"),
    ],
)
async def test_files_whose_upload_broke_off_are_seen_once(rig: Rig, tmp_path: Path, kind: str, method: str) -> None:
    """At whatever step it broke: after the next try the files are one message, whole."""
    async with written(tmp_path, "a.txt", "b.txt") as message, rig.connected() as channel:
        await rig.phone.fault(kind=kind, method=method)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(message)
        assert not failed.value.permanent
        receipt = await channel.send(message)
        (seen,) = await rig.phone.sees(HERE)
        assert receipt.platform_message_ids == (seen["id"],)
        assert seen["text"] == "*Here*"
        contents = [await rig.phone.file(file["id"]) for file in seen["files"]]
    assert [len(content) for content in contents] == [17 * 20_000] * 2


async def test_files_that_a_dead_host_showed_are_not_shown_again(rig: Rig, tmp_path: Path) -> None:
    """The ids of the files survive the host, and tell whether they became a message."""
    async with written(tmp_path, "a.txt") as message:
        async with rig.connected() as channel:
            await rig.phone.fault(kind="lost_answer", method="files.completeUploadExternal")
            with pytest.raises(DeliveryFailed):
                await channel.send(message)
        async with rig.connected() as channel:
            receipt = await channel.send(message)
            (seen,) = await rig.phone.sees(HERE)
    assert receipt.platform_message_ids == (seen["id"],)


async def test_a_file_that_cannot_be_sent_says_why(rig: Rig, tmp_path: Path) -> None:
    """A file that is gone, and an empty one, which Slack takes none of, fail for good."""
    (tmp_path / "empty").touch()
    async with rig.connected() as channel:
        for name, reason in (("gone", "cannot be read"), ("empty", "is empty")):
            with pytest.raises(DeliveryFailed, match=reason) as failed:
                await channel.send(OutboundMessage(chat=HERE.key, file_path=str(tmp_path / name)))
            assert failed.value.permanent


async def sent_file(rig: Rig, content: bytes = b"content") -> PendingFile:
    async with rig.connected() as channel:
        await rig.phone.upload("x.bin", content, HERE)
        (message,) = await rig.messages(channel, 1)
    return message.pending_files[0]


async def test_a_web_page_in_place_of_a_file_is_no_file(rig: Rig, tmp_path: Path) -> None:
    """Slack shows who may not see a file its sign-in page, with a 200: that is an error, and leaves nothing."""
    file = await sent_file(rig)
    async with rig.connected() as channel:
        await rig.phone.fault(kind="garbage", method="download")
        with pytest.raises(DeliveryFailed, match="web page") as failed:
            await channel.fetch(file, tmp_path / "stored", 100)
        assert failed.value.permanent
        assert not list(tmp_path.glob("stored*"))
        assert await channel.fetch(file, tmp_path / "stored", 100) == 7


async def test_a_download_that_breaks_off_leaves_nothing(rig: Rig, tmp_path: Path) -> None:
    """A broken download is worth another try; one beyond the cap is not."""
    file = await sent_file(rig, bytes(300_000))
    async with rig.connected() as channel:
        await rig.phone.fault(kind="reset", method="download", count=-1)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.fetch(file, tmp_path / "stored", 1 << 20)
        assert not failed.value.permanent
        await rig.phone.clear_faults()
        with pytest.raises(DeliveryFailed, match="larger") as over:
            await channel.fetch(file, tmp_path / "stored", 1000)
        assert over.value.permanent
        assert not list(tmp_path.glob("stored*"))


async def test_nobody_but_slack_is_shown_the_token(twin: SlackTwin, rig: Rig, tmp_path: Path) -> None:
    """A file that lies elsewhere is not fetched: its server would be given the bot's token."""
    file = await sent_file(rig)
    info = twin.world.files[file.reference].info
    info["url_private"] = info["url_private_download"] = "https://files.example.org/x"
    async with rig.connected() as channel:
        with pytest.raises(DeliveryFailed, match="not Slack's own"):
            await channel.fetch(file, tmp_path / "stored", 100)


@asynccontextmanager
async def front(twin: SlackTwin, asked: list[str], answering: asyncio.Event | None = None) -> AsyncIterator[str]:
    """Slack's address, with files that have moved: `/to?<address>` leads there. What is fetched is noted. A message is
    posted at once, and that is said when `answering` is set."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/to":
            raise web.HTTPFound(request.query_string)
        if not request.path.startswith("/api/"):
            asked.append(f"{request.path} {request.headers.get('Authorization', '')[:6]}".strip())
            return web.Response(body=b"content")
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        there = f"{twin.world.address}{request.rel_url}"
        async with (
            aiohttp.ClientSession(trust_env=False) as http,
            http.request(request.method, there, data=await request.read(), headers=headers) as told,
        ):
            body = await told.read()
        if answering is not None and request.path == "/api/chat.postMessage":
            await answering.wait()
        return web.Response(body=body, content_type="application/json")

    runner = web.ServerRunner(web.Server(lambda request: answer(request)))  # type: ignore[arg-type]
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_file_that_has_moved_elsewhere_is_not_followed(twin: SlackTwin, rig: Rig, tmp_path: Path) -> None:
    """Within Slack it is, with the token; another server is not even asked, this machine's own ones least of all."""
    file = await sent_file(rig)
    info = twin.world.files[file.reference].info
    asked: list[str] = []
    async with front(twin, asked) as address, front(twin, asked) as other:
        served = replace(rig.served, url=address)
        moved = Rig(platform=rig.platform, served=served, phone=rig.phone, kept=tmp_path / "moved.json")
        async with moved.connected() as channel:
            for there in (f"{other}/elsewhere", "http://169.254.169.254/x", "file:///etc/passwd"):
                info["url_private"] = info["url_private_download"] = f"{address}/to?{there}"
                with pytest.raises(DeliveryFailed, match="not Slack's own"):
                    await channel.fetch(file, tmp_path / "stored", 100)
            info["url_private"] = info["url_private_download"] = f"{address}/to?/to?/to?/to?/round"
            with pytest.raises(DeliveryFailed, match="without end"):
                await channel.fetch(file, tmp_path / "stored", 100)
            assert not asked and not list(tmp_path.glob("stored*"))
            info["url_private"] = info["url_private_download"] = f"{address}/to?/there"
            assert await channel.fetch(file, tmp_path / "stored", 100) == 7
            assert asked == ["/there Bearer"]


# In words and threads


async def test_an_answer_goes_into_the_thread_that_asked(rig: Rig) -> None:
    """Who mentions the bot in a channel is answered in a thread under that; who goes on there is in that chat."""
    async with rig.connected() as channel:
        room = await thread(rig)
        (asked,) = await rig.messages(channel, 1)
        assert (asked.chat, asked.sender_name) == (room.key, "Anna")
        await channel.send(say("here", room))
        (seen,) = await rig.phone.sees(room)
        assert seen["thread"] == room.thread
        await rig.phone.type("thanks, and @Ben too", room)
        after = (await rig.messages(channel, 2))[1]
    assert (after.chat, after.text, after.quote) == (room.key, "thanks, and @Ben too", "")


async def test_what_is_done_to_a_message_in_a_thread_comes_from_the_thread(rig: Rig) -> None:
    """A reaction names no thread, and a press may not: the channel knows where its messages stand."""
    async with rig.connected() as channel:
        room = await thread(rig)
        message = OutboundMessage(chat=room.key, text="Sure?", buttons=(Button(label="Yes", value="y"),))
        (number,) = (await channel.send(message)).platform_message_ids
        await rig.phone.post("react", chat=GENERAL, message_id=number, emoji="+1")
        await rig.phone.post("press", chat=GENERAL, message_id=number, label="Yes")
        (reaction,), (press,) = await rig.said(channel, "reaction"), await rig.said(channel, "press")
    assert {reaction.chat, press.chat} == {room.key}
    assert (reaction.reply_to, press.reply_to) == (number, number)


async def test_buttons_in_a_thread_go(rig: Rig) -> None:
    """A card in a thread stands without its buttons, its words unchanged; one that is gone is said to be."""
    async with rig.connected() as channel:
        assert isinstance(channel, HasButtons)
        room = await thread(rig)
        message = OutboundMessage(chat=room.key, text="**Sure?** & so", buttons=(Button(label="Yes", value="y"),))
        (number,) = (await channel.send(message)).platform_message_ids
        (before,) = await rig.phone.sees(room)
        await channel.take_buttons(room.key, number)
        (after,) = await rig.phone.sees(room)
        with pytest.raises(DeliveryFailed, match="message_not_found") as failed:
            await channel.take_buttons(room.key, PlatformMessageId("1700000000.000001"))
    assert failed.value.permanent
    assert (len(before["buttons"]), after["buttons"]) == (1, [])
    assert read_text(after) == read_text(before)


async def test_an_edit_that_is_too_long_is_refused(rig: Rig) -> None:
    """A message can be changed to what one message holds."""
    async with rig.connected() as channel:
        assert isinstance(channel, HasEdits)
        (number,) = (await channel.send(say("one"))).platform_message_ids
        with pytest.raises(DeliveryFailed, match="too long") as failed:
            await channel.edit(HERE.key, number, LONG)
        with pytest.raises(DeliveryFailed, match="no message of Slack's"):
            await channel.edit(HERE.key, PlatformMessageId("12"), "x")
    assert failed.value.permanent


async def test_one_reaction_takes_the_place_of_the_other(rig: Rig) -> None:
    """Of ours there is one at a time; a name between colons is taken, an unknown emoji explained."""
    async with rig.connected() as channel:
        assert isinstance(channel, HasReactions)
        number = PlatformMessageId(await rig.phone.type("good", HERE))
        for emoji in ("👍", "🎉", "🎉", ":own_party:"):
            await channel.react(HERE.key, number, emoji)
        chat: Json = await rig.phone.chat(HERE)
        assert list(chat["messages"][-1]["reactions"]) == ["own_party"]
        assert ":white_check_mark:" in channel.why_no_reaction("🪿")
        with pytest.raises(DeliveryFailed, match="between colons"):
            await channel.react(HERE.key, number, "🪿")


async def test_names_that_cannot_be_had_delay_nothing(rig: Rig) -> None:
    """While Slack does not tell what people are called, their words arrive under their ids."""
    async with rig.connected() as channel:
        await rig.phone.fault(kind="error", method="users.info", count=-1)
        await rig.phone.type("who am I, @Ben?", HERE)
        (message,) = await rig.messages(channel, 1)
    assert (message.sender_name, message.text) == (ANNA, f"who am I, @{BEN}?")
