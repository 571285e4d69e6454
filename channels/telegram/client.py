"""One bot account, with one token: the only file that imports python-telegram-bot.

Receiving goes through the SDK's public hook: the Updater awaits `update_queue.put()` for each update before it asks
for the next ones, and our `put` returns when the raw update is stored. The poll's own request class takes notes
(`poll_notes.py`): the SDK stops polling on a refused token without telling anybody. `connection.py` builds an account
anew when it is lost; every error of the SDK is one of `failures.py` beyond this file.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

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
    InputMediaDocument,
    InputMediaPhoto,
    LinkPreviewOptions,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.ext import Updater
from telegram.request import HTTPXRequest

from channels.channel import DeliveryFailed, MenuEntry
from channels.markdown.telegram import Entity, TelegramText
from channels.new_file import file_too_large
from channels.telegram.calls import Rows, SendFiles, SendText
from channels.telegram.decode import envelope, event_id
from channels.telegram.download import DOWNLOAD_LIMIT_BYTES, download_file, http_options
from channels.telegram.failures import (
    AskedToWait,
    Died,
    Migrated,
    StoreFailed,
    TokenRefused,
    Unreachable,
    in_plain_words,
)
from channels.telegram.menus import Scope
from channels.telegram.places import Place
from channels.telegram.poll_notes import PollNotes
from channels.telegram.sdk_log import redact, tame_sdk_loggers
from channels.telegram.timings import Timings
from channels.telegram.upload import opened

log = logging.getLogger(__name__)

# The SDK's announced future: seconds as timedelta. Without it each 429 makes it warn.
os.environ.setdefault("PTB_TIMEDELTA", "true")

OFFICIAL_URL = "https://api.telegram.org"
UPDATE_KINDS = ("message", "edited_message", "callback_query", "message_reaction")
NOTHING_NEW = b'{"ok":true,"result":[]}'
CHECK_S = 30.0
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
"""A preview makes Telegram fetch the address: words of an agent must not cause requests."""

Accept = Callable[[str, bytes], Awaitable[None]]
"""Takes an event's id and raw form; returns when it is stored."""


class _PollRequest(HTTPXRequest):
    """The request of getUpdates, which takes notes."""

    def __init__(self, notes: PollNotes, url: str, ended: asyncio.Future[None]) -> None:
        super().__init__(connection_pool_size=1, httpx_kwargs=http_options(url))
        self._notes = notes
        self._ended = ended
        self._now = asyncio.get_running_loop().time
        self.is_over = False
        """Nothing is asked any more. The SDK's last poll would only confirm what was stored; what comes again is known
        by its number, and Telegram may keep so early a poll waiting for 3 s."""

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        if self._ended.done() or self.is_over:
            return 200, NOTHING_NEW
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


