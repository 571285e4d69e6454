"""People who talk to an installation through all that is killed under it: on the Telegram twin, or at terminals.

They know what they typed and what they saw; nothing here asks the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bench.installation import Installation
from client.control import Conversation
from client.errors import ControlError
from protocol.control import Say, Shown
from tests.chaos.oracle import Seen, Typed, read_event
from twins.telegram.refusal import Refusal
from twins.telegram.server import TelegramTwin
from twins.telegram.user_side import press, type_text

FIRST_PERSON = 5001
LOOK_EVERY_S = 0.1
AWAY_S = 1.5
"""How long a person leaves the terminal alone: longer than a slow answer takes."""


class People(Protocol):
    """What the world needs of them; people are numbers from 0."""

    async def type(self, person: int, message_id: str, wish: str) -> None:
        """Have a person type; returns when it is typed, whoever takes it in."""

    def typed(self, person: int) -> Sequence[Typed]: ...
    def seen(self, person: int) -> Sequence[Seen]: ...
    def chat(self, person: int) -> str:
        """The name that the product has for the person's chat."""

    def is_done(self) -> bool:
        """Whether everything that was to be typed is typed."""


class TelegramPeople:
    """They type into a service that keeps what nobody fetches: each message counts as accepted."""

    def __init__(self, twin: TelegramTwin, count: int) -> None:
        self._twin = twin
        self._typed: list[list[Typed]] = [[] for _ in range(count)]
        for number in range(count):
            twin.world.add_person(FIRST_PERSON + number, f"Person {number}")

    async def type(self, person: int, message_id: str, wish: str) -> None:
        self._typed[person].append(Typed(message_id=message_id))
        await type_text(self._twin.world, {"person": FIRST_PERSON + person, "text": f"{wish} {message_id}"})

    async def command(self, person: int, text: str) -> None:
        """Have a person type what no answer is counted for."""
        await type_text(self._twin.world, {"person": FIRST_PERSON + person, "text": text})

    def typed(self, person: int) -> Sequence[Typed]:
        return self._typed[person]

    def seen(self, person: int) -> Sequence[Seen]:
        messages = self._twin.world.messages_of_bot(self._twin.world.chat(FIRST_PERSON + person), 0)
        return [Seen(text=str(message.get("text", ""))) for message in messages]

    def chat(self, person: int) -> str:
        return f"telegram:{FIRST_PERSON + person}"

    def is_done(self) -> bool:
        return True

    def cards(self, person: int) -> list[str]:
        """Return the values of the buttons that the person sees, oldest message first."""
        messages = self._twin.world.messages_of_bot(self._twin.world.chat(FIRST_PERSON + person), 0)
        rows = [row for each in messages for row in each.get("reply_markup", {}).get("inline_keyboard", ())]
        return [button["callback_data"] for row in rows for button in row]

    async def press(self, person: int, value: str) -> None:
        """Have a person press a button, if it is still there."""
        with contextlib.suppress(Refusal):
            await press(self._twin.world, {"person": FIRST_PERSON + person, "value": value})

    async def pair(self, running: Installation, person: int, group: str) -> None:
        answer: Any = await running.control.request("pair", {"group": group, "channel": "telegram"})
        await type_text(self._twin.world, {"person": FIRST_PERSON + person, "text": answer["code"]})
        await wait_until(lambda: bool(self.seen(person)), 30)


class TerminalPerson:
    """One person at one terminal: says one thing at a time, comes back when the host went, now and then goes away."""

    def __init__(self, running: Installation, group: str) -> None:
        self.typed: list[Typed] = []
        self.seen: list[Seen] = []
        self._running = running
        self._group = group
        self._to_say: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._unsaid = 0
        self._conversation: Conversation | None = None
        self._attached = asyncio.Event()
        self._accepted: asyncio.Future[bool] | None = None
        self._connections = itertools.count(1)
        self._away_from: asyncio.Task[None] | None = None
        self.times_away = 0

    def type(self, message_id: str, wish: str) -> None:
        self._unsaid += 1
        self._to_say.put_nowait((message_id, wish))

    @property
    def is_done(self) -> bool:
        """Nothing is left to say, and the terminal is open to see what comes."""
        return self._unsaid == 0 and self._attached.is_set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._talk())
            while True:
                looking = group.create_task(self._look())
                self._away_from = looking
                await asyncio.wait([looking])
                await asyncio.sleep(AWAY_S if looking.cancelled() else LOOK_EVERY_S)

    async def _look(self) -> None:
        """Look at the chat until the host goes."""
        connection = next(self._connections)
        with contextlib.suppress(ControlError):
            async with self._running.control.chat(self._group) as conversation:
                self._conversation = conversation
                self._attached.set()
                try:
                    async for shown in conversation.shown():
                        self._note(shown, connection)
                finally:
                    self._attached.clear()
                    self._conversation = None
                    self._answer(is_accepted=False)

    def _note(self, shown: Shown, connection: int) -> None:
        if shown.kind == "message":
            self.seen.append(Seen(text=shown.text, connection=connection))
        elif shown.kind == "accepted":
            self._answer(is_accepted=bool(shown.text))

    def _answer(self, *, is_accepted: bool) -> None:
        if self._accepted is not None and not self._accepted.done():
            self._accepted.set_result(is_accepted)

    async def _talk(self) -> None:
        while True:
            message_id, wish = await self._to_say.get()
            is_accepted = await self._say(f"{wish} {message_id}")
            self.typed.append(Typed(message_id=message_id, is_accepted=is_accepted))
            self._unsaid -= 1
            if is_accepted and wish == "slow" and self._has_seen_all_but_last():
                # Nothing can come before the slow answer: what is shown to a terminal that goes would be lost on it.
                self._go_away()

    async def _say(self, text: str) -> bool:
        while True:
            await self._attached.wait()
            conversation = self._conversation
            if conversation is None:
                continue
            self._accepted = asyncio.get_running_loop().create_future()
            try:
                await conversation.say(Say(text=text))
            except ControlError:
                return False
            return await self._accepted

    def _has_seen_all_but_last(self) -> bool:
        answered = {each for seen in self.seen for each in read_event(seen.text) or ()}
        return all(each.message_id in answered for each in self.typed[:-1] if each.is_accepted)

    def _go_away(self) -> None:
        if self._away_from is not None:
            self.times_away += 1
            self._away_from.cancel()


class TerminalPeople:
    """`run` must be running."""

    def __init__(self, running: Installation, groups: Sequence[str]) -> None:
        self._groups = groups
        self._people = [TerminalPerson(running, group) for group in groups]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for person in self._people:
                group.create_task(person.run())

    async def type(self, person: int, message_id: str, wish: str) -> None:
        self._people[person].type(message_id, wish)

    def typed(self, person: int) -> Sequence[Typed]:
        return self._people[person].typed

    def seen(self, person: int) -> Sequence[Seen]:
        return self._people[person].seen

    def chat(self, person: int) -> str:
        return f"terminal:{self._groups[person]}"

    def is_done(self) -> bool:
        return all(person.is_done for person in self._people)

    @property
    def times_away(self) -> int:
        """How often somebody left the terminal while an answer was on its way."""
        return sum(person.times_away for person in self._people)


async def wait_until(holds: Callable[[], bool], timeout_s: float) -> None:
    """Look until a condition outside this process holds; raise TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            if holds():
                return
            await asyncio.sleep(LOOK_EVERY_S)
