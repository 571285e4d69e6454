"""The terminal channel over a real control socket: nothing lost, several terminals, files, order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import DeliveryFailed, Undecodable
from channels.terminal.channel import TerminalChannel
from channels.terminal.decode import decode_saying, harmless_name
from client.control import ControlClient, Conversation
from protocol.control import Say, Shown
from protocol.ids import ChannelId, ChatKey, GroupId, PlatformMessageId
from protocol.message import Button, OutboundMessage, PendingFile
from tests.scripted_house import House, scripted_house

MAIN = ChatKey("terminal:main")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(20), scripted_house(tmp_path, "attachments_mb: 1\n") as opened:
        yield opened


@pytest.fixture
def client(house: House) -> ControlClient:
    return ControlClient(house.home.control_socket)


async def shown_until(chat: Conversation, kind: str, text: str = "") -> list[Shown]:
    """Return what is shown up to the first of a kind (with a text in it)."""
    seen: list[Shown] = []
    async for shown in chat.shown():
        seen.append(shown)
        if shown.kind == kind and text in shown.text:
            break
    return seen


def texts(seen: list[Shown], kind: str) -> list[str]:
    return [shown.text for shown in seen if shown.kind == kind]


async def test_answer_streams_and_then_stands_whole(client: ControlClient) -> None:
    """What is said is accepted, the answer grows in pieces, and comes whole at last."""
    async with client.chat() as chat:
        await chat.say(Say(text="hello"))
        seen = await shown_until(chat, "message")
    assert texts(seen, "accepted")[0].startswith("said_")
    assert "".join(texts(seen, "delta")) == texts(seen, "message")[0] == "**You** said hello"


async def test_command_is_answered_without_an_agent(client: ControlClient) -> None:
    """A command comes back as one message, and no task is made."""
    async with client.chat() as chat:
        await chat.say(Say(text="/status"))
        seen = await shown_until(chat, "message")
    assert "Nothing is running here." in texts(seen, "message")[0]
    assert "rehearsal" in texts(seen, "message")[0]


async def test_stop_ends_what_runs_in_the_chat(house: House, client: ControlClient) -> None:
    """/stop reaches the running task of this chat and is confirmed."""
    async with client.chat() as chat:
        await chat.say(Say(text="slow"))
        await house.agent.working.wait()
        await chat.say(Say(text="/stop"))
        seen = await shown_until(chat, "message")
    assert texts(seen, "message") == ["Stopped."]
    assert not await house.store.running_tasks()


async def test_what_nobody_saw_is_shown_to_the_next_who_looks(house: House, client: ControlClient) -> None:
    """Answers to a closed terminal are kept, over a restart too, and shown once, in order."""
    for number in range(3):
        await house.channel.send(
            OutboundMessage(chat=MAIN, text=f"late {number}\n\u2028", idempotency_key=f"k{number}")
        )
    async with client.chat() as chat:
        seen = await shown_until(chat, "message", "late 2")
    assert [text[:6] for text in texts(seen, "message")] == ["late 0", "late 1", "late 2"]
    async with client.chat() as chat:
        await chat.say(Say(text="/help"))
        assert not any("late" in text for text in texts(await shown_until(chat, "message"), "message"))


async def test_kept_answers_survive_a_restart(tmp_path: Path) -> None:
    """What one host kept, the next one shows; a line that a crash cut short does not hide the others."""
    first = TerminalChannel(ChannelId("terminal"), tmp_path / "kept")
    await first.send(OutboundMessage(chat=MAIN, text="before"))
    (file,) = (tmp_path / "kept").iterdir()
    with file.open("ab") as kept:
        kept.write(b'\n{"kind":"mess')
    await first.send(OutboundMessage(chat=MAIN, text="after"))
    screen = _Screen()
    async with asyncio.timeout(5):
        await TerminalChannel(ChannelId("terminal"), tmp_path / "kept").attach(MAIN, screen)
    assert [shown.text for shown in screen.seen if shown.kind == "message"] == ["before", "after"]


async def test_kept_card_that_was_decided_meanwhile_is_shown_without_buttons(tmp_path: Path) -> None:
    """Over a restart too, and from what an earlier version kept; other cards keep theirs."""
    buttons = (Button(label="Yes", value="/approve A"),)
    first = TerminalChannel(ChannelId("terminal"), tmp_path / "kept")
    for key in ("one", "two"):
        await first.send(OutboundMessage(chat=MAIN, text=key, buttons=buttons, idempotency_key=key))
    (file,) = (tmp_path / "kept").iterdir()
    with file.open("ab") as kept:
        kept.write(b'\n{"kind": "message", "text": "old", "buttons": [{"label": "Yes", "value": "/approve B"}]}\n')
    channel = TerminalChannel(ChannelId("terminal"), tmp_path / "kept")
    for name in ("one", "gone"):
        await channel.take_buttons(MAIN, PlatformMessageId(name))
    screen = _Screen()
    await channel.attach(MAIN, screen)
    seen = [(shown.text, len(shown.buttons)) for shown in screen.seen if shown.kind == "message"]
    assert seen == [("one", 0), ("two", 1), ("old", 1)]


async def test_terminal_that_goes_in_the_middle_leaves_the_rest_kept(tmp_path: Path) -> None:
    """Of what was kept, only what was really shown is forgotten."""
    channel = TerminalChannel(ChannelId("terminal"), tmp_path / "kept")
    for number in range(3):
        await channel.send(OutboundMessage(chat=MAIN, text=str(number)))
    await channel.attach(MAIN, _Screen(room_for=1))
    screen = _Screen()
    await channel.attach(MAIN, screen)
    assert [shown.text for shown in screen.seen if shown.kind == "message"] == ["1", "2"]


async def test_message_to_a_dead_terminal_is_kept(tmp_path: Path) -> None:
    """A terminal that is attached but does not take the message does not count as a reader."""
    channel = TerminalChannel(ChannelId("terminal"), tmp_path / "kept")
    gone = _Screen(room_for=0, stays=True)
    async with asyncio.TaskGroup() as group:
        attached = group.create_task(channel.attach(MAIN, gone))
        await gone.attached.wait()
        await channel.send(OutboundMessage(chat=MAIN, text="for later"))
        attached.cancel()
    screen = _Screen()
    await channel.attach(MAIN, screen)
    assert "for later" in [shown.text for shown in screen.seen]


class _Screen:
    """A terminal that takes `room_for` messages and says nothing."""

    def __init__(self, room_for: int = 1000, stays: bool = False) -> None:
        self.seen: list[Shown] = []
        self.attached = asyncio.Event()
        self._room = room_for
        self._stays = stays

    async def said(self) -> AsyncIterator[Say]:
        if self._stays:
            await asyncio.Event().wait()
        nothing: tuple[Say, ...] = ()
        for say in nothing:
            yield say

    async def show(self, shown: Shown) -> bool:
        if self._room == 0:
            return False
        self._room -= 1
        self.seen.append(shown)
        return True

    def show_soon(self, shown: Shown) -> None:
        self.attached.set()


async def test_all_terminals_of_a_chat_see_the_same(client: ControlClient) -> None:
    """Two terminals on one chat both see the answer; the other one sees what was asked too."""
    async with client.chat() as one, client.chat() as other:
        await shown_until(other, "progress")
        await one.say(Say(text="hello"))
        await shown_until(one, "message")
        seen = await shown_until(other, "message")
    assert texts(seen, "notice") == ["› hello"]
    assert texts(seen, "message") == ["**You** said hello"]


async def test_chats_do_not_see_each_other(client: ControlClient) -> None:
    """A chat with another agent, or another name, sees nothing of the first."""
    async with client.chat() as one, client.chat("side") as other, client.chat("main", "second") as third:
        await one.say(Say(text="hello"))
        await shown_until(one, "message")
        for chat in (other, third):
            await chat.say(Say(text="/help"))
            assert not any("hello" in shown.text for shown in await shown_until(chat, "message"))


async def test_late_terminal_sees_that_work_goes_on(house: House, client: ControlClient) -> None:
    """A terminal that attaches to a busy chat is told what is being done."""
    async with client.chat() as chat:
        await chat.say(Say(text="slow"))
        await house.agent.working.wait()
    async with client.chat() as chat:
        assert texts(await shown_until(chat, "progress"), "progress") == ["shell: sleep 1000"]
        await chat.say(Say(text="/stop"))
        await shown_until(chat, "message")


async def test_file_by_path_reaches_the_inbox_under_a_harmless_name(
    house: House, client: ControlClient, tmp_path: Path
) -> None:
    """A file is copied into the group's inbox, whatever it is called."""
    wild = tmp_path / "..\u202e\x1b[31mevil\n.txt"
    wild.write_text("content")
    (tmp_path / "sub").mkdir()
    async with client.chat() as chat:
        await chat.say(Say(text="look", files=(str(tmp_path / "sub" / ".." / wild.name),)))
        seen = await shown_until(chat, "message")
    assert "[..[31mevil.txt: 7]" in texts(seen, "message")[0]
    (stored,) = [path for path in house.home.inbox(GroupId("main")).rglob("*") if path.is_file()]
    assert stored.read_text() == "content"


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "relative", "nul"])
async def test_unusable_file_is_refused_with_a_word(client: ControlClient, tmp_path: Path, kind: str) -> None:
    """What is no readable file is not taken: a notice says why, and the terminal goes on."""
    os.mkfifo(tmp_path / "pipe")
    path = {"missing": "/nowhere/x", "folder": str(tmp_path), "relative": "x", "nul": "/a\x00b"}.get(
        kind, str(tmp_path / "pipe")
    )
    async with client.chat() as chat:
        await chat.say(Say(text="look", files=(path,)))
        seen = await shown_until(chat, "accepted")
        assert texts(seen, "accepted") == [""]
        assert texts(seen, "notice")[0].startswith("Not sent: ")
        await chat.say(Say(text="/help"))
        await shown_until(chat, "message")