class Account:
    """One bot account. Each call raises DeliveryFailed where Telegram does not do it."""

    def __init__(self, token: str, url: str, timings: Timings) -> None:
        """`url` is the server's, for a self-hosted one or a twin; empty: Telegram's own."""
        tame_sdk_loggers()
        loop = asyncio.get_running_loop()
        self._timings = timings
        self._ended: asyncio.Future[None] = loop.create_future()
        self.notes = PollNotes(timings.poll_s + timings.poll_slack_s, timings.unhealthy_s, loop.time())
        self._poll = _PollRequest(self.notes, url, self._ended)
        self._bot = _build_bot(token, url, self._poll)

    @property
    def username(self) -> str:
        return self._bot.username

    async def serve(self, accept: Accept, on_connected: Callable[[], None]) -> None:
        """Receive until it is lost; raise what `failures.py` has for that, or StoreFailed."""

        async def store(update_id: int) -> None:
            update = self.notes.raw_updates[update_id]
            await accept(event_id(self._bot.id, update_id), envelope(self._bot.id, self.username, update))

        updater = Updater(self._bot, _StoringQueue(store, self._ended))
        try:
            async with asyncio.timeout(self._timings.connect_s):
                await updater.initialize()
                await updater.start_polling(
                    timeout=timedelta(seconds=self._timings.poll_s),
                    allowed_updates=UPDATE_KINDS,
                    error_callback=lambda _: None,  # the request has noted it
                )
            on_connected()
            await self._until_dead()
        except InvalidToken:
            raise TokenRefused from None
        except RetryAfter as error:
            raise AskedToWait(_seconds(error)) from None
        except (TelegramError, TimeoutError) as error:
            raise Unreachable(redact(str(error)) or "no answer") from error
        finally:
            await self._close(updater)

    async def _until_dead(self) -> None:
        """Return never: raise TokenRefused, StoreFailed, or Died when no poll began, ended or was well for too long."""
        now = asyncio.get_running_loop().time
        while not self._ended.done():
            left_s = self.notes.alive_until - now()
            if left_s <= 0:
                self._ended.cancel()
                raise Died(self.notes.why_dead(now()))
            await asyncio.wait((self._ended,), timeout=left_s)
        await self._ended

    async def _close(self, updater: Updater) -> None:
        self._poll.is_over = True
        # The updater closes its bot only if it began well; closing a closed one is nothing.
        for step in (updater.stop, updater.shutdown, self._bot.shutdown):
            with suppress(TelegramError, TimeoutError, RuntimeError, StoreFailed):
                async with asyncio.timeout(self._timings.close_s):
                    await step()

    # What must be said

    async def send_text(self, call: SendText, *, is_silent: bool = False) -> int:
        """Return the new message's id."""
        with _translated():
            message = await self._bot.send_message(
                call.place.chat_id,
                call.text,
                entities=_entities(call.entities),
                message_thread_id=call.place.topic_id,
                reply_parameters=_reply(call.reply_to),
                reply_markup=_keyboard(call.button_rows),
                disable_notification=is_silent,
                link_preview_options=_NO_PREVIEW,
            )
        return message.message_id

    async def send_files(self, call: SendFiles) -> tuple[int, ...]:
        """Stream one file or an album from the disk; return the new messages' ids."""
        with _translated(), ExitStack() as stack:
            sources = [InputFile(stack.enter_context(opened(file)), file.name, True, False) for file in call.files]
            if len(sources) == 1:
                return (await self._send_file(call, sources[0]),)
            kind = InputMediaPhoto if call.as_photos else InputMediaDocument
            media = [
                kind(source, call.caption or None, caption_entities=_entities(call.entities))
                if index == call.captioned
                else kind(source)
                for index, source in enumerate(sources)
            ]
            messages = await self._bot.send_media_group(
                call.place.chat_id,
                media,
                message_thread_id=call.place.topic_id,
                reply_parameters=_reply(call.reply_to),
                read_timeout=self._timings.upload_s,
                write_timeout=self._timings.upload_s,
            )
        return tuple(message.message_id for message in messages)

    async def _send_file(self, call: SendFiles, source: InputFile) -> int:
        method = self._bot.send_photo if call.as_photos else self._bot.send_document
        message = await method(
            call.place.chat_id,
            source,
            caption=call.caption or None,
            caption_entities=_entities(call.entities),
            message_thread_id=call.place.topic_id,
            reply_parameters=_reply(call.reply_to),
            reply_markup=_keyboard(call.button_rows),
            read_timeout=self._timings.upload_s,
            write_timeout=self._timings.upload_s,
        )
        return message.message_id

    async def edit_text(self, message_id: int, call: SendText) -> None:
        """Have a message of ours say what the call says."""
        with _translated(fine="not modified"):
            await self._bot.edit_message_text(
                call.text,
                call.place.chat_id,
                message_id,
                entities=_entities(call.entities),
                reply_markup=_keyboard(call.button_rows),
                link_preview_options=_NO_PREVIEW,
            )

    async def take_buttons(self, place: Place, message_id: int) -> None:
        with _translated(fine="not modified"):
            await self._bot.edit_message_reply_markup(place.chat_id, message_id)

    async def delete(self, place: Place, message_id: int) -> None:
        with _translated(fine="message to delete not found"):
            await self._bot.delete_message(place.chat_id, message_id)

    async def set_reaction(self, place: Place, message_id: int, emoji: str) -> None:
        """Put a reaction under a message; an empty one takes it away."""
        with _translated():
            await self._bot.set_message_reaction(place.chat_id, message_id, [ReactionTypeEmoji(emoji)] if emoji else [])

    async def answer_press(self, press_id: str) -> None:
        with _translated():
            await self._bot.answer_callback_query(press_id)

    # What is only shown

    async def send_typing(self, place: Place) -> None:
        """Show `typing…` for five seconds."""
        with _translated():
            await self._bot.send_chat_action(place.chat_id, "typing", message_thread_id=place.topic_id)

    async def send_draft(self, place: Place, number: int, text: TelegramText) -> None:
        """Show a text for half a minute, or until the next message; of one number, it is seen to grow."""
        with _translated():
            await self._bot.send_message_draft(
                place.chat_id, number, text.text, message_thread_id=place.topic_id, entities=_entities(text.entities)
            )

    async def set_commands(self, scope: Scope, entries: Sequence[MenuEntry]) -> None:
        """Have the menu of a chat, or of all of a kind, offer commands; none: what it would without."""
        commands = [BotCommand(entry.name, entry.what) for entry in entries]
        with _translated():
            if commands:
                await self._bot.set_my_commands(commands, scope=_scope(scope))
            else:
                await self._bot.delete_my_commands(scope=_scope(scope))

    async def download(self, file_id: str, into: Path, max_bytes: int) -> int:
        """Stream a file into a new one; return its bytes. Where that fails nothing is left behind."""
        limit_bytes = min(max_bytes, DOWNLOAD_LIMIT_BYTES)
        with _translated():
            file = await self._bot.get_file(file_id)
        if file.file_size is not None and file.file_size > limit_bytes:
            raise file_too_large(limit_bytes)
        return await download_file(file.file_path or "", into, limit_bytes, self._timings.send_s)


