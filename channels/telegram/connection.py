"""Stay connected to Telegram: an account is built with the token of now, and built anew, whole, when it is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from channels.channel import DeliveryFailed, NotYet
from channels.telegram.client import Accept, Account
from channels.telegram.failures import AskedToWait, Died, SecretMissing, StoreFailed, TokenRefused, Unreachable
from channels.telegram.timings import Timings

log = logging.getLogger(__name__)

MAX_PENDING_ANSWERS = 1000
FIRST_BACKOFF_S = 0.5
SOON_S = 2.0
"""When what is only shown is tried again that found no connection."""

FetchSecret = Callable[[], Awaitable[str]]


class Connection:
    """The connection of one bot account."""

    def __init__(self, fetch_secret: FetchSecret, url: str, timings: Timings) -> None:
        self._fetch_secret = fetch_secret
        self._url = url
        self._timings = timings
        self._account: Account | None = None
        self._ready = asyncio.Event()
        self._problem = "not connected yet"
        self._answers: asyncio.Queue[str] = asyncio.Queue(maxsize=MAX_PENDING_ANSWERS)
        self.when_connected: Callable[[], None] = lambda: None
        """Called at each connection."""

    def health(self) -> str:
        """Return `ok`, or in a few words what is wrong."""
        return self._problem if self._account is None else self._account.notes.problem or "ok"

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled. Raises only what `accept` raised, in an ExceptionGroup."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._answer_presses())
            tasks.create_task(self._stay_connected(accept))

    @asynccontextmanager
    async def lend(self, timeout_s: float) -> AsyncIterator[Account]:
        """Lend the account as soon as it is connected, for so long; raise DeliveryFailed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timings.ready_s):
                await self._ready.wait()
        if self._account is None:
            raise DeliveryFailed(f"Telegram: {self.health()}")
        try:
            async with asyncio.timeout(timeout_s):
                yield self._account
        except TimeoutError as error:
            raise DeliveryFailed(f"Telegram gave no answer in {timeout_s:.0f} s") from error

    @asynccontextmanager
    async def lend_now(self, timeout_s: float) -> AsyncIterator[Account]:
        """Lend the account for what is of no use later; raise NotYet without a connection."""
        if self._account is None:
            raise NotYet(f"Telegram: {self.health()}", retry_after_s=SOON_S)
        async with self.lend(timeout_s) as account:
            yield account

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
        except TokenRefused:
            self._problem = "token refused"
            return self._timings.token_retry_s
        except StoreFailed as failed:
            raise failed.__cause__ or failed from None
        except AskedToWait as asked:
            self._problem = str(asked)
            return asked.seconds
        except (Unreachable, Died, SecretMissing) as error:
            self._problem = str(error)
        return None

    async def _serve(self, accept: Accept) -> None:
        account = Account(await self._token(), self._url, self._timings)

        def connected() -> None:
            self._account = account
            self._ready.set()
            self.when_connected()
            log.info("telegram connected as @%s", account.username, extra={"action": "telegram_connected"})

        async def store(event_id: str, raw: bytes) -> None:
            await accept(event_id, raw)
            self._note_press(raw)

        try:
            await account.serve(store, connected)
        finally:
            self._account = None
            self._problem = "not connected"
            self._ready.clear()

    async def _token(self) -> str:
        try:
            async with asyncio.timeout(self._timings.connect_s):
                return await self._fetch_secret()
        except Exception as error:  # the vault is another process: whatever it says, a channel waits for it
            raise SecretMissing(f"the bot token could not be had: {str(error) or type(error).__name__}") from error

    def _note_press(self, raw: bytes) -> None:
        press = json.loads(raw)["update"].get("callback_query")
        if isinstance(press, dict) and isinstance(press.get("id"), str) and not self._answers.full():
            self._answers.put_nowait(press["id"])

    async def _answer_presses(self) -> None:
        """Tell Telegram at once that a press was taken: until then its button shows a clock."""
        while True:
            press_id = await self._answers.get()
            with suppress(DeliveryFailed):
                async with self.lend(self._timings.send_s) as account:
                    await account.answer_press(press_id)
