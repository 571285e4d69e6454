"""What bots do and people do, played once through: with unmodified discord.py, and by direct calls for the rest."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import discord
from discord import app_commands

from twins.discord.connector import connector_to
from twins.discord.rest.front import ROUTES
from twins.discord.seed import ANNA, BEN, BOT, GENERAL, GUILD, THREAD
from twins.discord.server import DiscordTwin
from twins.discord.user_side import comings, pressing, verbs

STEP_WITHIN_S = 20.0
_LAST_WORDS = "that was all"
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03\x08\x02\x00\x00\x00"


class _Bot(discord.Client):
    def __init__(self, twin: DiscordTwin, on_event: Callable[[str | bytes], None]) -> None:
        connector = connector_to(twin.address, twin.ca_file)
        super().__init__(
            connector=connector, intents=discord.Intents.all(), guild_ready_timeout=0.05, enable_debug_events=True
        )
        self._on_event = on_event
        self.answered = asyncio.Event()
        self.heard_the_end = asyncio.Event()
        self.tree = app_commands.CommandTree(self)

    async def on_socket_raw_receive(self, text: str | bytes) -> None:
        self._on_event(text)
        if _LAST_WORDS in str(text):
            self.heard_the_end.set()

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Answer by what was pressed or used."""
        said: Any = interaction.data or {}
        wanted = str(said.get("custom_id") or said.get("name"))
        response = interaction.response
        match wanted:
            case "update":
                await response.edit_message(content="changed")
                await interaction.followup.send("unseen", ephemeral=True)
            case "form":
                await response.send_modal(discord.ui.Modal(title="Form", custom_id="sent").add_item(_field()))
            case "sent":
                await response.send_message("thank you", ephemeral=True)
            case "pick":
                await response.defer()
                await interaction.edit_original_response(content="picked")
            case "say":
                await response.autocomplete([app_commands.Choice(name="a", value="a")])
            case _:
                await response.defer(thinking=True)
                await interaction.edit_original_response(content="thought", embed=discord.Embed(title="t"))
                followed = await interaction.followup.send("more", wait=True)
                await followed.edit(content="less")
                await interaction.followup.fetch_message(followed.id)
                await followed.delete()
                await interaction.original_response()
                await interaction.delete_original_response()
        self.answered.set()


def _field() -> discord.ui.TextInput[Any]:
    return discord.ui.TextInput(label="Why", custom_id="why")


class _Buttons(discord.ui.View):
    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.add_item(discord.ui.Button(label="Update", custom_id="update"))
        self.add_item(discord.ui.Button(label="Form", custom_id="form", style=discord.ButtonStyle.danger, emoji="👍"))
        self.add_item(discord.ui.Button(label="Link", url="https://example.com"))
        self.add_item(discord.ui.Select(custom_id="pick", options=[discord.SelectOption(label="Red", value="r")]))

    async def interaction_check(self, _interaction: discord.Interaction) -> bool:
        return False  # answered by the client's own listener


async def walk(twin: DiscordTwin, on_event: Callable[[str | bytes], None]) -> None:
    """Play everything; every event that a client is sent is handed to `on_event`."""
    bot = _Bot(twin, on_event)
    await bot.login(twin.world.token)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bot.connect())
        try:
            async with asyncio.timeout(STEP_WITHIN_S):
                await bot.wait_until_ready()
            await _messages(bot, twin)
            await _threads(bot, twin)
            await _interactions(bot, twin)
            _people(twin)
            await _direct(twin)
            await _settled(bot, twin)
        finally:
            await bot.close()
            running.cancel()


