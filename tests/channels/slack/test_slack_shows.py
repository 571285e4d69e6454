"""What Slack shows of work that goes on: streams, edits, statuses, lines, marks; and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.channel import DeliveryFailed, HasMarks, ShownKind
from channels.slack.channel import SlackChannel
from channels.slack.timings import Timings
from protocol.ids import ChatKey, PlatformMessageId
from protocol.message import OutboundMessage
from tests.channels.conformance_support import Json, Phone, Rig, Room, deliver
from tests.channels.slack.support import QUICK, SECRET, read_text
from tests.channels.slack.test_conformance import FACTS
from twins.slack.seed import ANNA, GENERAL
from twins.slack.server import SlackTwin

HERE, MANY = FACTS.direct, FACTS.many
ANSWER = "The **first** point.\n\n```py\nprint(1)\n```\n\nThe last."


@pytest.fixture
async def thread(rig: Rig) -> Room:
    """A thread that Anna's mention of the bot began."""
    root = await rig.phone.type("@nightyard_bot help", MANY)
    return Room(chat=GENERAL, thread=root, key=ChatKey(f"slack:{GENERAL}:{root}"))


@pytest.fixture
async def asked(rig: Rig, thread: Room) -> AsyncIterator[tuple[SlackChannel, Room]]:
    """A channel that has heard Anna ask in the thread."""
    async with rig.connected() as channel:
        await rig.messages(channel, 1)
        assert isinstance(channel, SlackChannel)
        yield channel, thread


def answer(room: Room, text: str = ANSWER, key: str = "task/1") -> OutboundMessage:
    return OutboundMessage(chat=room.key, text=text, is_answer=True, idempotency_key=key)


async def words(phone: Phone, room: Room) -> list[str]:
    return [read_text(message) for message in await phone.sees(room)]


async def until_words(phone: Phone, room: Room, wanted: str) -> list[Json]:
    return await phone.until_seen(room, lambda seen: any(wanted in read_text(message) for message in seen))


async def counted(phone: Phone, method: str) -> int:
    return len(await phone.calls(method))