async def check_token(token: str, url: str = "") -> str:
    """Return the name of the bot that the token belongs to. Raise TokenRefused or Unreachable."""
    tame_sdk_loggers()
    try:
        async with asyncio.timeout(CHECK_S), _build_bot(token, url) as bot:
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


@contextmanager
def _translated(fine: str = "") -> Iterator[None]:
    """Turn what Telegram refuses in the block into DeliveryFailed; `fine`: a refusal of these words is no failure."""
    try:
        yield
    except TelegramError as error:
        failed = _delivery_failed(error)
        if not fine or fine not in failed.reason.lower():
            raise failed from error


def _delivery_failed(error: TelegramError) -> DeliveryFailed:
    description = redact(str(error))
    match error:
        case ChatMigrated():
            return Migrated(error.new_chat_id)
        case RetryAfter():
            return DeliveryFailed(f"Telegram: {description}", retry_after_s=_seconds(error))
        case InvalidToken():
            return DeliveryFailed("Telegram: token refused")
        case _:
            is_permanent = isinstance(error, (Forbidden, BadRequest)) or "too large" in description.lower()
            return DeliveryFailed(in_plain_words(description), permanent=is_permanent)


def _seconds(error: RetryAfter) -> float:
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def _scope(scope: Scope) -> BotCommandScope:
    if isinstance(scope, Place):
        return BotCommandScopeChat(scope.chat_id)
    return BotCommandScopeAllPrivateChats() if scope == "direct" else BotCommandScopeAllGroupChats()


def _entities(entities: tuple[Entity, ...]) -> list[MessageEntity] | None:
    return [
        MessageEntity(
            entity.type, entity.offset, entity.length, url=entity.url or None, language=entity.language or None
        )
        for entity in entities
    ] or None


def _reply(message_id: int | None) -> ReplyParameters | None:
    return None if message_id is None else ReplyParameters(message_id, allow_sending_without_reply=True)


def _keyboard(rows: Rows) -> InlineKeyboardMarkup | None:
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(button.label, callback_data=button.value) for button in row] for row in rows]
    )