async def _messages(bot: _Bot, twin: DiscordTwin) -> None:
    channel = await bot.fetch_channel(int(GENERAL))
    assert isinstance(channel, discord.TextChannel)
    verbs.type_text(twin.world, {"text": f"hello <@{BOT}>", "chat": GENERAL, "person": BEN})
    embed = discord.Embed(
        title="t", description="d", url="https://example.com", colour=1, timestamp=discord.utils.utcnow()
    )
    embed.add_field(name="n", value="v").set_footer(text="f").set_author(name="a").set_image(
        url="https://example.com/i"
    )
    files = [
        discord.File(io.BytesIO(_PNG), "p.png", description="a picture"),
        discord.File(io.BytesIO(b"x"), "a b.txt"),
    ]
    sent = await channel.send("**text** <@200000000000000002>", embed=embed, files=files, nonce="n", view=_Buttons())
    reply = await sent.reply("re", mention_author=False, allowed_mentions=discord.AllowedMentions.none())
    await reply.edit(content="re, edited", attachments=[])
    await reply.add_reaction("👍")
    verbs.react(twin.world, {"message_id": str(reply.id), "emoji": "👍"})
    verbs.react(twin.world, {"message_id": str(reply.id), "emoji": "👍", "take": True})
    async for _ in (await channel.fetch_message(reply.id)).reactions[0].users():
        pass
    await reply.clear_reaction("👍")
    await reply.add_reaction("🎉")
    await reply.remove_reaction("🎉", discord.Object(int(BOT)))
    await reply.clear_reactions()
    await reply.pin()
    async for _ in channel.pins():
        pass
    await reply.unpin()
    await channel.typing()
    async for _ in channel.history(limit=10):
        pass
    await channel.delete_messages([await channel.send("a"), await channel.send("b")])
    await reply.delete()
    ben = await bot.fetch_user(int(BEN))
    await (await ben.create_dm()).send("direct")
    verbs.upload(twin.world, {"name": "v.ogg", "content": "AAAA", "kind": "voice"})
    verbs.upload(twin.world, {"name": "wave", "content": "", "kind": "sticker"})
    verbs.forward(twin.world, {"message_id": str(sent.id), "person": BEN})
    layout = discord.ui.LayoutView()
    layout.add_item(discord.ui.Container(discord.ui.TextDisplay("shown"), discord.ui.Separator()))
    await channel.send(view=layout)


async def _threads(bot: _Bot, twin: DiscordTwin) -> None:
    channel = await bot.fetch_channel(int(GENERAL))
    assert isinstance(channel, discord.TextChannel)
    thread = await (await channel.send("topic")).create_thread(name="talk", auto_archive_duration=60)
    await thread.send("in it")
    await thread.add_user(discord.Object(int(BEN)))
    await thread.fetch_members()
    await thread.fetch_member(int(BEN))
    private = await channel.create_thread(name="own", auto_archive_duration=1440)
    await private.leave()
    await (await channel.create_thread(name="open", type=discord.ChannelType.public_thread)).join()
    await thread.edit(name="talked", archived=True)
    async for _ in channel.archived_threads():
        pass
    assert bot.guilds[0] is not None
    await bot.guilds[0].active_threads()
    verbs.type_text(twin.world, {"text": "planned", "thread": THREAD, "person": BEN})


async def _interactions(bot: _Bot, twin: DiscordTwin) -> None:
    @bot.tree.command(name="ask", description="Ask me")
    @app_commands.describe(question="What?")
    async def ask(interaction: discord.Interaction, question: str, loud: bool = False) -> None: ...

    await bot.tree.sync()
    await bot.tree.fetch_commands()
    world, channel = twin.world, bot.get_channel(int(GENERAL))
    assert isinstance(channel, discord.TextChannel)
    await channel.send("choose", view=_Buttons())
    await _answered(bot, lambda: pressing.press(world, {"label": "Red", "chat": GENERAL}))
    await _answered(bot, lambda: pressing.press(world, {"label": "Update", "chat": GENERAL, "person": BEN}))
    await channel.send("again", view=_Buttons())
    shown = await _answered(bot, lambda: pressing.press(world, {"label": "Form", "chat": GENERAL}))
    await _answered(
        bot, lambda: pressing.submit(world, {"interaction_id": shown["interaction_id"], "values": {"why": "so"}})
    )
    await _answered(bot, lambda: pressing.command(world, {"name": "ask", "text": "what"}))
    option = {"type": 3, "name": "word", "description": "A word", "autocomplete": True}
    async with _direct_calls(twin) as call:
        await call("POST", f"/applications/{BOT}/commands", {"name": "say", "description": "x", "options": [option]})
    await _answered(bot, lambda: pressing.autocomplete(world, {"name": "say", "option": "word", "text": "a"}))


