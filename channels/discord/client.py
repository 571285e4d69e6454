"""What we ask of discord.py, and how it is asked: the only file that imports it.

Receiving goes through the SDK's public hook `on_socket_raw_receive`: its tasks begin in the order of the frames, and
their first statement hands the frame on. Its errors leave this file as ours. When what is called is `connection.py`'s
business, what is said `encode.py`'s.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import discord
from discord import app_commands
from discord.gateway import KeepAliveHandler

from channels.channel import DeliveryFailed
from channels.discord.encode import Place, Rows, SendMessage, Upload
from channels.discord.facts import BotFacts, facts_of, intents_page
from channels.discord.failures import Died, IntentsRefused, ShutOut, TokenRefused, Unreachable
from channels.discord.menus import Command
from channels.discord.redirect import Server, build_connector, parse_url
from channels.discord.refusals import Refused
from channels.discord.sdk_log import redact, tame_sdk_loggers
from channels.discord.timings import Timings
from channels.discord.traces import Paused, build_trace, seconds_in
from protocol.ids import PlatformMessageId

log = logging.getLogger(__name__)

BAD_TOKEN = 4004
"""The gateway's close code."""
LONGEST_SDK_PAUSE_S = 30.0
"""The least that the SDK may be told: a longer pause it raises instead of sleeping."""
# We do without voice: the SDK need not warn that we do.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
NOBODY = discord.AllowedMentions.none()


