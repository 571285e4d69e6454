"""The connection to Discord: it is kept up, watched, built anew, and calls are made through it.

A client of the SDK lives in here as long as it is well. What it hears goes to `intake.py`; calls go through `calls.py`,
which does not wait for the SDK's sleeps. When they are made is `speech.py`'s business.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.channel import DeliveryFailed, NotYet
from channels.discord.calls import Calls
from channels.discord.client import Gateway, check_token, failure_of
from channels.discord.download import Expired, download_file
from channels.discord.encode import Place, Rows, SendMessage
from channels.discord.facts import BotFacts
from channels.discord.failures import (
    Died,
    IntentsChanged,
    IntentsRefused,
    SecretMissing,
    ShutOut,
    TokenRefused,
    Unreachable,
)
from channels.discord.gateway_notes import GatewayNotes
from channels.discord.intake import PAGE, Accept, Intake
from channels.discord.limits import PaceKey, Route, build_pace
from channels.discord.menus import Command
from channels.discord.redirect import parse_url
from channels.discord.refusals import Refused, delivery_failed
from channels.discord.rooms import Json, Room
from channels.discord.sdk_log import redact
from channels.discord.seen import Seen
from channels.discord.timings import Timings
from channels.discord.traces import Paused
from channels.pace import Pace
from channels.pacing import wait_for_turn
from protocol.ids import PlatformMessageId

log = logging.getLogger(__name__)

FetchSecret = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    gateway: Gateway
    facts: BotFacts
    notes: GatewayNotes
    calls: Calls
    ended: asyncio.Future[None]


class DiscordClient:
    """One bot account."""

    def __init__(
        self, fetch_secret: FetchSecret, url: str = "", timings: Timings | None = None, *, kept: Path | None = None
    ) -> None:
        """`url` is the server's, for a twin; empty: Discord's own. `kept`: a file for how far each chat is known."""
        self._fetch_secret = fetch_secret
        self._url = url
        self._timings = timings or Timings()
        self._intake = Intake(self, Seen(kept), self._timings)
        self.pace: Pace[PaceKey] = build_pace(self._timings.haste)
        self._connection: _Connection | None = None
        self._ready = asyncio.Event()
        self._problem = "not connected yet"
        self._tasks: asyncio.TaskGroup | None = None
        self.when_connected: Callable[[], None] = lambda: None
        """Called at each connection."""

    def health(self) -> str:
        """Return `ok`, or in a few words what is wrong."""
        connection = self._connection
        if connection is None:
            return self._problem
        return connection.notes.problem(_now()) or connection.facts.missing or "ok"

    # Receiving

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled. Raises only what `accept` raised, in an ExceptionGroup."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._intake.run(accept))
            tasks.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        backoff_s = self._timings.first_backoff_s
        while True:
            began_at = _now()
            wait_s = await self._serve_until_lost()
            if wait_s is None:
                was_up = _now() - began_at > self._timings.longest_backoff_s
                wait_s = self._timings.first_backoff_s if was_up else min(backoff_s, self._timings.longest_backoff_s)
                backoff_s = wait_s * 2
            text = "discord not connected: %s; next try in %.1f s"
            log.warning(text, self._problem, wait_s, extra={"action": "discord_disconnected"})
            await asyncio.sleep(wait_s)

    async def _serve_until_lost(self) -> float | None:
        """Return the seconds to wait before the next try, None for the usual backoff."""
        try:
            await self._serve()
        except TokenRefused:
            self._problem = "token refused"
            return self._timings.token_retry_s
        except IntentsRefused as refused:
            self._problem = str(refused)
            return self._timings.token_retry_s
        except ShutOut as shut_out:
            self._problem = str(shut_out)
            return self._timings.shut_out_s
        except IntentsChanged:
            self._problem = "connecting anew, with the intents that are on now"
            return 0.0
        except (Unreachable, TimeoutError, Died, SecretMissing) as error:
            self._problem = redact(str(error)) or "no answer"
        return None

    async def _serve(self) -> None:
        """Build a client with the token of now, and receive until it dies."""
        token = await self._token()
        facts = await check_token(token, self._url, self._timings)
        notes = GatewayNotes(self._timings.heartbeat_slack_s, _now())
        gateway = Gateway(self._url, self._timings, facts)
        gateway.listen(
            lambda frame: self._heard(frame, notes), lambda: notes.lost("the gateway's socket is gone", _now())
        )
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        calls = Calls(lambda error: self._failed(error, ended))
        receiving: asyncio.Task[None] | None = None
        assert self._tasks is not None  # `run` has begun
        try:
            async with asyncio.timeout(self._timings.connect_s):
                await gateway.login(token)
            self._intake.hear_members(is_on=facts.has_members)
            receiving = self._tasks.create_task(_receive(gateway, ended))
            self._connection = _Connection(gateway=gateway, facts=facts, notes=notes, calls=calls, ended=ended)
            self._ready.set()
            self.when_connected()
            log.info("discord logged in as %s", facts.name, extra={"action": "discord_connected"})
            await self._watch(self._connection, token)
        finally:
            self._connection = None
            self._problem = "not connected"
            self._ready.clear()
            ended.cancel()
            calls.end()
            if receiving is not None:
                receiving.cancel()
                await asyncio.wait((receiving,))
            else:
                await gateway.close()

    async def _watch(self, connection: _Connection, token: str) -> None:
        """Return never: raise what ended the connection, or what is to end it."""
        check_at = _now() + self._timings.intents_check_s
        while True:
            await asyncio.wait((connection.ended,), timeout=self._timings.watch_every_s)
            if connection.ended.done():
                await connection.ended
            if connection.notes.unwell_s(_now()) >= self._timings.rebuild_after_s:
                raise Died(connection.notes.problem(_now()))
            if connection.facts.missing and _now() >= check_at:
                check_at = _now() + self._timings.intents_check_s
                with suppress(Unreachable, ShutOut):
                    if await check_token(token, self._url, self._timings) != connection.facts:
                        raise IntentsChanged

    def _heard(self, frame: str, notes: GatewayNotes) -> None:
        try:
            told = json.loads(frame)
            operation, kind, what, sequence = told["op"], told.get("t"), told.get("d"), told.get("s")
            notes.frame(operation, kind, what, _now())
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            log.warning("a gateway frame in no form of Discord's", extra={"action": "discord_malformed"})
            return
        if isinstance(kind, str):
            self._intake.put(kind, what, sequence)

    async def _token(self) -> str:
        try:
            async with asyncio.timeout(self._timings.connect_s):
                return (await self._fetch_secret()).strip()
        except Exception as error:  # the vault is another process: whatever it says, a channel waits for it
            raise SecretMissing(f"the bot token could not be had: {str(error) or type(error).__name__}") from error

    def _failed(self, error: Exception, ended: asyncio.Future[None]) -> Exception:
        """Return what becomes of a call that failed, and of the connection."""
        failure = failure_of(error)
        if isinstance(failure, ShutOut):
            self.pace.told_to_wait(None, self._timings.shut_out_s, _now())
            return NotYet(str(failure), retry_after_s=self._timings.shut_out_s)
        if not isinstance(failure, Refused):
            return failure
        if failure.status == 401 and not ended.done():
            ended.set_exception(TokenRefused())
        return delivery_failed(failure)

    # Calls

    async def _call(
        self,
        key: PaceKey,
        call: Callable[[Gateway], Awaitable[object]],
        timeout_s: float,
        *,
        turn: str = "",
        joins: bool = False,
    ) -> Any:
        """Make a call as soon as Discord is connected; return what it answered, decoded. Raise DeliveryFailed."""
        connection, tasks = await self._connected(), self._tasks
        assert tasks is not None  # else nothing were connected
        try:
            hearing = await connection.calls.make(
                lambda: call(connection.gateway), tasks, timeout_s=timeout_s, turn=turn, joins=joins
            )
            if hearing.left == 0:
                self.pace.told_to_wait(key, hearing.full_again_s, _now())
            body = hearing.answer.result()
            return json.loads(body) if body else {}
        except Paused as paused:
            self.pace.told_to_wait(None if paused.is_global else key, paused.seconds, _now())
            raise NotYet("Discord asks for a pause", retry_after_s=paused.seconds) from None
        except ValueError as error:
            raise DeliveryFailed("Discord's answer is in no form of Discord's") from error

    async def _connected(self) -> _Connection:
        try:
            async with asyncio.timeout(self._timings.ready_s):
                await self._ready.wait()
        except TimeoutError:
            raise DeliveryFailed(f"Discord: {self.health()}") from None
        if self._connection is None:
            raise DeliveryFailed(f"Discord: {self.health()}")
        return self._connection

    # What `speech.py` speaks through

    async def post(self, call: SendMessage, timeout_s: float) -> PlatformMessageId:
        """Send a message; return its id. Tried again with its nonce it stands there once."""
        key = PaceKey(channel=call.place.channel, route=Route.SAY)
        said = await self._call(key, lambda gateway: gateway.post(call), timeout_s, turn=call.nonce, joins=True)
        return PlatformMessageId(str(_of(said, "id")))

    def is_being_posted(self, nonce: str) -> bool:
        return bool(nonce) and self._connection is not None and self._connection.calls.is_under_way(nonce)

    async def change(
        self, place: Place, message: PlatformMessageId, content: str | None, rows: Rows | None, timeout_s: float
    ) -> None:
        """Have a message of ours say something else, and have these buttons; None: as they are."""
        key = PaceKey(channel=place.channel, route=Route.EDIT)
        await self._call(
            key, lambda gateway: gateway.change(place, message, content, rows), timeout_s, turn=f"message {message}"
        )

    async def remove(self, place: Place, message: PlatformMessageId, timeout_s: float) -> None:
        """Have a message of ours go; one that is gone is well."""
        key = PaceKey(channel=place.channel, route=Route.DELETE)
        await self._call(key, lambda gateway: gateway.remove(place, message), timeout_s, turn=f"message {message}")

    async def reactions(self, place: Place, message: PlatformMessageId, timeout_s: float) -> list[str]:
        """Return the emoji of ours under a message."""
        said = await self._read(place, message, timeout_s)
        return [_emoji(each["emoji"]) for each in said.get("reactions") or () if each.get("me")]

    async def _read(self, place: Place, message: PlatformMessageId, timeout_s: float) -> Json:
        key = PaceKey(channel=place.channel, route=Route.READ)
        said: Json = await self._call(key, lambda gateway: gateway.read(place, message), timeout_s)
        return said

    async def react(
        self, place: Place, message: PlatformMessageId, emoji: str, timeout_s: float, *, is_on: bool
    ) -> None:
        """Put an emoji of ours under a message, or take it away."""
        key = PaceKey(channel=place.channel, route=Route.REACT)
        await self._call(
            key,
            lambda gateway: gateway.react(place, message, emoji, is_on=is_on),
            timeout_s,
            turn=f"reactions {message}",
        )

    async def type(self, place: Place, timeout_s: float) -> None:
        """Show for ten seconds that the bot types."""
        key = PaceKey(channel=place.channel, route=Route.TYPE)
        await self._call(key, lambda gateway: gateway.type(place), timeout_s)

    async def set_commands(self, commands: Sequence[Command]) -> None:
        key = PaceKey(channel=0, route=Route.COMMANDS)
        await self._call(key, lambda gateway: gateway.set_commands(commands), self._timings.send_s, turn="the commands")

    # What was missed, and files

    async def history(self, room: Room, after: int) -> list[Json]:
        key = PaceKey(channel=int(room.channel), route=Route.READ)
        await wait_for_turn(self.pace, key)
        page = await self._call(
            key, lambda gateway: gateway.history(int(room.channel), after, PAGE), self._timings.history_s
        )
        return sorted(page, key=lambda message: int(message["id"]))

    async def find_room(self, channel: str) -> Json:
        key = PaceKey(channel=int(channel), route=Route.READ)
        await wait_for_turn(self.pace, key)
        room: Json = await self._call(key, lambda gateway: gateway.find_room(int(channel)), self._timings.history_s)
        return room

    async def download(self, reference: str, into: Path, max_bytes: int) -> int:
        """Stream a file into a new one; return its bytes. Raise DeliveryFailed; then nothing is left behind."""
        where, _, address = reference.partition(" ")
        try:
            return await self._download(address, into, max_bytes)
        except Expired:
            return await self._download(await self._address_anew(where), into, max_bytes)

    async def _download(self, address: str, into: Path, max_bytes: int) -> int:
        try:
            async with asyncio.timeout(self._timings.upload_s):
                return await download_file(address, into, max_bytes, self._timings.send_s, parse_url(self._url))
        except TimeoutError:
            raise DeliveryFailed("the file's download took too long") from None

    async def _address_anew(self, where: str) -> str:
        """Return the address of a file that a message has, for one that has expired."""
        channel, _, rest = where.partition("/")
        message, _, file = rest.partition("/")
        said = await self._read(Place(channel=int(channel)), PlatformMessageId(message), self._timings.send_s)
        snapshots = (snapshot["message"] for snapshot in said.get("message_snapshots") or ())
        for holder in (said, *snapshots):
            for attachment in holder.get("attachments") or ():
                if attachment["id"] == file:
                    return str(attachment["url"])
        raise DeliveryFailed("the file is not in its message any more", permanent=True)


async def _receive(gateway: Gateway, ended: asyncio.Future[None]) -> None:
    """Receive until the gateway ends; say why in `ended`."""
    try:
        await gateway.receive()
    except (TokenRefused, IntentsRefused, Died) as end:
        if not ended.done():
            ended.set_exception(end)


def _of(answer: Any, name: str) -> object:
    try:
        return answer[name]
    except (TypeError, KeyError, IndexError) as error:
        raise DeliveryFailed("Discord's answer is in no form of Discord's") from error


def _emoji(emoji: Json) -> str:
    return f"{emoji['name']}:{emoji['id']}" if emoji.get("id") else str(emoji["name"])


def _now() -> float:
    return asyncio.get_running_loop().time()