async def _answered(bot: _Bot, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    bot.answered.clear()
    done = act()
    async with asyncio.timeout(STEP_WITHIN_S):
        await bot.answered.wait()
    return done


def _people(twin: DiscordTwin) -> None:
    world = twin.world
    said = verbs.type_text(world, {"text": "mine", "chat": GENERAL})["message_ids"][0]
    verbs.edit_text(world, {"message_id": said, "text": "still mine"})
    comings.typing(world, {"person": BEN, "chat": GENERAL})
    comings.thread(world, {"name": "side", "message_id": said})
    verbs.delete(world, {"message_id": said})
    carl = comings.join(world, {"person": "Carl"})["person"]
    comings.leave(world, {"person": carl})
    made = comings.channel(world, {"name": "new"})["chat"]
    comings.slow(world, {"chat": made, "seconds": 5})
    comings.channel(world, {"chat": made, "gone": True})
    comings.archive(world, {"thread": THREAD})
    comings.archive(world, {"thread": THREAD, "archived": False})


async def _direct(twin: DiscordTwin) -> None:
    """Call what discord.py has no method for, or only for others; and what is refused."""
    say = f"/channels/{GENERAL}/messages"
    commands = f"/applications/{BOT}/commands"
    async with _direct_calls(twin) as call:
        for path in ("/users/@me", "/users/@me/guilds", "/gateway", "/gateway/bot", "/applications/@me"):
            await call("GET", path)
        for path in ("", "/channels", "/roles", "/members?limit=10", f"/members/{ANNA}"):
            await call("GET", f"/guilds/{GUILD}{path}")
        await call("GET", f"/guilds/{GUILD}?with_counts=true")
        kept = (await call("GET", commands))[0]
        await call("GET", f"{commands}/{kept['id']}")
        await call("PATCH", f"{commands}/{kept['id']}", {"description": "Other"})
        await call("DELETE", f"{commands}/{kept['id']}")
        here = f"/applications/{BOT}/guilds/{GUILD}/commands"
        made = await call("POST", here, {"name": "here", "description": "x"})
        await call("PUT", here, [{"name": "here", "description": "y"}])
        await call("GET", here)
        await call("GET", f"{here}/{made['id']}")
        await call("PATCH", f"{here}/{made['id']}", {"description": "z"})
        await call("DELETE", f"{here}/{made['id']}")
        pinned = (await call("POST", say, {"content": "pin"}))["id"]
        await call("PUT", f"/channels/{GENERAL}/pins/{pinned}")
        await call("GET", f"/channels/{GENERAL}/pins")
        await call("DELETE", f"/channels/{GENERAL}/pins/{pinned}")
        await call("GET", f"/channels/{GENERAL}/threads/archived/private")
        thumb = f"{say}/{pinned}/reactions/%F0%9F%91%8D"
        verbs.react(twin.world, {"message_id": pinned, "emoji": "👍", "person": BEN})
        await call("DELETE", f"{thumb}/{BEN}")
        own = (await call("POST", f"/channels/{GENERAL}/threads", {"name": "private"}))["id"]
        await call("PUT", f"/channels/{own}/thread-members/{BEN}")
        await call("DELETE", f"/channels/{own}/thread-members/{BEN}")
        comings.permission(twin.world, {"chat": GENERAL, "allow": ["MANAGE_THREADS"]})
        await call("DELETE", f"/channels/{own}")
        for body in ({}, {"content": "x" * 2001}, {"embeds": [{"title": "t" * 257}]}):
            await call("POST", say, body)
        await call("GET", "/channels/1")
        await call("PATCH", f"/channels/{GENERAL}", {"name": "x"})
        await call("POST", "/interactions/1/x/callback", {"type": 4})
        twin.faults.add({"kind": "flood", "method": "get_my_user"})
        await call("GET", "/users/@me")
        twin.world.token, old = "other", twin.world.token
        await call("GET", "/users/@me", token=old)
        twin.world.token = old


class _direct_calls:
    """The API by hand."""

    def __init__(self, twin: DiscordTwin) -> None:
        self._twin = twin
        self._session = aiohttp.ClientSession()
        self._context = ssl.create_default_context(cafile=str(twin.ca_file))

    async def __aenter__(self) -> Callable[..., Any]:
        return self._call

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def _call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        headers = {"Authorization": f"Bot {token or self._twin.world.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        url = f"{self._twin.address}/api/v10{path}"
        async with self._session.request(method, url, headers=headers, data=content, ssl=self._context) as answer:
            text = await answer.text()
            return json.loads(text) if text else None


async def _settled(bot: _Bot, twin: DiscordTwin) -> None:
    """Return when the client has been sent everything: a last message is echoed to it after all others."""
    async with _direct_calls(twin) as call:
        await call("POST", f"/channels/{GENERAL}/messages", {"content": _LAST_WORDS})
    async with asyncio.timeout(STEP_WITHIN_S):
        await bot.heard_the_end.wait()


ALL_OPERATIONS = frozenset(route.operation for route in ROUTES)
