"""The lasting room, wired: traces, undo, dead letters, exports, forgetting, retention."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import TaskId
from runtime.commands.history import history_handlers
from runtime.commands.letters import letter_handlers
from runtime.control.export import export_verbs
from runtime.control.forget import forget_verbs
from runtime.control.history import history_verbs
from runtime.control.letters import letter_verbs
from runtime.control.trace import trace_verbs
from runtime.history.history import Histories
from runtime.history.undo import UndoDesk
from runtime.home import Home
from runtime.host_state import HostState
from runtime.lasting.export import ExportDesk
from runtime.lasting.forget import ForgetDesk
from runtime.lasting.letters import LetterDesk, LetterEnds
from runtime.lasting.retention import Retention
from runtime.lasting.trace import TraceDesk
from runtime.retry_task import retry_task
from runtime.sessions.archive import SessionArchive
from runtime.store.store import Store
from services.room import Room


def lasting_room(
    home: Home,
    store: Store,
    proxy: ProxyAdmin,
    state: HostState,
    histories: Histories,
    *,
    wake_dispatcher: Callable[[], None],
    wake_schedules: Callable[[], None],
    wake_delivery: Callable[[], None],
    wake_intake: Callable[[], None],
    drop_index: Callable[[], Awaitable[None]],
) -> Room:
    """Return the room; the wakes say that tasks, runs, deliveries or updates wait again. `drop_index`: deletes what
    searches are made in, which holds words that are to go."""

    async def try_task(task_id: TaskId, by: str) -> None:
        await retry_task(store, wake_dispatcher, task_id, by)

    undo = UndoDesk(histories, store, proxy)
    letters = LetterDesk(
        store, LetterEnds(task=try_task, run=wake_schedules, delivery=wake_delivery, update=wake_intake)
    )
    traces = TraceDesk(store, proxy, lambda: state.groups.rehearsing)
    retention = Retention(home, store, lambda: state.settings.settings.keep_days, drop_index)
    forgetting = ForgetDesk(home, store, histories, drop_index, lambda: state.channels)
    return Room(
        verbs={
            **trace_verbs(traces),
            **history_verbs(undo, lambda: state.groups),
            **letter_verbs(letters),
            **export_verbs(ExportDesk(store)),
            **forget_verbs(forgetting),
        },
        handlers={**history_handlers(undo, store), **letter_handlers(letters, store)},
        parts=(histories.run, letters.run, retention.run, SessionArchive(store, state).run),
    )
