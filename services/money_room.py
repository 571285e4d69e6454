"""The room of money, wired: it hears of the ends of tasks and of decisions, and people ask it by chat and verb."""

from __future__ import annotations

from runtime.approvals.approvals import Approvals
from runtime.commands.money import money_handlers
from runtime.control.money import money_verbs
from runtime.money.house import MoneyHouse
from runtime.store.store import Store
from runtime.task_ends import TaskEnds
from services.room import Room


def money_room(money: MoneyHouse, store: Store, approvals: Approvals, ends: TaskEnds) -> Room:
    """Return the room, listening to what it needs to hear of. What of it runs is `MoneyHouse.parts`."""
    approvals.subscribe("spending", money.spending.decided)
    ends.subscribe(money.task_ended)
    return Room(verbs=money_verbs(money.desk), handlers=money_handlers(money.desk, store))
