"""All methods that the twin knows, by name."""

from __future__ import annotations

from twins.slack.methods import account, chat, conversations
from twins.slack.methods.method import Methods

METHODS: Methods = {**account.METHODS, **chat.METHODS, **conversations.METHODS}
