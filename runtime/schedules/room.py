"""The parts of this room, put together: who keeps schedules by the clock, and who is asked about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from protocol.ids import ChatKey, GroupId
from runtime.schedules.desk import AddressBook, ScheduleDesk, Surroundings
from runtime.schedules.keeper import ScheduleKeeper, SubmissionRoom
from runtime.schedules.zones import zone_of
from runtime.store.store import Store


class Schedules:
    """One for the whole host: run `keeper.run`, tell `keeper.task_ended` of ends, `keeper.wake` of what is let go."""

    def __init__(
        self,
        store: Store,
        submissions: SubmissionRoom,
        around: Surroundings,
        *,
        owner_chats: Callable[[], Awaitable[tuple[ChatKey, ...]]],
        is_held: Callable[[GroupId], bool],
        addresses: AddressBook,
        wake_delivery: Callable[[], None],
    ) -> None:
        self.keeper = ScheduleKeeper(
            store,
            submissions,
            owner_chats=owner_chats,
            is_held=is_held,
            zone_of=zone_of,
            wake_delivery=wake_delivery,
        )
        self.desk = ScheduleDesk(store, submissions, around, addresses=addresses, wake=self.keeper.wake)
