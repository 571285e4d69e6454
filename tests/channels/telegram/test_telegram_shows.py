"""What Telegram shows of work that goes on: one line, marks, menus; and what happens when it takes none of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed, MenuEntry, Menus
from channels.telegram.channel import TelegramChannel
from protocol.ids import ChatKey, PlatformMessageId
from protocol.message import Button, OutboundMessage
from tests.channels.telegram.support import CHANNEL, QUICK, Connected, KeepingInbox, Phone, fetch_secret, until
from twins.telegram.server import TelegramTwin

ADA = ChatKey("telegram:1001")
FAST = replace(QUICK, first_line_s=0.0, line_every_s=0.02)


class Running:
    """A channel that shows without delay, while the block lasts."""

    def __init__(self, address: str, inbox: KeepingInbox, kept: Path) -> None:
        self.channel = TelegramChannel(CHANNEL, fetch_secret, address, FAST, kept=kept)
        self._inbox = inbox

    async def __aenter__(self) -> TelegramChannel:
        self._running = asyncio.ensure_future(self.channel.run(self._inbox))
        return self.channel

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.wait({self._running})


def texts(twin: TelegramTwin) -> list[str]:
    messages = twin.world.chats[1001].messages.values()
    return [message["text"] for message in messages if message["from"]["is_bot"]]


async def test_one_line_is_edited_and_goes(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """Tools in use make one silent message, edited as it goes on, and gone at the end; the answer is another one."""
    world, address = twin
    async with Running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(ADA, "accepted", "")
        await channel.show(ADA, "progress", "shell")
        await until(phone, lambda: texts(world) == ["shell"])
        await channel.show(ADA, "progress", "read_file")
        await until(phone, lambda: texts(world) == ["read_file"])
        await channel.send(OutboundMessage(chat=ADA, text="done"))
        await channel.show(ADA, "done", "")
        await until(phone, lambda: texts(world) == ["done"])
        await until(phone, lambda: json.loads((tmp_path / "kept.json").read_text()) == [])
    sent = await phone.calls("sendMessage")
    assert [call["arguments"].get("disable_notification", "false") for call in sent] == ["true", "false"]


async def test_buttons_go_and_the_words_stay(connected: Connected, phone: Phone) -> None:
    """Taken twice is taken once; where the message is gone, the platform's word says so for good."""
    async with connected() as channel:
        card = OutboundMessage(chat=ADA, text="**Sure?**", buttons=(Button(label="Yes", value="/approve A"),))
        (message,) = (await channel.send(card)).platform_message_ids
        before = (await phone.sees())[-1]
        for _ in range(2):
            await channel.take_buttons(ADA, message)
        after = (await phone.sees())[-1]
        assert "reply_markup" in before and "reply_markup" not in after
        assert (after["text"], after["entities"]) == (before["text"], before["entities"])
        with pytest.raises(DeliveryFailed) as failed:
            await channel.take_buttons(ADA, PlatformMessageId("999"))
        assert failed.value.permanent


async def test_work_that_is_quickly_done_shows_no_line(connected: Connected, phone: Phone) -> None:
    """A line that would only flicker is not sent."""
    async with connected() as channel:
        await channel.show(ADA, "progress", "shell")
        await channel.show(ADA, "done", "")
        await channel.send(OutboundMessage(chat=ADA, text="done"))
        assert [message["text"] for message in await phone.sees()] == ["done"]


async def test_edits_that_telegram_does_not_take_are_left_out(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """While Telegram asks for a pause nothing is edited and work goes on; then the newest text alone is shown."""
    world, address = twin
    async with Running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(ADA, "progress", "one")
        await until(phone, lambda: texts(world) == ["one"])
        await phone.post("fault", kind="flood", method="editMessageText", retry_after=1)
        for number in range(20):
            await channel.show(ADA, "progress", f"step {number}")
        await channel.send(OutboundMessage(chat=ADA, text="an answer"))
        assert "an answer" in texts(world)
        await until(phone, lambda: "step 19" in texts(world))
        await channel.show(ADA, "done", "")
        await until(phone, lambda: texts(world) == ["an answer"])
    assert len(await phone.calls("editMessageText")) <= 4


async def test_a_line_that_a_dead_host_left_goes(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """The next start takes away what the last one was showing when it died."""
    world, address = twin
    async with Running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(ADA, "progress", "shell")
        await until(phone, lambda: (tmp_path / "kept.json").exists())
    assert texts(world) == ["shell"]
    async with Running(address, inbox, tmp_path / "kept.json"):
        await until(phone, lambda: texts(world) == [])


async def test_a_line_that_cannot_be_deleted_says_that_it_is_over(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """Where Telegram refuses to delete a line, it does not go on looking as if work went on."""
    world, address = twin
    async with Running(address, inbox, tmp_path / "kept.json") as channel:
        await channel.show(ADA, "progress", "shell")
        await until(phone, lambda: texts(world) == ["shell"])
        await phone.post("fault", kind="error", method="deleteMessage", status=400)
        await channel.show(ADA, "done", "")
        await until(phone, lambda: texts(world) == ["✓"])


async def test_a_message_is_marked_until_its_work_has_ended(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """👀 stands under the message and goes; a mark that Telegram does not take harms nothing."""
    world, address = twin
    number = await phone.type("do it")
    reactions = world.world.chats[1001].reactions
    async with Running(address, inbox, tmp_path / "kept.json") as channel:
        channel.mark(ADA, PlatformMessageId("999999"), is_on=True)
        channel.mark(ADA, PlatformMessageId(str(number)), is_on=True)
        await until(phone, lambda: reactions.get(number) == ["👀"])
        await phone.post("fault", kind="flood", method="setMessageReaction", retry_after=1)
        channel.mark(ADA, PlatformMessageId(str(number)), is_on=False)
        await until(phone, lambda: reactions.get(number) == [])


async def test_menus_are_set_by_right_and_again_when_they_change(
    twin: tuple[TelegramTwin, str], phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """Each scope has its own menu; who loses a right loses the menu; a failure is tried again."""
    world, address = twin
    stop, freeze = MenuEntry(name="stop", what="stop"), MenuEntry(name="freeze", what="stop all")
    commands = world.world.commands
    async with Running(address, inbox, tmp_path / "kept.json") as channel:
        await phone.post("fault", kind="flood", method="setMyCommands", retry_after=1)
        await channel.set_menu(Menus(direct=(stop,), many=(stop,), chats={ADA: (stop, freeze)}))
        await until(phone, lambda: len(commands) == 3)
        assert [entry["command"] for entry in commands["chat:1001"]] == ["stop", "freeze"]
        assert [entry["command"] for entry in commands["all_group_chats"]] == ["stop"]
        await channel.set_menu(Menus(direct=(stop,), many=(stop,), chats={}))
        await until(phone, lambda: "chat:1001" not in commands)