class _Sdk(discord.Client):
    """The SDK's client, which keeps nothing that we do not need."""

    def __init__(self, server: Server | None, intents: discord.Intents, identify_pause_s: float) -> None:
        self.connector = build_connector(server)
        super().__init__(
            intents=intents,
            connector=self.connector,
            http_trace=build_trace(),
            enable_debug_events=True,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            allowed_mentions=NOBODY,
            max_ratelimit_timeout=LONGEST_SDK_PAUSE_S,
        )
        self.commands = app_commands.CommandTree(self)
        self._identify_pause_s = identify_pause_s
        self.heard: Callable[[str], None] = lambda _: None
        self.lost: Callable[[], None] = lambda: None

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Let Discord's pause between two new sessions go by."""
        del shard_id
        if not initial:
            await asyncio.sleep(self._identify_pause_s)

    async def on_socket_raw_receive(self, message: str) -> None:
        self.heard(message)

    async def on_disconnect(self) -> None:
        self.lost()

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Tell Discord at once that a press or a command was taken: after 3 s it tells the person that it was not."""
        if interaction.type is discord.InteractionType.component:
            await interaction.response.defer()
        elif interaction.type is discord.InteractionType.application_command:
            asked: dict[str, Any] = dict(interaction.data or {})
            await interaction.response.send_message(f"`/{asked.get('name')}` …", ephemeral=True)


class Gateway:
    """One client of the SDK, with a gateway and the calls. Each call raises what `failure_of` makes of it."""

    def __init__(self, url: str, timings: Timings, facts: BotFacts | None = None) -> None:
        """`facts`: what is known of the bot, before the gateway is opened. Raise Unreachable for a url of none."""
        tame_sdk_loggers()
        self._facts = facts
        self._close_s = timings.close_s
        self._connecting: asyncio.Task[None] | None = None
        """Where the SDK's own loop runs."""
        self._sdk = _Sdk(parse_url(url), _intents(facts), timings.identify_pause_s)

    def listen(self, heard: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Have each frame be told, and that the socket is gone."""
        self._sdk.heard, self._sdk.lost = heard, lost

    async def login(self, token: str) -> BotFacts:
        """Return what Discord says about the bot. Raise TokenRefused, ShutOut or Unreachable."""
        try:
            await self._sdk.login(token)
        except discord.LoginFailure:
            raise TokenRefused from None
        except discord.HTTPException as error:
            if _is_ban(error):
                raise ShutOut from None
            raise Unreachable(f"Discord: {error.status} {redact(error.text)[:200]}".strip()) from None
        except TimeoutError:
            raise
        except Exception as error:  # the connection's, or the SDK's at an answer that is not Discord's
            raise Unreachable(f"no answer from Discord: {redact(str(error)) or type(error).__name__}") from error
        application, user = self._sdk.application, self._sdk.user
        if application is None or user is None:
            raise Unreachable("Discord said nothing about the bot")
        return facts_of(name=user.name, bot_id=user.id, application_id=application.id, flags=application.flags.value)

    async def receive(self) -> None:
        """Receive until the gateway ends; raise TokenRefused, IntentsRefused or Died. Then, or cancelled, it is
        closed."""
        try:
            # Cancelled, the SDK would leave its heartbeat's thread behind; closed, it ends by itself.
            await asyncio.shield(self._connect())
        except discord.PrivilegedIntentsRequired:
            raise IntentsRefused(_refused_intents(self._facts)) from None
        except discord.ConnectionClosed as closed:
            if closed.code == BAD_TOKEN:
                raise TokenRefused from None
            raise Died(f"the gateway was closed with {closed.code}") from None
        except Exception as error:  # the SDK ends at whatever it does not expect
            raise Died(redact(str(error)) or type(error).__name__) from error
        finally:
            await self.close()
            if self._connecting is not None:
                await asyncio.wait((self._connecting,), timeout=self._close_s)
                self._connecting.cancel()
        raise Died("the gateway ended")

    async def _connect(self) -> None:
        self._connecting = asyncio.current_task()
        await self._sdk.connect()

    async def close(self) -> None:
        """Say goodbye, if the other side listens; the sockets are closed in any case."""
        try:
            async with asyncio.timeout(self._close_s):
                await self._sdk.close()
        except (TimeoutError, OSError, RuntimeError) as error:
            log.debug("a client was not closed well: %s", type(error).__name__)
        finally:
            await self._close_forgotten()
            await self._sdk.connector.close()

    async def _close_forgotten(self) -> None:
        """Close what was cut off between hello and session: the SDK forgets such a socket, whose thread would call a
        loop that may have ended."""
        for thread in threading.enumerate():
            if isinstance(thread, KeepAliveHandler) and thread.ws._connection is self._sdk._connection:
                thread.stop()
                with suppress(TimeoutError, OSError, RuntimeError):
                    async with asyncio.timeout(self._close_s):
                        await thread.ws.close()

    async def post(self, call: SendMessage) -> None:
        """Send a message; with a nonce that was used before, nothing more is posted."""
        more: dict[str, Any] = {}
        if call.uploads:
            more["files"] = [_file(upload) for upload in call.uploads]
        if call.rows:
            more["view"] = _view(call.rows)
        if call.nonce:
            more["nonce"] = call.nonce
        if call.reply_to is not None:
            more["reference"] = discord.MessageReference(
                message_id=call.reply_to, channel_id=call.place.channel, fail_if_not_exists=False
            )
        place = self._sdk.get_partial_messageable(call.place.channel)
        # A preview makes Discord fetch the address: words of an agent must not cause requests.
        await place.send(call.content or None, suppress_embeds=True, allowed_mentions=NOBODY, **more)

    async def change(self, place: Place, message: PlatformMessageId, content: str | None, rows: Rows | None) -> None:
        changed: dict[str, Any] = {} if content is None else {"content": content}
        if rows is not None:
            changed["view"] = _view(rows) if rows else None
        await self._partial(place, message).edit(allowed_mentions=NOBODY, **changed)

    async def remove(self, place: Place, message: PlatformMessageId) -> None:
        with suppress(discord.NotFound):
            await self._partial(place, message).delete()

    async def read(self, place: Place, message: PlatformMessageId) -> None:
        await self._partial(place, message).fetch()

    async def react(self, place: Place, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        partial = self._partial(place, message)
        if is_on:
            await partial.add_reaction(emoji)
        elif self._sdk.user is not None:
            await partial.remove_reaction(emoji, self._sdk.user)

    async def type(self, place: Place) -> None:
        await self._sdk.get_partial_messageable(place.channel).typing()

    async def set_commands(self, commands: Sequence[Command]) -> None:
        tree = self._sdk.commands
        tree.clear_commands(guild=None)
        for command in commands:
            tree.add_command(_slash_command(command))
        await tree.sync()

    async def history(self, channel: int, after: int, limit: int) -> None:
        there = self._sdk.get_partial_messageable(channel)
        async for _ in there.history(limit=limit, after=discord.Object(after), oldest_first=True):
            pass

    async def find_room(self, channel: int) -> None:
        await self._sdk.fetch_channel(channel)

    def _partial(self, place: Place, message: PlatformMessageId) -> discord.PartialMessage:
        return self._sdk.get_partial_messageable(place.channel).get_partial_message(int(message))


async def check_token(token: str, url: str = "", timings: Timings | None = None) -> BotFacts:
    """Return what Discord says about the bot that the token belongs to. Raise TokenRefused, ShutOut or Unreachable."""
    timings = timings or Timings()
    gateway = Gateway(url, timings)
    try:
        async with asyncio.timeout(timings.connect_s):
            return await gateway.login(token)
    except TimeoutError:
        raise Unreachable(f"no answer from {url or 'Discord'}") from None
    finally:
        await gateway.close()


def failure_of(error: Exception) -> Exception:
    """Return in our words what a call raised: Refused, Paused, ShutOut, DeliveryFailed."""
    if isinstance(error, discord.RateLimited):
        return Paused(error.retry_after, is_global=False)
    if isinstance(error, discord.HTTPException):
        if _is_ban(error):
            return ShutOut()
        if error.status == 429:
            return _pause_of(error)
        return Refused(status=error.status, code=error.code, text=redact(error.text))
    if isinstance(error, DeliveryFailed):
        return error
    return DeliveryFailed(f"Discord: {redact(str(error)) or type(error).__name__}")


def _is_ban(error: discord.HTTPException) -> bool:
    """Whether a 429 is not Discord's own, but a page of Cloudflare's."""
    headers = error.response.headers
    is_discords = "Via" in headers and headers.get("Content-Type", "").startswith("application/json")
    return error.status == 429 and not is_discords


def _pause_of(error: discord.HTTPException) -> Paused:
    """Return the pause that Discord asks for with the last of the 429s after which the SDK tries no more."""
    headers = error.response.headers
    return Paused(seconds_in(headers.get("Retry-After")) or 1.0, is_global="X-RateLimit-Global" in headers)


def _refused_intents(facts: BotFacts | None) -> str:
    if facts is None:
        return "Discord refuses an intent: see the Developer Portal"
    wanted = " or ".join(facts.intents)
    return f"Discord refuses the {wanted} intent: switch it on at {intents_page(facts.application_id)}"


def _intents(facts: BotFacts | None) -> discord.Intents:
    return discord.Intents(
        guilds=True,
        guild_messages=True,
        dm_messages=True,
        guild_reactions=True,
        dm_reactions=True,
        message_content=facts is not None and facts.has_message_content,
        members=facts is not None and facts.has_members,
    )


def _file(upload: Upload) -> discord.File:
    if not upload.path:
        return discord.File(io.BytesIO(upload.content), filename=upload.name)
    try:
        return discord.File(upload.path, filename=upload.name)
    except OSError as error:
        raise DeliveryFailed(f"the file {upload.name} cannot be read: {error.strerror}", permanent=True) from error


def _view(rows: Rows) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for number, row in enumerate(rows):
        for button in row:
            view.add_item(discord.ui.Button(label=button.label, custom_id=button.value, row=number))
    view.stop()  # the SDK need not remember it: presses come as events
    return view


def _slash_command(command: Command) -> app_commands.Command[Any, ..., None]:
    async def taken(interaction: discord.Interaction, text: str = "") -> None:
        """Nothing: the event is on its way to the store."""
        del interaction, text

    return app_commands.Command(
        name=command.name,
        description=command.what,
        callback=taken,
        allowed_contexts=app_commands.AppCommandContext(
            guild=command.in_many, dm_channel=command.in_direct, private_channel=False
        ),
    )
