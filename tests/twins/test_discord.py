"""The twin of Discord, as unmodified discord.py meets it."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
from collections.abc import AsyncIterator

import discord
import pytest
from discord import app_commands

from tests.twins.discord_client import READY_WITHIN_S, Bot, running_bot
from twins.discord.connector import connector_to
from twins.discord.seed import ANNA, BEN, BOT, DIRECT, GENERAL, GUILD, THREAD
from twins.discord.server import DiscordTwin
from twins.discord.user_side import comings, controls, pressing, sight, verbs


@pytest.fixture
async def twin() -> AsyncIterator[DiscordTwin]:
    twin = DiscordTwin(limits=False)
    async with twin.serve():
        yield twin


@pytest.fixture
async def bot(twin: DiscordTwin) -> AsyncIterator[Bot]:
    async with running_bot(twin) as bot:
        yield bot


def _general(bot: Bot) -> discord.TextChannel:
    channel = bot.get_channel(int(GENERAL))
    assert isinstance(channel, discord.TextChannel)
    return channel


async def _said(twin: DiscordTwin, count: int, **where: str) -> list[str]:
    """Return what the bot said there, once it is so much."""

    def own() -> list[str]:
        channel = verbs.chat_of(twin.world, dict(where), where.get("person", ANNA))
        return [str(one.body["content"]) for one in channel.messages.values() if one.author_id == twin.world.bot_id]

    assert await twin.log.until(lambda: len(own()) >= count, READY_WITHIN_S)
    return own()


async def test_a_typed_message_reaches_the_bot_and_its_answer_is_seen(twin: DiscordTwin, bot: Bot) -> None:
    """discord.py logs in, becomes ready, hears what Anna types and answers; she sees the answer."""
    assert bot.user is not None and bot.user.name == "nightyard_bot"
    assert [guild.name for guild in bot.guilds] == ["The Yard"]
    verbs.type_text(twin.world, {"text": "hello"})
    message = await bot.next_message()
    assert (message.content, message.author.id, str(message.channel.id)) == ("hello", int(ANNA), DIRECT[ANNA])
    assert isinstance(message.channel, discord.DMChannel)
    await message.channel.send("hi Anna")
    seen = await sight.show_chat(twin.world, {"person": ANNA})
    assert [one["text"] for one in seen["messages"]] == ["hello", "hi Anna"]
    assert seen["messages"][1]["is_bot"]


async def test_the_bot_says_edits_deletes_reacts_and_pins(twin: DiscordTwin, bot: Bot) -> None:
    """What a bot does with its messages is what people see."""
    sent = await _general(bot).send("one", nonce="n1", allowed_mentions=discord.AllowedMentions.none())
    again = await _general(bot).send("one", nonce="n1")
    assert again.id == sent.id
    await sent.edit(content="two")
    await sent.add_reaction("👍")
    await sent.pin()
    seen = (await sight.show_chat(twin.world, {"chat": GENERAL}))["messages"][0]
    assert (seen["text"], seen["edited"], seen["reactions"]) == ("two", True, {"👍": [BOT]})
    pins = [message.id async for message in _general(bot).pins()]
    assert pins == [sent.id]
    await sent.clear_reactions()
    await sent.delete()
    assert str(sent.id) not in twin.world.channels[GENERAL].messages


async def test_history_is_what_was_said_while_the_bot_was_away(twin: DiscordTwin, bot: Bot) -> None:
    """Back-filling reads on from the last message that was seen, oldest first."""
    first = verbs.type_text(twin.world, {"text": "seen", "chat": GENERAL})["message_ids"][0]
    for number in range(3):
        verbs.type_text(twin.world, {"text": f"missed {number}", "chat": GENERAL})
    missed = [one.content async for one in _general(bot).history(after=discord.Object(int(first)), limit=None)]
    assert missed == ["missed 0", "missed 1", "missed 2"]


async def test_files_go_both_ways(twin: DiscordTwin, bot: Bot) -> None:
    """What a person uploads is downloaded from the CDN's name; what the bot sends is seen."""
    content = base64.b64encode(b"from Anna").decode()
    verbs.upload(twin.world, {"name": "a.txt", "content": content, "caption": "look"})
    message = await bot.next_message()
    assert await message.attachments[0].read() == b"from Anna"
    await message.reply(file=discord.File(io.BytesIO(b"from the bot"), "b.txt"))
    seen = (await sight.show_chat(twin.world, {}))["messages"][-1]
    assert (seen["files"][0]["name"], seen["reply_to"]) == ("b.txt", str(message.id))
    assert twin.world.files[seen["files"][0]["id"]].content == b"from the bot"


