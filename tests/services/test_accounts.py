"""Several accounts of a platform in one host, each with its own people, files and troubles; and a chat that is told to
wait, which holds up no other: the real channels at their twins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from channels.channel import Channel
from channels.telegram.channel import TelegramChannel
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey
from protocol.message import OutboundMessage
from runtime.store.records import Binding, MessageState
from runtime.unwell import TOKEN_REFUSED
from tests.channels.telegram.support import QUICK
from tests.scripted_house import House, scripted_house
from twins.telegram.server import TelegramTwin
from twins.telegram.user_side import move, type_text
from twins.telegram.world import YARD

ADA = 1001
SUPERGROUP = -1_009_999
TIMEOUT_S = 30
NAMES = ("home", "work")
SETTINGS = "".join(
    f"  {name}: {{platform: telegram, group: {group}, secret: {name}-token}}\n"
    for name, group in zip(NAMES, ("main", "side"), strict=True)
)


@dataclass(slots=True)
class Account:
    """One of them: its bot's twin, and how often its token was asked for."""

    name: str
    twin: TelegramTwin
    token: str
    fetched: int = 0

    async def fetch(self) -> str:
        self.fetched += 1
        return self.token

    async def type(self, text: str, person: int = ADA) -> None:
        await type_text(self.twin.world, {"person": person, "text": text})

    def said(self, person: int = ADA) -> list[str]:
        """Return what the bot has said to somebody."""
        world = self.twin.world
        return [str(message.get("text", "")) for message in world.messages_of_bot(world.chat(person), 0)]


@dataclass(slots=True)
class Accounts:
    house: House
    by_name: dict[str, Account]

    @property
    def home(self) -> Account:
        return self.by_name["home"]

    @property
    def work(self) -> Account:
        return self.by_name["work"]

    async def until(self, holds: Callable[[], bool | Awaitable[bool]]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not (held if isinstance(held := holds(), bool) else await held):
                await self.house.store.recent_messages(1)


@asynccontextmanager
async def accounts(folder: Path) -> AsyncIterator[Accounts]:
    async with AsyncExitStack() as stack:
        made: dict[str, Account] = {}
        channels: dict[str, Channel] = {}
        for number, name in enumerate(NAMES, 1):
            token = f"{number}2345:{'A' * 35}"
            twin = TelegramTwin(token)
            url = await stack.enter_async_context(twin.serve())
            account = made[name] = Account(name, twin, token)
            kept = folder / f"{name}.json"
            channels[name] = TelegramChannel(ChannelId(name), account.fetch, url, QUICK, kept=kept)
        house = await stack.enter_async_context(scripted_house(folder, f"channels:\n{SETTINGS}", channels))
        for name, group in zip(NAMES, ("main", "side"), strict=True):
            await house.store.save_person(PersonKey(f"{name}:{ADA}"), "Ada", "owner", "cli")
            chat = ChatKey(f"{name}:{ADA}")
            await house.store.bind(Binding(chat=chat, chat_kind="direct", group_id=GroupId(group), added_by="cli"))
        yield Accounts(house, made)


async def test_two_accounts_of_a_platform_are_two_channels(tmp_path: Path) -> None:
    """The same person's same ids are two chats with two agents; each answer goes back to where it was asked, in order,
    and each keeps its own files."""
    async with accounts(tmp_path) as there:
        for number in range(5):
            await there.home.type(f"h{number}")
            await there.work.type(f"w{number}")
        await there.until(lambda: len(there.home.said()) >= 5 and len(there.work.said()) >= 5)
        await there.house.delivery.settled()
        assert there.home.said() == [f"You said h{number}" for number in range(5)]
        assert there.work.said() == [f"You said w{number}" for number in range(5)]
        messages = await there.house.store.recent_messages(20)
        assert {(each.inbound.chat, each.group_id) for each in messages} == {
            ("home:1001", "main"),
            ("work:1001", "side"),
        }
        assert (there.home.fetched, there.work.fetched) == (1, 1)


async def test_a_revoked_token_is_one_accounts_trouble(tmp_path: Path) -> None:
    """The other one goes on; what is to go out waits, and goes when the token is good again."""
    async with accounts(tmp_path) as there:
        await there.home.type("one")
        await there.until(lambda: there.home.said() == ["You said one"])
        broken, well = (there.house.state.channels[ChannelId(name)] for name in NAMES)
        there.home.twin.world.token = f"12345:{'B' * 35}"
        await there.home.type("ends the poll that was under way")
        await there.until(lambda: broken.health().startswith(TOKEN_REFUSED))
        await there.work.type("two")
        await there.until(lambda: there.work.said() == ["You said two"])
        assert well.health() == "ok"
        await there.house.store.put_outbound("late/1", OutboundMessage(chat=ChatKey(f"home:{ADA}"), text="later"))
        there.house.delivery.wake()
        there.home.twin.world.token = there.home.token
        await there.until(lambda: broken.health() == "ok" and "later" in there.home.said())


async def test_a_chat_that_is_told_to_wait_waits_alone(tmp_path: Path) -> None:
    """Telegram refuses one chat's message for a minute: it waits so long, and what is said in other chats, of this
    account and the other, goes at once."""
    async with accounts(tmp_path) as there:
        store, world = there.house.store, there.home.twin.world
        for person in (1002, 1003):
            await store.save_person(PersonKey(f"home:{person}"), "Ben", "member", "cli")
            chat = ChatKey(f"home:{person}")
            await store.bind(Binding(chat=chat, chat_kind="direct", group_id=GroupId("main"), added_by="cli"))
            await type_text(world, {"person": person, "text": f"hello of {person}"})
            await there.until(lambda person=person: len(there.home.said(person)) == 1)  # type: ignore[misc]
        world.faults.add({"kind": "flood", "method": "sendMessage", "count": 1, "retry_after": 60})
        await there.home.type("first")

        async def is_put_off() -> bool:
            rows = await store.read(
                lambda transaction: transaction.connection.execute(
                    "SELECT state, attempts, reason FROM outbox WHERE chat = 'home:1001'"
                ).fetchall()
            )
            found = [(row["state"], row["attempts"], "Flood control" in row["reason"]) for row in rows]
            return found == [("pending", 1, True)]

        await there.until(is_put_off)
        for person in (1002, 1003):
            await type_text(world, {"person": person, "text": "again"})
        await there.work.type("second")
        await there.until(lambda: all(len(there.home.said(person)) == 2 for person in (1002, 1003)))
        await there.until(lambda: there.work.said() == ["You said second"])
        assert there.home.said() == []


async def test_a_group_that_becomes_a_supergroup_goes_on(tmp_path: Path) -> None:
    """Its agent answers under the new key as under the former."""
    async with accounts(tmp_path) as there:
        store, world = there.house.store, there.home.twin.world
        former, new = ChatKey(f"home:{YARD}"), ChatKey(f"home:{SUPERGROUP}")
        await store.bind(Binding(chat=former, chat_kind="many", group_id=GroupId("main"), added_by="cli"))
        await move(world, {"chat": YARD, "to": SUPERGROUP})

        async def is_moved() -> bool:
            return {each.chat for each in await store.bindings() if each.chat_kind == "many"} == {new}

        await there.until(is_moved)
        await type_text(world, {"person": ADA, "chat": SUPERGROUP, "text": "@rehearsal_bot still here?"})

        async def is_answered() -> bool:
            found = await store.recent_messages(1)
            return [(each.inbound.chat, each.state) for each in found] == [(new, MessageState.ANSWERED)]

        await there.until(is_answered)
