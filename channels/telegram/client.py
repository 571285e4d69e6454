"""The connection to Telegram: the only file that imports python-telegram-bot.

Receiving goes through the SDK's public hook: the Updater awaits `update_queue.put()` for each update before it asks
for the next ones, and our `put` returns when the raw update is stored. The poll's own request class takes notes
(`poll_notes.py`): the SDK stops polling on a refused token without telling anybody, and this file builds it anew.
What to say is `encode.py`'s business.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    LinkPreviewOptions,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.ext import Updater
from telegram.request import HTTPXRequest

from channels.channel import DeliveryFailed, MenuEntry
from channels.markdown.telegram import Entity
from channels.telegram.decode import envelope, event_id
from channels.telegram.download import DOWNLOAD_LIMIT_BYTES, download_file, file_too_large, http_options
from channels.telegram.encode import ApiCall, Place, SendFile, SendText, simpler_call
from channels.telegram.failures import Died, Migrated, SecretMissing, StoreFailed, TokenRefused, Unreachable
from channels.telegram.menus import Scope
from channels.telegram.poll_notes import PollNotes
from channels.telegram.sdk_log import redact, tame_sdk_loggers
from channels.telegram.timings import Timings
from protocol.ids import PlatformMessageId
from protocol.message import Button

log = logging.getLogger(__name__)

# The SDK's announced future: seconds as timedelta. Without it each 429 makes it warn.
os.environ.setdefault("PTB_TIMEDELTA", "true")

OFFICIAL_URL = "https://api.telegram.org"
UPDATE_KINDS = ("message", "edited_message", "callback_query")
MAX_PENDING_ANSWERS = 1000
FIRST_BACKOFF_S = 0.5

FetchSecret = Callable[[], Awaitable[str]]
Accept = Callable[[str, bytes], Awaitable[None]]
"""Takes an event's id and raw form; returns when it is stored."""


class _PollRequest(HTTPXRequest):
    """The request of getUpdates, which takes notes."""

    def __init__(self, notes: PollNotes, url: str, ended: asyncio.Future[None]) -> None:
        super().__init__(connection_pool_size=1, httpx_kwargs=http_options(url))
        self._notes = notes
        self._ended = ended
        self._now = asyncio.get_running_loop().time

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        if self._ended.done():
            return 200, b'{"ok":true,"result":[]}'  # the SDK's farewell poll, with a token that is of no use
        self._notes.note_begun(self._now())
        try:
            status, payload = await super().do_request(*arguments, **options)
        except TelegramError as error:
            self._notes.note_failed(str(error), self._now())
            raise
        if status in (401, 404) and not self._ended.done():
            self._ended.set_exception(TokenRefused())
        left_out = self._notes.left_out
        seen = self._notes.note_answer(status, payload, self._now())
        if self._notes.left_out > left_out:
            log.warning("updates without a number were left out", extra={"action": "telegram_update_malformed"})
        return status, seen


class _StoringQueue(asyncio.Queue[object]):
    """The SDK's update queue: putting an update in it is storing it."""

    def __init__(self, store: Callable[[int], Awaitable[None]], ended: asyncio.Future[None]) -> None:
        super().__init__()
        self._store = store
        self._ended = ended

    async def put(self, item: Any) -> None:
        try:
            await self._store(item.update_id)
        except Exception as error:
            if not self._ended.done():  # the SDK alone would only stop polling, without a word
                self._ended.set_exception(StoreFailed())
                self._ended.exception().__cause__ = error  # type: ignore[union-attr]  # just set
            raise