async def test_voice_stickers_and_forwards_are_told_apart(twin: DiscordTwin, bot: Bot) -> None:
    """A voice note has its flag and length, a sticker its name, a forwarded message its snapshot."""
    verbs.upload(twin.world, {"name": "voice.ogg", "content": "AAAA", "kind": "voice"})
    voice = await bot.next_message()
    assert (voice.flags.voice, voice.attachments[0].duration, voice.attachments[0].content_type) == (
        True,
        3.0,
        "audio/ogg",
    )
    verbs.upload(twin.world, {"name": "wave", "content": "", "kind": "sticker"})
    assert [one.name for one in (await bot.next_message()).stickers] == ["wave"]
    said = verbs.type_text(twin.world, {"text": "the origin", "chat": GENERAL})["message_ids"][0]
    await bot.next_message()
    verbs.forward(twin.world, {"message_id": said, "person": BEN})
    forwarded = await bot.next_message()
    assert [one.content for one in forwarded.message_snapshots] == ["the origin"]


async def test_threads_are_begun_and_heard(twin: DiscordTwin, bot: Bot) -> None:
    """The bot begins one from a message, with its id; it hears what is said in those of others."""
    said = verbs.type_text(twin.world, {"text": "topic", "chat": GENERAL})["message_ids"][0]
    message = await bot.next_message()
    thread = await message.create_thread(name="talk")
    assert str(thread.id) == said
    await thread.send("in the thread")
    verbs.type_text(twin.world, {"text": "planned", "thread": THREAD, "person": BEN})
    heard = await bot.next_message()
    assert isinstance(heard.channel, discord.Thread)
    assert (heard.channel.name, heard.channel.parent_id) == ("planning", int(GENERAL))
    await thread.edit(archived=True)
    assert twin.world.channels[said].info["thread_metadata"]["archived"]


async def test_typing_is_seen_until_the_answer(twin: DiscordTwin, bot: Bot) -> None:
    """It lasts ten seconds, or until the bot says something."""
    await _general(bot).typing()
    assert (await sight.show_chat(twin.world, {"chat": GENERAL}))["typing"]
    twin.clock.advance(10.5)
    assert not (await sight.show_chat(twin.world, {"chat": GENERAL}))["typing"]
    await _general(bot).typing()
    await _general(bot).send("there")
    assert not (await sight.show_chat(twin.world, {"chat": GENERAL}))["typing"]


async def test_direct_chats_are_opened_by_user(twin: DiscordTwin, bot: Bot) -> None:
    """A person who takes no messages is Forbidden."""
    ben = await bot.fetch_user(int(BEN))
    channel = await ben.create_dm()
    assert str(channel.id) == DIRECT[BEN]
    await channel.send("hello Ben")
    comings.block(twin.world, {"person": BEN})
    with pytest.raises(discord.Forbidden) as refused:
        await channel.send("again")
    assert refused.value.code == 50007


class _Choice(discord.ui.View):
    @discord.ui.button(label="Yes", custom_id="yes", style=discord.ButtonStyle.success)
    async def yes(self, interaction: discord.Interaction, button: discord.ui.Button[_Choice]) -> None:
        await interaction.response.edit_message(content="decided", view=None)
        await interaction.followup.send("thanks", ephemeral=True)

    @discord.ui.button(label="Ask", custom_id="ask")
    async def ask(self, interaction: discord.Interaction, button: discord.ui.Button[_Choice]) -> None:
        await interaction.response.send_modal(_Form())

    @discord.ui.select(custom_id="pick", options=[discord.SelectOption(label="Red", value="r")])
    async def pick(self, interaction: discord.Interaction, select: discord.ui.Select[_Choice]) -> None:
        await interaction.response.send_message(f"picked {select.values[0]}")


class _Form(discord.ui.Modal, title="A form"):
    answer: discord.ui.TextInput[_Form] = discord.ui.TextInput(label="Why", custom_id="why")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"because {self.answer.value}")


async def test_buttons_lists_and_forms_are_answered(twin: DiscordTwin, bot: Bot) -> None:
    """A pressed button edits its message and follows up unseen by others; a list and a form bring messages."""
    await _general(bot).send("choose", view=_Choice())
    seen = (await sight.show_chat(twin.world, {"chat": GENERAL}))["messages"][0]
    assert [one["label"] for one in seen["buttons"]] == ["Yes", "Ask", "Red"]
    pressing.press(twin.world, {"label": "Red", "chat": GENERAL})
    assert (await _said(twin, 2, chat=GENERAL))[-1] == "picked r"
    asked = pressing.press(twin.world, {"label": "Ask", "chat": GENERAL})["interaction_id"]
    assert await twin.log.until(lambda: bool(twin.log.read(event="interaction_shown")), READY_WITHIN_S)
    pressing.submit(twin.world, {"interaction_id": asked, "values": {"why": "so"}})
    assert (await _said(twin, 3, chat=GENERAL))[-1] == "because so"
    pressing.press(twin.world, {"label": "Yes", "chat": GENERAL, "person": BEN})
    assert (await _said(twin, 4, chat=GENERAL))[0] == "decided"
    for person, sees in ((BEN, True), (ANNA, False)):
        texts = [
            one["text"] for one in (await sight.show_chat(twin.world, {"chat": GENERAL, "person": person}))["messages"]
        ]
        assert ("thanks" in texts) is sees


