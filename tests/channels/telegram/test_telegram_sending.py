"""What Telegram is told besides words, what it tells besides messages, and how its refusals come out."""

from __future__ import annotations

import asyncio
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from channels.channel import DeliveryFailed
from channels.telegram.calls import OneFile, SendFiles
from channels.telegram.channel import TelegramChannel
from channels.telegram.client import Account
from channels.telegram.places import Place
from protocol.ids import ChatKey
from protocol.message import Button, InboundMessage, OutboundFile, OutboundMessage
from tests.channels.telegram.support import CHANNEL, QUICK, Connected, KeepingInbox, Phone, decoded
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN, YARD

ADA, THE_YARD = ChatKey("telegram:1001"), ChatKey(f"telegram:{YARD}")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def heard(channel: TelegramChannel, inbox: KeepingInbox, kind: str, count: int = 1) -> list[InboundMessage]:
    """Return what was heard of a kind, as soon as it is so much."""

    def of_kind() -> list[InboundMessage]:
        said = [channel.decode(raw) for raw in inbox.stored.values()]
        return [message for message in said if message is not None and message.kind == kind]

    await inbox.until(lambda: len(of_kind()) >= count)
    return of_kind()


def files(folder: Path, **contents: bytes) -> dict[str, Any]:
    paths = []
    for name, content in contents.items():
        path = folder / f"host-{name}"
        path.write_bytes(content)
        paths.append(OutboundFile(path=str(path), name=name.replace("_", ".")))
    return {"file_path": paths[0].path, "file_name": paths[0].name, "more_files": tuple(paths[1:])}


async def test_several_files_arrive_whole_in_albums(connected: Connected, phone: Phone, tmp_path: Path) -> None:
    """Photos and documents go as an album each, in order, with one caption; every one has an id and its bytes."""
    content = {"a_png": PNG + b"a", "b_png": PNG + b"b", "c_txt": b"c" * 300_000, "d_txt": b"d" * 300_000}
    async with connected() as channel:
        receipt = await channel.send(OutboundMessage(chat=ADA, text="**look**", **files(tmp_path, **content)))
    seen = await phone.sees()
    assert receipt.platform_message_ids == tuple(str(message["message_id"]) for message in seen)
    assert [message.get("caption", "") for message in seen] == ["look", "", "", ""]
    assert len({message["media_group_id"] for message in seen}) == 2
    raw = [message["photo"][-1] if "photo" in message else message["document"] for message in seen]
    assert [await phone.file(file["file_id"]) for file in raw] == list(content.values())


async def test_buttons_are_under_the_last_of_several_files(
    connected: Connected, phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """No album has buttons: the last file goes alone with them, and pressing works."""
    async with connected() as channel:
        message = OutboundMessage(
            chat=ADA, buttons=(Button(label="Yes", value="yes"),), **files(tmp_path, a_txt=b"a", b_txt=b"b", c_txt=b"c")
        )
        await channel.send(message)
        await phone.post("press", label="Yes")
        (press,) = await heard(channel, inbox, "press")
    assert press.text == "yes"


async def test_a_photo_that_is_none_goes_as_a_file(connected: Connected, phone: Phone, tmp_path: Path) -> None:
    """Pictures that Telegram cannot read are sent as documents, several at a time too."""
    async with connected() as channel:
        await channel.send(OutboundMessage(chat=ADA, **files(tmp_path, a_png=b"not one", b_png=b"neither")))
    assert ["document" in message for message in await phone.sees()] == [True, True]


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes a request of any length, keeps nothing of it and says how long it was."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
    left = length
    while left:
        left -= len(await reader.read(min(left, 65536)))
    sent = {"message_id": length, "date": 1, "chat": {"id": 1001, "type": "private"}}
    answer = json.dumps({"ok": True, "result": sent}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(answer), answer))
    await writer.drain()
    writer.close()


async def test_an_upload_is_streamed(tmp_path: Path) -> None:
    """Of a file of 40 MB that goes out no more than a little is in memory at any time."""
    path = tmp_path / "large"
    with path.open("wb") as large:
        large.truncate(40_000_000)
    call = SendFiles(place=Place(chat_id=1001), files=(OneFile(name="large.bin", path=str(path)),))
    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        account = Account(DEFAULT_TOKEN, f"http://127.0.0.1:{port}", QUICK)
        tracemalloc.start(1)
        try:
            (length,) = await account.send_files(call)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert length > 40_000_000
    assert peak_bytes < 8_000_000


async def test_a_file_that_cannot_be_read_fails_for_good(connected: Connected, tmp_path: Path) -> None:
    """What is not on the disk any more is named, and nothing is tried again."""
    async with connected() as channel:
        with pytest.raises(DeliveryFailed, match="the file none cannot be read") as failed:
            await channel.send(OutboundMessage(chat=ADA, file_path=str(tmp_path / "none"), file_name="x"))
    assert failed.value.permanent


async def test_what_was_said_is_taken_back(connected: Connected, phone: Phone) -> None:
    """A message goes; one that is gone already is well; one that is too old stays, and that is said."""
    async with connected() as channel:
        (first,) = (await channel.send(OutboundMessage(chat=ADA, text="oops"))).platform_message_ids
        (old,) = (await channel.send(OutboundMessage(chat=ADA, text="old"))).platform_message_ids
        await channel.delete(ADA, first)
        await channel.delete(ADA, first)
        assert [message["text"] for message in await phone.sees()] == ["old"]
        await phone.post("clock", advance_s=49 * 3600)
        with pytest.raises(DeliveryFailed, match="48 hours") as failed:
            await channel.delete(ADA, old)
        assert failed.value.permanent