class TelegramClient:
    """One bot account."""

    def __init__(self, fetch_secret: FetchSecret, url: str = "", timings: Timings | None = None) -> None:
        """`url` is the server's, for a self-hosted one or a twin; empty: Telegram's own."""
        tame_sdk_loggers()
        self._fetch_secret = fetch_secret
        self._url = url
        self._timings = timings or Timings()
        self._bot: Bot | None = None
        self._polls: PollNotes | None = None
        self._ready = asyncio.Event()
        self._problem = "not connected yet"
        self.when_connected: Callable[[], None] = lambda: None
        """Called at each connection."""
        self._answers: asyncio.Queue[str] = asyncio.Queue(maxsize=MAX_PENDING_ANSWERS)

    def health(self) -> str:
        """Return `ok`, or in a few words what is wrong."""
        return self._problem if self._polls is None else self._polls.problem or "ok"

    # Receiving

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled. Raises only what `accept` raised, in an ExceptionGroup."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._answer_presses())
            tasks.create_task(self._stay_connected(accept))

    async def _stay_connected(self, accept: Accept) -> None:
        loop = asyncio.get_running_loop()
        backoff_s = FIRST_BACKOFF_S
        while True:
            began_at = loop.time()
            wait_s = await self._serve_until_lost(accept)
            if wait_s is None:
                was_up = loop.time() - began_at > self._timings.longest_backoff_s
                backoff_s = FIRST_BACKOFF_S if was_up else min(backoff_s * 2, self._timings.longest_backoff_s)
                wait_s = min(backoff_s, self._timings.longest_backoff_s)
            text = "telegram not connected: %s; next try in %.1f s"
            log.warning(text, self._problem, wait_s, extra={"action": "telegram_disconnected"})
            await asyncio.sleep(wait_s)

    async def _serve_until_lost(self, accept: Accept) -> float | None:
        """Return the seconds to wait before the next try, None for the usual backoff."""
        try:
            await self._serve(accept)
        except (TokenRefused, InvalidToken):
            self._problem = "token refused"
            return self._timings.token_retry_s
        except StoreFailed as failed:
            raise failed.__cause__ or failed from None
        except RetryAfter as error:
            self._problem = "Telegram asks for a pause"
            return _seconds(error)
        except (TelegramError, TimeoutError, Died, SecretMissing) as error:
            self._problem = redact(str(error)) or "no answer"
        return None

    async def _serve(self, accept: Accept) -> None:
        """Build a client with the token of now, and poll until it dies."""
        token = await self._token()
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        notes = PollNotes(self._timings.poll_s + self._timings.poll_slack_s, asyncio.get_running_loop().time())
        bot = _build_bot(token, self._url, _PollRequest(notes, self._url, ended))

        async def store(update_id: int) -> None:
            update = notes.raw_updates[update_id]
            await accept(event_id(bot.id, update_id), envelope(bot.id, bot.username, update))
            self._note_press(update)

        updater = Updater(bot, _StoringQueue(store, ended))
        try:
            async with asyncio.timeout(self._timings.connect_s):
                await updater.initialize()
                await updater.start_polling(
                    timeout=timedelta(seconds=self._timings.poll_s),
                    allowed_updates=UPDATE_KINDS,
                    error_callback=_noted_by_the_request,
                )
            self._bot, self._polls = bot, notes
            self._ready.set()
            self.when_connected()
            log.info("telegram connected as @%s", bot.username, extra={"action": "telegram_connected"})
            await _until_dead(notes, ended)
        finally:
            self._bot = self._polls = None
            self._problem = "not connected"
            self._ready.clear()
            await self._close(updater, bot)

    async def _token(self) -> str:
        try:
            async with asyncio.timeout(self._timings.connect_s):
                return await self._fetch_secret()
        except Exception as error:  # the vault is another process: whatever it says, a channel waits for it
            raise SecretMissing(f"the bot token could not be had: {str(error) or type(error).__name__}") from error

    async def _close(self, updater: Updater, bot: Bot) -> None:
        # The updater closes its bot only if it began well; closing a closed one is nothing.
        for step in (updater.stop, updater.shutdown, bot.shutdown):
            with suppress(TelegramError, TimeoutError, RuntimeError, StoreFailed):
                async with asyncio.timeout(self._timings.close_s):
                    await step()

    def _note_press(self, update: Any) -> None:
        press = update.get("callback_query")
        if isinstance(press, dict) and isinstance(press.get("id"), str) and not self._answers.full():
            self._answers.put_nowait(press["id"])

    async def _answer_presses(self) -> None:
        """Tell Telegram at once that a press was taken: until then its button shows a clock."""
        while True:
            press_id = await self._answers.get()
            with suppress(DeliveryFailed):
                async with self._connection(self._timings.send_s) as bot:
                    await bot.answer_callback_query(press_id)

    # Sending

    async def perform(self, call: ApiCall) -> int:
        """Make the call; return the new message's id. Raise DeliveryFailed.

        After a timeout the message may exist all the same: Telegram takes no key that would tell.
        """
        try:
            return await self._perform(call)
        except Migrated as moved:
            log.warning("a chat has a new id: %d", moved.chat_id, extra={"action": "telegram_chat_migrated"})
            return await self._perform(replace(call, place=Place(chat_id=moved.chat_id)))
        except DeliveryFailed as failed:
            simpler = simpler_call(call, failed.reason)
            if simpler is None:
                raise
            log.warning("sent in a simpler form: %s", failed.reason, extra={"action": "telegram_simplified"})
            return await self._perform(simpler)

    async def _perform(self, call: ApiCall) -> int:
        match call:
            case SendText():
                return await self._send_text(call)
            case SendFile():
                return await self._send_file(call)

    async def _send_text(self, call: SendText) -> int:
        async with self._connection(self._timings.send_s) as bot:
            message = await bot.send_message(
                call.place.chat_id,
                call.text,
                entities=_entities(call.entities),
                message_thread_id=call.place.topic_id,
                reply_parameters=_reply(call.reply_to),
                reply_markup=_keyboard(call.button_rows),
                # A preview makes Telegram fetch the address: words of an agent must not cause requests.
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        return message.message_id

    async def _send_file(self, call: SendFile) -> int:
        async with self._connection(self._timings.upload_s) as bot:
            with _opened(call) as source:
                method = bot.send_photo if call.as_photo else bot.send_document
                message = await method(
                    call.place.chat_id,
                    InputFile(source, filename=call.name, read_file_handle=False),
                    caption=call.caption or None,
                    caption_entities=_entities(call.entities),
                    message_thread_id=call.place.topic_id,
                    reply_parameters=_reply(call.reply_to),
                    reply_markup=_keyboard(call.button_rows),
                    read_timeout=self._timings.upload_s,
                )
        return message.message_id

    async def edit_text(self, message_id: int, call: SendText) -> None:
        """Have a message of ours say what the call says; raise DeliveryFailed."""
        try:
            async with self._connection(self._timings.send_s) as bot:
                await bot.edit_message_text(
                    call.text,
                    call.place.chat_id,
                    message_id,
                    entities=_entities(call.entities),
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                )
        except DeliveryFailed as failed:
            if "not modified" not in failed.reason:  # it says that already
                raise

    async def take_buttons(self, place: Place, message_id: int) -> None:
        """Have a message of ours stand without its buttons; raise DeliveryFailed."""
        try:
            async with self._connection(self._timings.send_s) as bot:
                await bot.edit_message_reply_markup(place.chat_id, message_id)
        except DeliveryFailed as failed:
            if "not modified" not in failed.reason:  # it has none already
                raise

    async def send_typing(self, place: Place) -> None:
        """Show `typing…` for five seconds, if Telegram takes it just now."""
        if self._bot is None:
            return
        with suppress(DeliveryFailed):
            async with self._connection(self._timings.send_s) as bot:
                await bot.send_chat_action(place.chat_id, "typing", message_thread_id=place.topic_id)

    # Showing

    async def send_line(self, place: Place, text: str) -> PlatformMessageId:
        """Send a line that makes no phone ring; return its id."""
        async with self._connection(self._timings.show_s) as bot:
            message = await bot.send_message(
                place.chat_id,
                text,
                message_thread_id=place.topic_id,
                disable_notification=True,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        return PlatformMessageId(str(message.message_id))

    async def edit_line(self, place: Place, message: PlatformMessageId, text: str) -> None:
        async with self._connection(self._timings.show_s) as bot:
            await bot.edit_message_text(
                text, place.chat_id, int(message), link_preview_options=LinkPreviewOptions(is_disabled=True)
            )

    async def delete_line(self, place: Place, message: PlatformMessageId) -> None:
        async with self._connection(self._timings.show_s) as bot:
            await bot.delete_message(place.chat_id, int(message))

    async def set_mark(self, place: Place, message: PlatformMessageId, emoji: str, *, is_on: bool) -> None:
        await self.set_reaction(place, int(message), emoji if is_on else "")

    async def set_reaction(self, place: Place, message_id: int, emoji: str) -> None:
        reactions = [ReactionTypeEmoji(emoji)] if emoji else []
        async with self._connection(self._timings.show_s) as bot:
            await bot.set_message_reaction(place.chat_id, message_id, reactions)

    async def set_commands(self, scope: Scope, entries: Sequence[MenuEntry]) -> None:
        """Have the menu of a chat, or of all of a kind, offer commands; none: what it would without."""
        commands = [BotCommand(entry.name, entry.what) for entry in entries]
        async with self._connection(self._timings.show_s) as bot:
            if commands:
                await bot.set_my_commands(commands, scope=_scope(scope))
            else:
                await bot.delete_my_commands(scope=_scope(scope))

    async def download(self, file_id: str, into: Path, max_bytes: int) -> int:
        """Stream a file into a new one; return its bytes. Raise DeliveryFailed; then nothing is left behind."""
        limit_bytes = min(max_bytes, DOWNLOAD_LIMIT_BYTES)
        async with self._connection(self._timings.upload_s) as bot:
            file = await bot.get_file(file_id)
            if file.file_size is not None and file.file_size > limit_bytes:
                raise file_too_large(limit_bytes)
            return await download_file(file.file_path or "", into, limit_bytes, self._timings.send_s)

    @asynccontextmanager
    async def _connection(self, timeout_s: float) -> AsyncIterator[Bot]:
        """Lend the bot as soon as it is connected; what Telegram refuses in the block becomes DeliveryFailed."""
        try:
            async with asyncio.timeout(self._timings.ready_s):
                await self._ready.wait()
        except TimeoutError:
            raise DeliveryFailed(f"Telegram: {self.health()}") from None
        bot = self._bot
        if bot is None:
            raise DeliveryFailed(f"Telegram: {self.health()}")
        try:
            async with asyncio.timeout(timeout_s):
                yield bot
        except TimeoutError as error:
            raise DeliveryFailed(f"Telegram gave no answer in {timeout_s:.0f} s") from error
        except TelegramError as error:
            raise _delivery_failed(error) from error


async def check_token(token: str, url: str = "", timings: Timings | None = None) -> str:
    """Return the name of the bot that the token belongs to. Raise TokenRefused or Unreachable."""
    tame_sdk_loggers()
    timings = timings or Timings()
    try:
        async with asyncio.timeout(timings.connect_s), _build_bot(token, url) as bot:
            return f"@{bot.username}"
    except InvalidToken:
        raise TokenRefused from None
    except (TelegramError, TimeoutError) as error:
        raise Unreachable(f"no answer from {url or OFFICIAL_URL}: {redact(str(error)) or 'timeout'}") from None


def _build_bot(token: str, url: str, poll: _PollRequest | None = None) -> Bot:
    server = (url or OFFICIAL_URL).rstrip("/")
    return Bot(
        token,
        base_url=f"{server}/bot",
        base_file_url=f"{server}/file/bot",
        get_updates_request=poll,
        request=HTTPXRequest(
            connection_pool_size=16,
            connect_timeout=10.0,
            read_timeout=20.0,
            write_timeout=20.0,
            pool_timeout=20.0,
            httpx_kwargs=http_options(url),
        ),
    )


async def _until_dead(notes: PollNotes, ended: asyncio.Future[None]) -> None:
    """Return never: raise TokenRefused, StoreFailed, or Died when no poll has begun or ended for too long."""
    now = asyncio.get_running_loop().time
    while not ended.done():
        left_s = notes.quiet_until - now()
        if left_s <= 0:
            ended.cancel()
            raise Died("polling fell silent")
        await asyncio.wait((ended,), timeout=left_s)
    await ended


def _noted_by_the_request(error: TelegramError) -> None:
    del error


def _seconds(error: RetryAfter) -> float:
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def _delivery_failed(error: TelegramError) -> DeliveryFailed:
    reason = f"Telegram: {redact(str(error))}"
    match error:
        case ChatMigrated():
            return Migrated(error.new_chat_id)
        case RetryAfter():
            return DeliveryFailed(reason, retry_after_s=_seconds(error))
        case Forbidden() | BadRequest():
            return DeliveryFailed(reason, permanent=True)
        case InvalidToken():
            return DeliveryFailed("Telegram: token refused")
        case _:
            return DeliveryFailed(reason)


def _scope(scope: Scope) -> BotCommandScope:
    if isinstance(scope, Place):
        return BotCommandScopeChat(scope.chat_id)
    return BotCommandScopeAllPrivateChats() if scope == "direct" else BotCommandScopeAllGroupChats()


def _opened(call: SendFile) -> IO[bytes]:
    if not call.path:
        return io.BytesIO(call.content)
    try:
        return Path(call.path).open("rb")
    except OSError as error:
        raise DeliveryFailed(f"the file {call.name} cannot be read: {error.strerror}", permanent=True) from error


def _entities(entities: tuple[Entity, ...]) -> list[MessageEntity] | None:
    return [
        MessageEntity(
            entity.type, entity.offset, entity.length, url=entity.url or None, language=entity.language or None
        )
        for entity in entities
    ] or None


def _reply(message_id: int | None) -> ReplyParameters | None:
    return None if message_id is None else ReplyParameters(message_id, allow_sending_without_reply=True)


def _keyboard(rows: tuple[tuple[Button, ...], ...]) -> InlineKeyboardMarkup | None:
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(button.label, callback_data=button.value) for button in row] for row in rows]
    )
