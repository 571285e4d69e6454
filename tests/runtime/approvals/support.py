"""Words for the tests of approvals: a store with people in it, a clock that a test moves, and questions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from protocol.ids import ChatKey, GroupId, PersonKey
from protocol.message import InboundMessage
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import NewApproval
from runtime.store.records import MessageState, OutboxRow, Role
from runtime.store.store import Store, open_store
from tests.runtime.store.support import ANNA, MAIN, said

OLGA, OTTO, ADA, MAX, GUS = (PersonKey(f"telegram:{number}") for number in (1, 2, 3, 4, 5))
PEOPLE: dict[PersonKey, Role] = {
    OLGA: "owner",
    OTTO: "owner",
    ADA: "admin",
    MAX: "member",
    GUS: "guest",
    ANNA: "member",
}
STRANGER = PersonKey("telegram:6")
PUSH = NewApproval(
    kind="tool",
    group_id=MAIN,
    payload={"tool": "shell", "arguments": {"command": "git push"}},
    summary="The tool shell.",
    scope_offers=("command",),
)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Room:
    """Approvals on a real store."""

    def __init__(self, store: Store, clock: Clock, folder: Path) -> None:
        self.store = store
        self.clock = clock
        self.folder = folder
        self.woken = 0
        self.approvals = self.restarted()

    def restarted(self) -> Approvals:
        """Approvals as a restarted host would make them."""
        return Approvals(
            self.store, wake_delivery=self._wake, zone_name=lambda: "Europe/Berlin", files=lambda group: self.folder
        )

    def _wake(self) -> None:
        self.woken += 1

    async def cards(self) -> list[OutboxRow]:
        """Take all that would be said, and have it sent."""
        sent: list[OutboxRow] = []
        while rows := await self.store.claim_outbox():
            for row in rows:
                await self.store.outbox_dead(row.outbox_id, "seen by the test")
            sent += [row for row in rows if row.message.act == "say"]
        return sent


@asynccontextmanager
async def room(folder: Path) -> AsyncIterator[Room]:
    clock = Clock()
    async with open_store(folder, clock=clock) as store:
        for person, role in PEOPLE.items():
            await store.save_person(person, person, role, "cli")
            await speak(store, person)
        yield Room(store, clock, folder)


def chat_of(person: PersonKey) -> ChatKey:
    """Return a person's direct chat."""
    return ChatKey(f"{person}0")


async def speak(store: Store, person: PersonKey) -> None:
    """Have a person say something in their direct chat, so that it is known."""
    await hear(store, replace(said(person=person), chat=chat_of(person)), MAIN)


async def hear(store: Store, inbound: InboundMessage, group: GroupId) -> None:
    """File a message that was said to a group."""
    update = await store.store_raw(inbound.channel_id, inbound.event_id, b"raw")
    assert update is not None
    await store.file_message(update.raw_id, inbound, state=MessageState.CONTEXT, group_id=group)