async def test_what_was_said_says_something_else(connected: Connected, phone: Phone) -> None:
    """A message is edited, with its styles; the same again is well; one too long is refused before it is tried."""
    async with connected() as channel:
        (message,) = (await channel.send(OutboundMessage(chat=ADA, text="one"))).platform_message_ids
        for _ in range(2):
            await channel.edit(ADA, message, "**two**")
        (seen,) = await phone.sees()
        assert (seen["text"], seen["entities"][0]["type"]) == ("two", "bold")
        with pytest.raises(DeliveryFailed, match="too long"):
            await channel.edit(ADA, message, "word " * 2000)


async def test_reactions_comings_and_goings_arrive(connected: Connected, phone: Phone, inbox: KeepingInbox) -> None:
    """What happens in a chat besides words is heard: a reaction put and taken, who leaves and comes."""
    async with connected() as channel:
        (ours,) = (await channel.send(OutboundMessage(chat=ADA, text="Well?"))).platform_message_ids
        await phone.post("react", message_id=int(ours), emoji="👍")
        await phone.post("react", message_id=int(ours), emoji="👍", take=True)
        reactions = await heard(channel, inbox, "reaction", 2)
        assert [(each.text, each.reply_to) for each in reactions] == [("👍", ours), ("", ours)]
        await phone.post("leave", person=1002, chat=YARD)
        await phone.post("join", person=1002, chat=YARD)
        (left,), (joined,) = await heard(channel, inbox, "left"), await heard(channel, inbox, "joined")
    assert left.text == joined.text == "Ben Gardener"
    assert left.person == joined.person == "telegram:1002"
    assert left.chat == joined.chat == THE_YARD


async def test_a_group_that_moves_is_heard_and_found(
    connected: Connected, phone: Phone, inbox: KeepingInbox, twin: tuple[TelegramTwin, str]
) -> None:
    """The move is told by both groups; where it was missed, sending finds out, once, and tells it."""
    async with connected() as channel:
        await phone.post("move", chat=YARD, to=-1002000000002)
        moves = await heard(channel, inbox, "moved", 2)
        assert {(move.chat, move.text) for move in moves} == {(THE_YARD, "telegram:-1002000000002")}
        inbox.stored.clear()
        for text in ("one", "two"):
            await channel.send(OutboundMessage(chat=THE_YARD, text=text))
        (found,) = await heard(channel, inbox, "moved")
    assert (found.chat, found.text) == (THE_YARD, "telegram:-1002000000002")
    assert [message["text"] for message in await phone.sees(-1002000000002)] == ["one", "two"]
    refused = [call for call in await phone.calls("sendMessage") if call["status"] == 400]
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("act", "chat", "words"),
    [
        (("block", {"chat": 1001}), ADA, "the person has blocked the bot"),
        (("deactivate", {"chat": 1001}), ADA, "account is gone"),
        (("leave", {"chat": YARD, "person": "bot", "kick": True}), THE_YARD, "removed from the chat"),
        (("leave", {"chat": YARD, "person": "bot"}), THE_YARD, "not in the chat"),
        (("type", {"text": "x"}), ChatKey(f"telegram:{YARD}:4711"), "the topic was deleted"),
        (("type", {"text": "x"}), ChatKey("telegram:4711"), "knows no such chat"),
    ],
)
async def test_who_cannot_be_reached_is_said_in_plain_words(
    connected: Connected, phone: Phone, act: tuple[str, dict[str, Any]], chat: ChatKey, words: str
) -> None:
    """A blocked bot, a gone account, a group that put it out, a deleted topic: for good, and told so that people
    understand it."""
    async with connected() as channel:
        await phone.post(act[0], **act[1])
        with pytest.raises(DeliveryFailed, match=words) as failed:
            await channel.send(OutboundMessage(chat=chat, text="x"))
    assert failed.value.permanent


async def test_a_server_that_was_away_is_found_again(inbox: KeepingInbox) -> None:
    """While nothing listens the channel says so and its messages fail for now; what was written meanwhile comes when
    the server is back, and the client is still the same."""
    twin = TelegramTwin()
    async with twin.serve() as address:  # a port that is free
        port = int(address.rpartition(":")[2])

    async def fetch_secret() -> str:
        return DEFAULT_TOKEN

    channel = TelegramChannel(CHANNEL, fetch_secret, f"http://127.0.0.1:{port}", QUICK)
    running = asyncio.ensure_future(channel.run(inbox))
    try:
        async with twin.serve(port=port):
            await inbox.until(lambda: channel.health() == "ok")
        await inbox.until(lambda: channel.health() != "ok")
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(OutboundMessage(chat=ADA, text="x"))
        assert not failed.value.permanent
        ada = twin.world.chats[1001]
        twin.world.updates.push(message=twin.world.new_message(ada, twin.world.people[1001], None, text="hi"))
        async with twin.serve(port=port):
            (raw,) = await inbox.raw(1)
            assert decoded(channel, raw).text == "hi"
            await inbox.until(lambda: channel.health() == "ok")
            running.cancel()
            await asyncio.wait({running})
    finally:
        running.cancel()
        await asyncio.wait({running})
