"""The connection to Slack: the only file that imports slack_sdk.

Each socket is a SocketModeClient of its own with a ticket that we asked for, and none ever reconnects by itself: the
SDK would try a burned ticket again for ever, and ask for new ones without end with a token that is refused. What ends a
socket is told to `run`, which builds the next one, and the web client with it where more is wrong than the socket. What
comes in is `inlet.py`'s business, what to say `sending.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient

from channels.channel import DeliveryFailed, NotYet
from channels.pacing import take_courtesy_turn, wait_for_turn
from channels.slack.failures import (
    Lost,
    Refused,
    SecretMissing,
    SocketsOff,
    StoreFailed,
    TokenRefused,
    Unanswered,
    Unreachable,
    is_for_people,
    problem_of,
)
from channels.slack.rates import Rates
from channels.slack.raw import Bot
from channels.slack.sdk_log import redact, tame_sdk_logger
from channels.slack.timings import Timings
from channels.slack.tokens import Account, TokenPair, find_faults, split_tokens
from channels.slack.told import read_refusal, read_signal
from channels.slack.transport import proxy_for, refusals

log = logging.getLogger(__name__)

OFFICIAL_URL = "https://slack.com"
FIRST_BACKOFF_S = 0.5
KEEPS_SERVING = ("warning", "refresh_requested")
"""Reasons of a `disconnect` after which the socket still serves: the next one is opened before it goes."""
FetchSecret = Callable[[], Awaitable[str]]
Answer = Mapping[str, Any]
Acknowledge = Callable[[], Awaitable[None]]
Take = Callable[[str, dict[str, Any], str, Acknowledge], Awaitable[None]]
"""Takes an envelope's type, payload and id, and acknowledges it when it is stored."""


class _Socket(SocketModeClient):
    """One socket, which tells why it is of no use any more instead of opening another one."""

    def __init__(self, tokens: TokenPair, web: AsyncWebClient, ticket: str, timings: Timings, take: Take) -> None:
        super().__init__(tokens.app, web_client=web, ping_interval=timings.ping_s)
        self.proxy = proxy_for(ticket)
        self.wss_uri = ticket
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.greeted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.on_message_listeners.append(self._heard)
        self.on_error_listeners.append(self._failed)
        self.message_listeners.append(self._given)
        self._take = take
        self._reason = "the connection was closed"

    def lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        del force
        self.lose("it answers no more" if self.stale else self._reason)

    async def _heard(self, message: aiohttp.WSMessage) -> None:
        signal, reason = read_signal(str(message.data))
        if signal == "hello" and not self.greeted.done():
            self.greeted.set_result(signal)
        elif signal == "disconnect":
            self._reason = reason

    async def _failed(self, message: aiohttp.WSMessage) -> None:
        self.lose(f"the connection broke: {type(message.data).__name__}")

    async def _given(self, _: object, envelope: dict[str, Any], __: str | None) -> None:
        envelope_id = str(envelope.get("envelope_id") or "")
        if not envelope_id:
            return
        payload = envelope.get("payload")
        given = payload if isinstance(payload, dict) else {}

        async def acknowledge() -> None:
            with suppress(aiohttp.ClientError, ConnectionError, RuntimeError):
                if self.current_session is not None and not self.current_session.closed:
                    await self.send_socket_mode_response({"envelope_id": envelope_id})

        await self._take(str(envelope.get("type")), given, envelope_id, acknowledge)

    async def open(self, timings: Timings) -> None:
        """Return when Slack has said hello; raise Lost."""
        refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await self.aiohttp_client_session.close()
        self.aiohttp_client_session = aiohttp.ClientSession(trace_configs=[refusals(refused)])
        problem = "Slack opened no socket in time"
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(self.connect())  # type: ignore[no-untyped-call]  # the SDK's
            with suppress(TimeoutError):
                async with asyncio.timeout(timings.connect_s):
                    await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
                    if not refused.done():
                        await asyncio.wait({self.greeted, self.lost}, return_when=asyncio.FIRST_COMPLETED)
            connecting.cancel()  # where it was refused, the SDK would go on with the same ticket
        if not self.greeted.done():
            told = next((future.result() for future in (refused, self.lost) if future.done()), problem)
            raise Lost(told)

    async def end(self, timings: Timings) -> None:
        """Close it, and everything that it began."""
        self.closed, self.auto_reconnect_enabled = True, False
        running = [self.message_processor, self.current_session_monitor, self.message_receiver]
        begun = [task for task in running if task is not None]
        for task in begun:
            task.cancel()
        await asyncio.wait(begun)
        with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
            async with asyncio.timeout(timings.close_s):
                if self.current_session is not None:
                    await self.current_session.close()
        await self.aiohttp_client_session.close()