async def test_an_answer_streams_in_a_thread_and_ends_as_a_message(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """In a thread an answer is one of Slack's own streams, for who asked; at its end a message like any other."""
    channel, room = asked
    await channel.show(room.key, "accepted", "")
    for piece, visible in (
        ("The **first", "The "),
        ("** point.\n\n```py\nprint(1)\n", "print(1)"),
        ("```\n\nThe l", ""),
    ):
        await channel.show(room.key, "delta", piece)
        if visible:
            seen = await until_words(rig.phone, room, visible)
            assert "**" not in read_text(seen[-1]).replace("**first**", "")
    await channel.show(room.key, "delta", "ast.")
    receipt = await channel.send(answer(room))
    await channel.show(room.key, "done", "")
    (seen_last,) = await rig.phone.sees(room)
    assert receipt.platform_message_ids == (seen_last["id"],)
    assert read_text(seen_last) == "The first point.\n\nprint(1)\n\nThe last."
    (start,) = await rig.phone.calls("chat.startStream")
    assert start["arguments"]["recipient_user_id"] == ANNA
    assert await counted(rig.phone, "chat.appendStream") >= 1
    assert await counted(rig.phone, "chat.stopStream") == 1
    assert await counted(rig.phone, "chat.postMessage") == 0


async def test_another_text_takes_the_place_of_a_stream(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """What comes after tools replaces what was written before: the stream ends and edits follow."""
    channel, room = asked
    await channel.show(room.key, "delta", "Let me look it up. ")
    await until_words(rig.phone, room, "Let me look")
    await channel.show(room.key, "turn", "")
    await channel.show(room.key, "delta", "It is Tuesday, I think. ")
    seen = await until_words(rig.phone, room, "It is Tuesday")
    assert len(seen) == 1
    assert "Let me" not in read_text(seen[0])
    await channel.send(answer(room, "It is Tuesday."))
    assert await words(rig.phone, room) == ["It is Tuesday."]


async def test_a_stream_that_slack_does_not_begin_grows_by_edits(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """Where Slack begins no more streams for now, the answer grows as a message that is edited."""
    channel, room = asked
    await rig.phone.fault(kind="flood", method="chat.startStream", retry_after=60)
    await channel.show(room.key, "delta", "One and ")
    await channel.show(room.key, "delta", "two and ")
    await until_words(rig.phone, room, "two")
    await channel.show(room.key, "delta", "three.")
    await until_words(rig.phone, room, "three")
    await channel.send(answer(room, "One and two and three."))
    assert await words(rig.phone, room) == ["One and two and three."]
    assert await counted(rig.phone, "chat.startStream") == 1


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "error"])
@pytest.mark.parametrize("method", ["chat.update", "chat.stopStream"])
async def test_a_growing_answer_whose_end_broke_is_one(
    rig: Rig, asked: tuple[SlackChannel, Room], kind: str, method: str
) -> None:
    """At whatever step of its end the connection breaks: after the next try there is one clean answer."""
    channel, room = asked
    await channel.show(room.key, "delta", "The first point is ")
    await until_words(rig.phone, room, "The first")
    await rig.phone.fault(kind=kind, method=method)
    receipt, tries = await deliver(channel, answer(room, "The first point is this."))
    assert tries == 2
    (seen,) = await rig.phone.sees(room)
    assert (read_text(seen), seen["id"]) == ("The first point is this.", receipt.platform_message_ids[0])


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_growing_answer_whose_beginning_broke_does_not_stay(
    rig: Rig, asked: tuple[SlackChannel, Room], in_thread: bool
) -> None:
    """What Slack began and did not say so is found again, and does not stay beside the answer."""
    channel, room = asked if in_thread else (asked[0], HERE)
    await rig.phone.fault(kind="lost_answer", method="chat.startStream" if in_thread else "chat.postMessage")
    await channel.show(room.key, "delta", "The first point is ")
    await until_words(rig.phone, room, "The first")
    await deliver(channel, answer(room, "The first point is this."))
    await channel.show(room.key, "done", "")
    await rig.phone.until_seen(room, lambda seen: [*map(read_text, seen)] == ["The first point is this."])


async def test_a_growing_answer_whose_beginning_broke_grows_on(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """It is one message, whatever of its beginning was not heard."""
    channel, room = asked
    await rig.phone.fault(kind="lost_answer", method="chat.startStream")
    await channel.show(room.key, "delta", "The first point is ")
    await until_words(rig.phone, room, "The first")
    await channel.show(room.key, "delta", "this, I ")
    seen = await until_words(rig.phone, room, "this, I")
    assert len(seen) == 1


async def test_an_answer_that_a_dead_host_finished_is_not_taken_away(
    rig: Rig, asked: tuple[SlackChannel, Room]
) -> None:
    """A host that died before it noted that what grew had become the answer leaves it standing for the next one."""
    channel, room = asked
    await channel.show(room.key, "delta", "The first point is ")
    await until_words(rig.phone, room, "The first")
    await rig.phone.fault(kind="lost_answer", method="chat.update")
    with pytest.raises(DeliveryFailed):
        await channel.send(answer(room, "The first point is this."))
    noted = rig.kept.with_suffix(".growing.json")
    assert json.loads(noted.read_text())
    async with rig.connected() as heir:
        await rig.phone.until(lambda: json.loads(noted.read_text()) == [])
        await deliver(heir, answer(room, "The first point is this."))
        assert await words(rig.phone, room) == ["The first point is this."]
    assert await counted(rig.phone, "chat.delete") == 0


async def test_what_grew_and_was_deleted_is_said_anew(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """Somebody may delete the half answer; the whole one comes all the same."""
    channel, room = asked
    await channel.show(room.key, "delta", "The first point is ")
    (half,) = await until_words(rig.phone, room, "The first")
    await rig.phone.post("delete", chat=GENERAL, message_id=half["id"])
    await channel.send(answer(room, "The first point is this."))
    assert await words(rig.phone, room) == ["The first point is this."]


async def test_an_answer_waits_for_no_room_for_changes(rig: Rig) -> None:
    """Where Slack takes no changes for now, the answer comes at once as a message of its own; the half one goes."""
    async with rig.connected() as channel:
        await channel.show(HERE.key, "delta", "The first point is")
        (half,) = await until_words(rig.phone, HERE, "The first")
        await rig.phone.fault(kind="flood", method="chat.update", retry_after=30)
        _, tries = await deliver(channel, answer(HERE, "The first point is this."))
        assert tries == 1
        (seen,) = await rig.phone.until_seen(HERE, lambda seen: len(seen) == 1)
    assert (read_text(seen), seen["id"] == half["id"]) == ("The first point is this.", False)


async def test_a_stream_that_a_dead_host_left_goes(rig: Rig, thread: Room) -> None:
    """The next life of the host takes away what was streaming when the last one died, and nothing else."""
    async with rig.connected() as channel:
        await rig.messages(channel, 1)
        await channel.send(answer(thread, "An answer.", key="task/1"))
        await channel.show(thread.key, "delta", "Half of the next one is ")
        await until_words(rig.phone, thread, "Half of")
    async with rig.connected():
        await rig.phone.until_seen(thread, lambda seen: [read_text(message) for message in seen] == ["An answer."])


async def test_a_thread_has_a_status_while_work_goes_on(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """A thread shows that the bot works, and on what; no line is written there, and at the end nothing is shown."""
    channel, room = asked

    async def until_status(wanted: str) -> None:
        after = 0
        async with asyncio.timeout(10):
            while wanted != (await rig.phone.chat(room))["statuses"].get(room.thread, ""):
                after = await rig.phone.next_event(after)

    await channel.show(room.key, "accepted", "")
    await until_status("is working…")
    await channel.show(room.key, "progress", "runs a command")
    await until_status("runs a command")
    await channel.show(room.key, "done", "")
    await until_status("")
    assert await rig.phone.sees(room) == []


async def test_a_threads_status_is_kept_alive(rig: Rig, thread: Room) -> None:
    """Slack takes a status away after a while, and with each message of ours: it is set again while work goes on."""
    channel = SlackChannel(
        FACTS.channel_id, rig._fetch_secret, rig.served.url, replace(QUICK, status_every_s=0.05), kept=rig.kept
    )
    running = asyncio.ensure_future(channel.run(rig.inbox))
    await rig.well(channel)
    await channel.show(thread.key, "accepted", "")
    await channel.show(thread.key, "progress", "thinks long")
    async with asyncio.timeout(10):
        while await counted(rig.phone, "assistant.threads.setStatus") < 4:
            await rig.phone.next_event(await rig.phone.last_event())
    calls = await rig.phone.calls("assistant.threads.setStatus")
    assert [call["arguments"]["status"] for call in calls[-2:]] == ["thinks long"] * 2
    running.cancel()
    await asyncio.wait({running})


async def test_where_a_thread_takes_no_status_a_line_stands(rig: Rig, asked: tuple[SlackChannel, Room]) -> None:
    """An app without the right to set a status says in a line what it does."""
    channel, room = asked
    await rig.phone.post("token", scopes=["chat:write", "channels:history"])
    scopes_gone = ["chat:write.public", "im:history"]
    await rig.phone.post("token", scopes=scopes_gone)
    await channel.show(room.key, "accepted", "")
    async with asyncio.timeout(10):
        while not await rig.phone.calls("assistant.threads.setStatus"):
            await rig.phone.next_event(await rig.phone.last_event(), wait_s=0.1)
    await rig.phone.post("token", scopes=["chat:write"])
    await channel.show(room.key, "progress", "runs a command")
    await until_words(rig.phone, room, "runs a command")


async def test_a_line_stands_in_a_direct_chat_and_goes(rig: Rig) -> None:
    """Where Slack has no status, one line says what is done, is edited, and goes at the end."""
    async with rig.connected() as channel:
        await channel.show(HERE.key, "accepted", "")
        await channel.show(HERE.key, "progress", "runs *a* command")
        (line,) = await until_words(rig.phone, HERE, "runs *a* command")
        await channel.show(HERE.key, "progress", "reads a file")
        (edited,) = await until_words(rig.phone, HERE, "reads a file")
        assert edited["id"] == line["id"]
        await channel.show(HERE.key, "done", "")
        await rig.phone.until_seen(HERE, lambda seen: not seen)


async def test_a_message_is_marked_until_its_work_has_ended(rig: Rig) -> None:
    """Eyes stand under a message from its receipt to the end of its work."""

    def eyes(chat: Json, number: str) -> bool:
        return any(message["id"] == number and "eyes" in message["reactions"] for message in chat["messages"])

    async def until_marked(number: str, *, is_on: bool) -> None:
        after = 0
        async with asyncio.timeout(10):
            while eyes(await rig.phone.chat(HERE), number) is not is_on:
                after = await rig.phone.next_event(after)

    async with rig.connected() as channel:
        assert isinstance(channel, HasMarks)
        number = PlatformMessageId(await rig.phone.type("do it", HERE))
        channel.mark(HERE.key, PlatformMessageId("not-a-ts"), is_on=True)
        channel.mark(HERE.key, number, is_on=True)
        await until_marked(number, is_on=True)
        channel.mark(HERE.key, number, is_on=False)
        await until_marked(number, is_on=False)


async def test_showing_is_quiet_without_a_connection(rig: Rig) -> None:
    """Showing returns at once, and raises nothing, when there is no connection."""
    channel = rig.platform.build(rig._fetch_secret, rig.served.url, rig.kept, 60.0)
    kinds: tuple[ShownKind, ...] = ("accepted", "delta", "turn", "progress", "done")
    for kind in kinds:
        await channel.show(HERE.key, kind, "x")
    assert channel.health() == "not connected yet"


async def test_fifty_answers_stream_at_once_within_the_limits(rig: Rig) -> None:
    """Fifty threads at once, Slack's limits on: no call is refused, and each answer is there in a moment."""
    rooms = []
    for number in range(50):
        chat = (await rig.phone.post("room", name=f"room-{number}"))["chat"]
        root = await rig.phone.type(f"@nightyard_bot {number}", Room(chat=chat, key=HERE.key))
        rooms.append(Room(chat=chat, thread=root, key=ChatKey(f"slack:{chat}:{root}")))
    await rig.phone.post("limits", on=True)
    timings = replace(QUICK, growth_every_s=Timings().growth_every_s, stream_every_s=Timings().stream_every_s)

    async def fetch_secret() -> str:
        return SECRET

    channel = SlackChannel(FACTS.channel_id, fetch_secret, rig.served.url, timings, kept=rig.kept)
    running = asyncio.ensure_future(channel.run(rig.inbox))
    await rig.well(channel)
    await rig.messages(channel, 50)
    async with asyncio.timeout(20):
        for piece in range(4):
            for room in rooms:
                await channel.show(room.key, "delta", f"Piece {piece} of the answer. ")
            begun = 0
            while begun < min(50, 20 * (piece + 1)):
                await rig.phone.next_event(await rig.phone.last_event(), wait_s=0.2)
                begun = await counted(rig.phone, "chat.startStream") + await counted(rig.phone, "chat.postMessage")
    whole = "".join(f"Piece {piece} of the answer. " for piece in range(4))
    async with asyncio.timeout(20), asyncio.TaskGroup() as sending:
        for room in rooms:
            sending.create_task(deliver(channel, answer(room, whole, key=str(room.chat))))
    calls = (await rig.phone.get("log", event="call"))["events"]
    assert [call for call in calls if call.get("error") == "ratelimited"] == []
    assert {"chat.startStream", "chat.appendStream", "chat.stopStream", "chat.update"} <= {c["method"] for c in calls}
    for room in rooms[::7]:
        assert whole.strip() in [read_text(message) for message in await rig.phone.sees(room)]
    running.cancel()
    await asyncio.wait({running})


async def test_a_twin_is_asked_no_more_than_it_says(twin: SlackTwin, rig: Rig) -> None:
    """Without work a connected channel asks Slack nothing."""
    async with rig.connected():
        before = await rig.phone.last_event()
        quiet = (await rig.phone.get("log", after=before, wait_s=1.0))["events"]
    assert [entry for entry in quiet if entry["event"] == "call"] == []
