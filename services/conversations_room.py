"""The room of conversations, wired: sessions, models, skills, tasks, memory, pauses, menus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.commands.house import house_handlers
from runtime.commands.memory import memory_handlers
from runtime.commands.models import model_handlers
from runtime.commands.pauses import pause_handlers
from runtime.commands.sessions import session_handlers
from runtime.commands.stop import stop_handlers
from runtime.commands.work import work_handlers
from runtime.control.conversations import conversation_verbs
from runtime.control.house import house_verbs
from runtime.home import Home
from runtime.host_state import HostState
from runtime.memory_desk import MemoryDesk
from runtime.memory_files import MemoryFiles
from runtime.menu_keeper import MenuKeeper
from runtime.model_book import ModelBook
from runtime.operations import Operations
from runtime.pauses import Pauses
from runtime.recall.room import Recall
from runtime.schedules.zones import zone_of
from runtime.sessions.compaction import Compactor
from runtime.sessions.desk import SessionDesk
from runtime.sessions.keeper import SessionKeeper
from runtime.store.store import Store
from runtime.submissions import Submissions
from runtime.task_ends import TaskEnds
from services.room import Room


def conversations_room(
    home: Home,
    fork: Path,
    store: Store,
    state: HostState,
    submissions: Submissions,
    operations: Operations,
    *,
    models: ModelBook,
    recall: Recall,
    pauses: Pauses,
    ends: TaskEnds,
    wake_delivery: Callable[[], None],
) -> Room:
    """Return the room, listening to what it needs to hear of."""
    compactor = Compactor(store, submissions, wake_delivery)
    sessions = SessionDesk(store, home, compactor, lambda: zone_of(state.settings.settings.time_zone))
    memory = MemoryDesk(store, MemoryFiles(home), recall)
    keeper = SessionKeeper(store, state)
    menus = MenuKeeper(store, lambda: state.channels)
    ends.subscribe(compactor.task_ended)
    state.when_reloaded(keeper.wake)
    state.when_reloaded(menus.wake)
    return Room(
        verbs={
            **house_verbs(operations),
            **conversation_verbs(store, state, fork, sessions=sessions, models=models, memory=memory, pauses=pauses),
        },
        handlers={
            **stop_handlers(operations, compactor, store),
            **house_handlers(operations, store),
            **session_handlers(sessions, pauses, store),
            **pause_handlers(pauses, store),
            **model_handlers(models, store),
            **memory_handlers(memory, store, recall),
            **work_handlers(store, state, fork, pauses),
        },
        parts=(compactor.run, keeper.run, menus.run),
    )