class SlackClient:
    """One app in one workspace."""

    def __init__(self, fetch_secret: FetchSecret, url: str = "", timings: Timings | None = None) -> None:
        """`url` is the server's, for a twin; empty: Slack's own."""
        tame_sdk_logger()
        self._fetch_secret = fetch_secret
        self.url = (url or OFFICIAL_URL).rstrip("/")
        self.timings = timings or Timings()
        self.bot = Bot(user="")
        self._web: AsyncWebClient | None = None
        self._session: aiohttp.ClientSession | None = None
        self._socket: _Socket | None = None
        self._ready = asyncio.Event()
        self._problem = "not connected yet"
        self._ended: asyncio.Future[str] | None = None
        self._lost_at: float | None = None
        self._rates = Rates()
        self.when_opening: Callable[[], None] = lambda: None
        """Called before each socket after a gap: what comes over it may come before `when_connected`."""
        self.when_connected: Callable[[float | None], None] = lambda _: None
        """Called at each socket that came after a gap; with how long it was, None at the first one."""

    def health(self) -> str:
        """Return `ok`, or in a few words what is wrong."""
        return "ok" if self._socket is not None else self._problem

    # Receiving

    async def run(self, take: Take) -> None:
        """Receive until cancelled. Raises only what `fail` was given."""
        loop = asyncio.get_running_loop()
        backoff_s = FIRST_BACKOFF_S
        while True:
            began_at = loop.time()
            wait_s = await self._serve_until_lost(take)
            if wait_s is None:
                was_up = loop.time() - began_at > self.timings.longest_backoff_s
                backoff_s = FIRST_BACKOFF_S if was_up else min(backoff_s * 2, self.timings.longest_backoff_s)
                wait_s = min(backoff_s, self.timings.longest_backoff_s)
            text = "slack not connected: %s; next try in %.1f s"
            log.warning(text, self._problem, wait_s, extra={"action": "slack_disconnected"})
            await asyncio.sleep(wait_s)

    def fail(self, error: Exception) -> None:
        """The host cannot store what comes: end `run` with this."""
        if self._ended is not None and not self._ended.done():
            failed = StoreFailed()
            failed.__cause__ = error
            self._ended.set_exception(failed)

    def doubt(self, reason: str) -> None:
        """Something says that this client may be of no use any more: build the next one, which will tell."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(Lost(reason))

    async def _serve_until_lost(self, take: Take) -> float | None:
        """Return the seconds to wait before the next try, None for the usual backoff."""
        try:
            await self._serve(take)
        except StoreFailed as failed:
            raise failed.__cause__ or failed from None
        except (TokenRefused, SocketsOff, DeliveryFailed) as failed:
            self._problem = redact(problem_of(failed))
            if is_for_people(failed):
                return self.timings.token_retry_s
            return failed.retry_after_s if isinstance(failed, DeliveryFailed) else None
        except (Lost, SecretMissing, TimeoutError, aiohttp.ClientError, OSError) as error:
            self._problem = redact(str(error)) or "no answer"
        return None

    async def _serve(self, take: Take) -> None:
        """Build a client with the tokens of now, and keep a socket open until more is wrong than that socket."""
        tokens = await self._tokens()
        self._ended = asyncio.get_running_loop().create_future()
        async with aiohttp.ClientSession() as session:
            try:
                self._web = build_web(tokens, self.url, session)
                self._session = session
                self.bot = await self._who_we_are()
                await self._keep_a_socket(tokens, take)
            finally:
                self._note_lost("not connected")
                self._ready.clear()
                self._web = self._session = None
                if self._ended.done() and not self._ended.cancelled():
                    self._ended.exception()  # it may have come while another one ended this
                self._ended.cancel()

    async def _keep_a_socket(self, tokens: TokenPair, take: Take) -> None:
        socket: _Socket | None = None
        try:
            while True:
                ticket = await self._ticket(tokens)
                if socket is None:
                    self.when_opening()
                fresh = _Socket(tokens, self._the_web(), ticket, self.timings, take)
                old, socket = socket, fresh
                try:
                    await fresh.open(self.timings)
                finally:
                    if old is not None:
                        await old.end(self.timings)
                self._note_open(fresh, is_first=old is None)
                reason = await self._until_lost(fresh)
                log.info("a socket of slack is to go: %s", reason, extra={"action": "slack_socket_lost"})
                if reason == "link_disabled":
                    await self._ticket(tokens)  # a token that holds no more is told of so, too
                    raise SocketsOff
                if reason not in KEEPS_SERVING:
                    self._note_lost(reason)
                    await fresh.end(self.timings)
                    socket = None
        finally:
            if socket is not None:
                await socket.end(self.timings)

    async def _until_lost(self, socket: _Socket) -> str:
        assert self._ended is not None
        await asyncio.wait({socket.lost, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            self._ended.result()
        return socket.lost.result()

    def _note_open(self, socket: _Socket, *, is_first: bool) -> None:
        self._socket = socket
        self._ready.set()
        if is_first:  # else it was opened before the one before went
            now = asyncio.get_running_loop().time()
            gap_s = None if self._lost_at is None else now - self._lost_at
            self._lost_at = None
            self.when_connected(gap_s)
            log.info("slack connected as %s", self.bot.name, extra={"action": "slack_connected"})

    def _note_lost(self, problem: str) -> None:
        self._problem = problem
        if self._socket is not None:
            self._lost_at = asyncio.get_running_loop().time()
        self._socket = None

    async def _tokens(self) -> TokenPair:
        try:
            async with asyncio.timeout(self.timings.connect_s):
                secret = await self._fetch_secret()
        except Exception as error:  # the vault is another process: whatever it says, a channel waits for it
            raise SecretMissing(f"the tokens could not be had: {str(error) or type(error).__name__}") from error
        return split_tokens(secret)

    async def _who_we_are(self) -> Bot:
        told = await self._asked("auth.test", {}, self.timings.connect_s)
        user, bot, team = (str(told.get(key) or "") for key in ("user_id", "bot_id", "team_id"))
        return Bot(user=user, bot=bot, name=str(told.get("user") or "bot"), team=team)

    async def _ticket(self, tokens: TokenPair) -> str:
        told = await self._asked("apps.connections.open", {"app_token": tokens.app}, self.timings.connect_s)
        return str(told["url"])

    # Asking

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """What files go over, while there is a connection."""
        return self._session

    @property
    def bot_token(self) -> str:
        return str(self._the_web().token)

    async def call(
        self,
        method: str,
        conversation: str = "",
        *,
        timeout_s: float | None = None,
        is_courtesy: bool = False,
        **arguments: Any,
    ) -> Answer:
        """Ask Slack, at its pace; raise Refused with its word, Unanswered where it may have been done all the same,
        NotYet where its pace asks for more than a second, DeliveryFailed without a connection.

        `is_courtesy`: it only shows work, and leaves the pace to what must be said.
        """
        await self.connection()
        pace = self._rates.pace(method)
        if is_courtesy:
            take_courtesy_turn(pace, conversation)
        else:
            await wait_for_turn(pace, conversation)
        try:
            return await self._asked(method, arguments, timeout_s or self.timings.send_s, conversation)
        except Refused as refused:
            if refused.is_token and self._ended is not None and not self._ended.done():
                self._ended.set_exception(TokenRefused())  # the whole client is built anew
            raise

    async def connection(self) -> None:
        """Return when there is one; raise DeliveryFailed where there is none for a while."""
        try:
            async with asyncio.timeout(self.timings.ready_s):
                await self._ready.wait()
        except TimeoutError:
            raise DeliveryFailed(f"Slack: {self.health()}") from None

    async def _asked(
        self, method: str, arguments: Mapping[str, Any], timeout_s: float, conversation: str = ""
    ) -> Answer:
        ask = getattr(self._the_web(), method.replace(".", "_"))
        try:
            async with asyncio.timeout(timeout_s):
                answer = await ask(**arguments)
        except SlackApiError as error:
            raise self._refusal(method, conversation, error) from None
        except TimeoutError:
            raise Unanswered(f"Slack gave no answer to {method} in {timeout_s:.0f} s") from None
        except (aiohttp.ClientError, SlackClientError, OSError, RuntimeError) as error:
            raise Unanswered(f"the connection to Slack broke at {method}: {type(error).__name__}") from None
        return answer.data if isinstance(answer.data, dict) else {}

    def _refusal(self, method: str, conversation: str, error: SlackApiError) -> DeliveryFailed:
        """Return what Slack's answer means; a pause that it asks for is kept from now on."""
        response = error.response
        status = int(getattr(response, "status_code", getattr(response, "status", 0)) or 0)
        refusal = read_refusal(method, status, getattr(response, "data", None), getattr(response, "headers", {}))
        if isinstance(refusal, NotYet) and refusal.retry_after_s is not None:
            self._rates.told_to_wait(method, conversation, refusal.retry_after_s, asyncio.get_running_loop().time())
        return refusal

    def _the_web(self) -> AsyncWebClient:
        if self._web is None:
            raise DeliveryFailed(f"Slack: {self.health()}")
        return self._web