async def test_slash_commands_are_synced_used_and_deferred(twin: DiscordTwin, bot: Bot) -> None:
    """A command tree syncs; a deferred answer is shown as thinking until it is given."""
    tree = app_commands.CommandTree(bot)

    @tree.command(name="ask", description="Ask me")
    async def ask(interaction: discord.Interaction, question: str) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content=f"{question}? yes")

    await tree.sync()
    await tree.sync(guild=discord.Object(int(GUILD)))
    assert [one["name"] for one in twin.world.commands.values()] == ["ask"]
    pressing.command(twin.world, {"name": "ask", "text": "really", "person": BEN})
    assert await twin.log.until(
        lambda: any("really? yes" in str(one["data"]) for one in twin.log.read(event="message_update")), READY_WITHIN_S
    )
    with pytest.raises(ValueError, match="needs question"):
        pressing.command(twin.world, {"name": "ask"})
    with pytest.raises(ValueError, match="no command"):
        pressing.command(twin.world, {"name": "sing"})


async def test_a_broken_socket_loses_nothing(twin: DiscordTwin, bot: Bot) -> None:
    """discord.py resumes, and hears in order what was said in between."""
    controls.add_fault(twin.hub, {"kind": "hold"})
    for number in range(3):
        verbs.type_text(twin.world, {"text": str(number)})
    controls.add_fault(twin.hub, {"kind": "close_socket", "code": 4000})
    controls.clear_faults(twin.hub)
    heard = [(await bot.next_message()).content for _ in range(3)]
    assert heard == ["0", "1", "2"]
    await bot.until_told("resumed")


async def test_a_session_that_cannot_resume_loses_what_was_said_and_tells_of_it(twin: DiscordTwin, bot: Bot) -> None:
    """A new session begins with a READY; GUILD_CREATE tells the last message of each channel."""
    await bot.until_told("ready")
    controls.add_fault(twin.hub, {"kind": "no_resume"})
    controls.add_fault(twin.hub, {"kind": "close_socket", "code": 4000})
    assert await twin.log.until(lambda: bool(twin.log.read(event="gateway_parted")), READY_WITHIN_S)
    lost = verbs.type_text(twin.world, {"text": "lost", "chat": GENERAL})["message_ids"][0]
    await bot.until_told("ready")
    assert _general(bot).last_message_id == int(lost)
    assert bot.heard.empty()


async def test_a_revoked_token_ends_the_client(twin: DiscordTwin) -> None:
    """The gateway closes with 4004, which discord.py raises; a login is refused."""
    bot = Bot(twin)
    await bot.login(twin.world.token)
    running = asyncio.ensure_future(bot.connect())
    async with asyncio.timeout(READY_WITHIN_S):
        await bot.wait_until_ready()
    old = twin.world.token
    controls.set_token(twin.hub, {"token": "new"})
    async with asyncio.timeout(READY_WITHIN_S):
        with pytest.raises(discord.ConnectionClosed) as closed:
            await running
    assert closed.value.code == 4004
    await bot.close()
    again = discord.Client(intents=discord.Intents.none(), connector=connector_to(twin.address, twin.ca_file))
    with pytest.raises(discord.LoginFailure):
        await again.login(old)
    await again.close()


async def test_an_intent_that_is_off_ends_the_client_with_its_reason(twin: DiscordTwin) -> None:
    """discord.py raises PrivilegedIntentsRequired."""
    comings.intents(twin.world, {"on": []})
    bot = Bot(twin)
    await bot.login(twin.world.token)
    async with asyncio.timeout(READY_WITHIN_S):
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.connect()
    await bot.close()


async def test_discord_py_waits_where_a_limit_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """At the end of a bucket it waits the told time by itself, and nothing is refused; a flood is retried."""
    twin = DiscordTwin()
    async with twin.serve(), running_bot(twin) as bot:
        twin.clock.scale = 50
        for number in range(7):
            await _general(bot).send(str(number))
        assert not [one for one in twin.log.read(event="call") if one.get("status") == 429]
        controls.add_fault(twin.hub, {"kind": "flood", "method": "create_message", "retry_after": 0.05})
        with caplog.at_level(logging.WARNING, logger="discord.http"):
            await _general(bot).send("after the flood")
        assert "rate limited" in caplog.text
    assert len(await _said(twin, 8, chat=GENERAL)) == 8


async def test_several_bots_of_the_same_token_are_each_told(twin: DiscordTwin, bot: Bot) -> None:
    """Sessions do not take events from each other."""
    async with running_bot(twin) as second:
        verbs.type_text(twin.world, {"text": "to both"})
        assert (await bot.next_message()).content == (await second.next_message()).content == "to both"
