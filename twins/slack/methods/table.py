"""All methods that the twin knows, by name."""

from __future__ import annotations

from twins.slack.methods import (
    account,
    assistant,
    chat,
    conversations,
    files,
    marks,
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
    **chat.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **marks.METHODS,
    **rooms.METHODS,
    **scheduled.METHODS,
    **streams.METHODS,
    **users.METHODS,
    **views.METHODS,
}
