"""All methods that the twin knows, by name."""

from __future__ import annotations

from twins.slack.methods import (
    account,
    assistant,
    calls,
    canvases,
    chat,
    conversations,
    files,
    marks,
    remote_files,
    rooms,
    scheduled,
    streams,
    users,
    views,
)
from twins.slack.methods.method import Methods

METHODS: Methods = {
    **account.METHODS,
    **assistant.METHODS,
    **calls.METHODS,
    **canvases.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **marks.METHODS,
    **remote_files.METHODS,
    **rooms.METHODS,
    **scheduled.METHODS,
    **streams.METHODS,
    **users.METHODS,
    **views.METHODS,
}
