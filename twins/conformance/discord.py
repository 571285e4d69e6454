"""Every payload of the Discord twin, held against Discord's official OpenAPI description.

The description is fetched by whoever runs this (discord/discord-api-spec), never kept here. A walk with unmodified
discord.py and by direct calls plays what bots do; each request that was taken, each answer and each gateway event is
checked. Counted are kinds of payloads (`create_message 200`, `get_channel 404 10003`, `MESSAGE_CREATE`); a kind passes
when every payload of it did.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twins.conformance.discord_description import Description, read_description
from twins.conformance.discord_walk import ALL_OPERATIONS, walk
from twins.conformance.suite import Outcome
from twins.discord.rest.front import Exchange
from twins.discord.server import DiscordTwin

_NUMBERS = "discord.py writes ids as numbers, which Discord takes; the description has strings alone"
_EXTRAS = "discord.py sends a field that Discord ignores there and the description does not name"
REASONS: Mapping[str, str] = {
    "MESSAGE_CREATE forwarded": "a forward has a reference of type 1, as documented; the description has 0 alone",
    "create_message 400 50035": "nested errors have words as codes, as documented; the description has numbers",
    "bulk_delete_messages request": _NUMBERS,
    "create_dm request": _NUMBERS,
    "create_message request": f"{_NUMBERS}; embeds: {_EXTRAS}",
    "bulk_set_application_commands request": _EXTRAS,
    "create_interaction_response request": _EXTRAS,
    "update_message request": _EXTRAS,
    "update_original_webhook_message request": _EXTRAS,
    "update_webhook_message request": _EXTRAS,
}
"""Why a kind does not fit although the twin does what Discord does."""


class Judge:
    """Collects payloads and what is wrong with them."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self.seen: Counter[str] = Counter()
        self.wrong: dict[str, str] = {}
        self.undescribed: set[str] = set()
        self.played: set[str] = set()
        """The operations that were done, not refused."""

    def exchange(self, exchange: Exchange) -> None:
        """Judge a request, if it was taken, and its answer."""
        name, status = exchange.operation, exchange.status
        code = f" {exchange.answer['code']}" if status >= 400 else ""
        self._note(f"{name} {status}{code}", self._description.answer_errors(name, status, exchange.answer))
        if status < 300:
            self.played.add(name)
        if status < 300 and exchange.body not in (None, {}):
            self._note(f"{name} request", self._description.request_errors(name, exchange.body))

    def event(self, text: str | bytes) -> None:
        """Judge a payload that a client received from the gateway."""
        payload: dict[str, Any] = json.loads(text)
        if payload.get("t") is None:
            return
        errors = self._description.event_errors(payload["t"], payload["d"])
        if errors is None:
            self.undescribed.add(payload["t"])
        else:
            forwarded = " forwarded" if "message_snapshots" in payload["d"] else ""
            self._note(payload["t"] + forwarded, errors)

    def _note(self, kind: str, errors: list[str]) -> None:
        self.seen[kind] += 1
        if errors:
            reason = REASONS.get(kind, "for no reason that is known")
            self.wrong.setdefault(kind, f"{'; '.join(errors[:3])} ({reason})")


async def check_payloads(checkout: Path) -> Outcome:
    """Play the walk and judge what went over the wire; raise OSError where there is no description."""
    judge = Judge(read_description(checkout))
    twin = DiscordTwin(limits=False)
    twin.front.watchers.append(judge.exchange)
    async with twin.serve():
        await walk(twin, judge.event)
    print(f"{judge.seen.total()} payloads of {len(judge.seen)} kinds; not described: {sorted(judge.undescribed)}")
    for operation in sorted(ALL_OPERATIONS - judge.played):
        judge.wrong[operation] = "the walk does not play it"
    return Outcome(
        passed=len(judge.seen.keys() - judge.wrong.keys()), failed=judge.wrong, skipped=len(judge.undescribed)
    )