async def check_token(secret: str, url: str = "", timings: Timings | None = None) -> Account:
    """Return whose the two tokens are, and what is wrong with them. Raise TokenRefused, SecretMissing, Unreachable."""
    tame_sdk_logger()
    timings = timings or Timings()
    tokens = split_tokens(secret)
    server = (url or OFFICIAL_URL).rstrip("/")
    try:
        async with asyncio.timeout(timings.connect_s), aiohttp.ClientSession() as session:
            web = build_web(tokens, server, session)
            told = await web.auth_test()
            await web.apps_connections_open(app_token=tokens.app)
            author = await web.bots_info(bot=str(told.get("bot_id")))
    except SlackApiError as error:
        data = error.response.data if isinstance(getattr(error.response, "data", None), dict) else {}
        refused = Refused(str(getattr(error.response, "api_url", "")).rpartition("/")[2], str(data.get("error")))
        if refused.is_token:
            raise TokenRefused from None
        raise Unreachable(f"{server} says: {data.get('error') or 'nothing that can be read'}") from None
    except (aiohttp.ClientError, OSError, TimeoutError, SlackClientError) as error:
        raise Unreachable(f"no answer from {server}: {redact(str(error)) or 'timeout'}") from None
    scopes = str(told.headers.get("x-oauth-scopes") or told.headers.get("X-OAuth-Scopes") or "")
    app_id = str((author.get("bot") or {}).get("app_id") or "")
    return find_faults(tokens, told.data if isinstance(told.data, dict) else {}, scopes, app_id)


def build_web(tokens: TokenPair, server: str, session: aiohttp.ClientSession) -> AsyncWebClient:
    # No retries of the SDK's own: it would repeat a post whose connection broke, and that may have been done.
    web = AsyncWebClient(tokens.bot, base_url=f"{server}/api/", session=session, retry_handlers=[])
    web.proxy = proxy_for(server)
    return web
