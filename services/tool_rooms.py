"""The rooms that agents come to by tools of the host, wired: what they send, ask people, look for, and share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from credproxy.admin_client.link import ProxyAdmin
from runtime.approvals.house import DecisionHouse
from runtime.asks.questions import UserQuestions
from runtime.asks.sending import Sending
from runtime.home import Home
from runtime.host_state import HostState
from runtime.money.spending import Spending
from runtime.people.destinations import Destinations
from runtime.recall.meaning import Meaning
from runtime.recall.room import Recall
from runtime.schedules.zones import zone_of
from runtime.spaces.room import Spaces
from runtime.store.store import Store
from runtime.task_ends import TaskEnds
from runtime.waiting_tasks import WaitingTasks
from services.asks_room import asks_room
from services.recall_room import recall_room
from services.room import Room
from services.spaces_room import spaces_room


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRooms:
    """What tasks and other rooms know of them; and the rooms."""

    sending: Sending
    questions: UserQuestions
    recall: Recall
    spaces: Spaces
    rooms: tuple[Room, ...]


def tool_rooms(
    home: Home,
    fork: Path,
    store: Store,
    proxy: ProxyAdmin,
    state: HostState,
    decisions: DecisionHouse,
    money: Spending,
    *,
    destinations: Destinations,
    waiting: WaitingTasks,
    ends: TaskEnds,
    wake_delivery: Callable[[], None],
) -> ToolRooms:
    """Return the rooms, answering the questions of their tools."""
    taints = decisions.taints
    sending = Sending(
        store,
        destinations,
        lambda: state.channels,
        wake_delivery,
        taint_of=taints.taint_of,
        groups=lambda: state.groups,
    )
    questions = UserQuestions(
        store, waiting, wake_delivery=wake_delivery, zone=lambda: zone_of(state.settings.settings.time_zone)
    )
    meaning = Meaning(home, proxy, money, groups=lambda: state.groups, routes=lambda: state.settings.settings.routes)
    recall = Recall(home, store, taint_of=taints.taint_of, mark=taints.mark, meaning=meaning)
    spaces = Spaces(home, store, taint_of=taints.taint_of, mark=taints.mark)
    return ToolRooms(
        sending=sending,
        questions=questions,
        recall=recall,
        spaces=spaces,
        rooms=(
            asks_room(state, sending, questions, waiting=waiting, ends=ends),
            recall_room(recall, state, waiting),
            spaces_room(fork, spaces, store, state),
        ),
    )
