"""The room of programs, wired: their register and desk, task.sock, and the OpenAI-compatible endpoint."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from protocol.ids import TaskId
from runtime.control.programs import program_verbs
from runtime.home import Home
from runtime.host_state import HostState
from runtime.programs.desk import ProgramDesk
from runtime.programs.register import Programs
from runtime.programs.sent_files import SentFiles
from runtime.programs.task_server import TaskServer
from runtime.store.store import Store
from runtime.submissions import Submissions
from runtime.task_listeners import TaskListeners
from services.room import Room

log = logging.getLogger(__name__)

MB = 1 << 20


def programs_room(
    home: Home,
    fork: Path,
    store: Store,
    state: HostState,
    submissions: Submissions,
    listeners: TaskListeners,
    *,
    settle: Callable[[TaskId], Awaitable[None]],
    changed: Callable[[], Awaitable[None]],
) -> Room:
    """Return the room. `settle` returns when the store knows what a task has used; `changed` is told that a program was
    added or revoked."""
    desk = ProgramDesk(
        store,
        submissions,
        Programs(store, lambda: state.groups, changed),
        state,
        fork,
        settle=settle,
        is_stopping=lambda: state.is_stopping,
    )
    files = SentFiles(
        home.inbox,
        lambda group: group in state.groups.ready or group in state.groups.suspended,
        lambda: state.settings.settings.attachments_mb * MB,
    )
    server = TaskServer(home.task_socket, desk)

    async def serve_openai() -> None:
        port = state.settings.settings.api.port
        if not port:
            return
        from runtime.programs.openai_door import OpenAiDoor  # late: h11, and most hosts have no such door

        try:
            await OpenAiDoor(port, desk, listeners).run()
        except OSError as error:
            extra = {"action": "api_not_listening", "port": port}
            log.error("api.port %d of nightyard.yaml cannot be used: %s", port, error.strerror, extra=extra)

    return Room(verbs=program_verbs(desk, files), parts=(server.run, serve_openai))