async def test_file_over_the_cap_is_not_copied(house: House, tmp_path: Path) -> None:
    """A file larger than the host takes is refused for good, and nothing of it is left."""
    (tmp_path / "big").write_bytes(b"x" * 2000)
    file = PendingFile(reference=str(tmp_path / "big"), name="big", media_type="", size=None)
    with pytest.raises(DeliveryFailed) as failed:
        await house.channel.fetch(file, tmp_path / "into", 1999)
    assert failed.value.permanent
    assert not (tmp_path / "into").exists()
    assert await house.channel.fetch(file, tmp_path / "into", 2000) == 2000


async def test_big_text_passes_whole(client: ControlClient) -> None:
    """Nearly a megabyte of text in one message reaches the agent and comes back."""
    text = "word " * 190_000
    async with client.chat() as chat:
        await chat.say(Say(text=text))
        seen = await shown_until(chat, "message")
    assert texts(seen, "message")[0].endswith(text.strip()) or len(texts(seen, "message")[0]) > 900_000


@given(st.text(max_size=300))
def test_names_are_never_a_way_out(path: str) -> None:
    """Whatever a path is, the name made of it has no separator or control character and is no dot folder."""
    name = harmless_name(path)
    assert "/" not in name
    assert name.isprintable()
    assert name.strip(". ") != ""


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_undecodable(raw: bytes) -> None:
    """Stored bytes that are no saying become a dead letter, never another error."""
    with pytest.raises(Undecodable):
        decode_saying(ChannelId("terminal"), raw)
