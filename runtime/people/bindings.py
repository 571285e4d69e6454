"""Which agent of a chat a message is for, and whether it is meant for it at all. Pure.

A message is for one agent: the one that it names first (`@main`, `main:`, `main,`), else the default one if it mentions
the bot or presses a button, else one whose pattern it matches, one that follows the thread, one that answers always.
Whether its sender may ask is access.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocol.message import InboundMessage
from runtime.people.pattern import matches
from runtime.store.records import Binding, Followed

_NAMED = re.compile(r"\s*(?:@([a-z0-9-]{1,32})\b|([a-z0-9-]{1,32})[:,])(?![a-z0-9/-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    binding: Binding
    is_meant: bool
    """False: the binding's `rest` says what becomes of the message."""


def choose_binding(
    inbound: InboundMessage, bindings: Sequence[Binding], followed: Sequence[Followed], now: datetime
) -> Chosen | None:
    """Return the agent that a message is for; None where the chat has none. `bindings`: the default one first."""
    if not bindings:
        return None
    if inbound.kind == "press":
        return Chosen(binding=bindings[0], is_meant=True)
    meant = inbound.kind == "message"
    found = (
        _named(inbound.text, bindings)
        or (bindings[0] if inbound.mentions_me else None)
        or next((each for each in bindings if each.when == "pattern" and matches(each.pattern, inbound.text)), None)
        or _following(bindings, followed, now)
        or next((each for each in bindings if each.when == "always"), None)
    )
    return Chosen(binding=found or bindings[0], is_meant=meant and found is not None)


def _named(text: str, bindings: Sequence[Binding]) -> Binding | None:
    found = _NAMED.match(text)
    name = (found[1] or found[2]).lower() if found else ""
    return next((each for each in bindings if each.group_id == name), None)


def _following(bindings: Sequence[Binding], followed: Sequence[Followed], now: datetime) -> Binding | None:
    """Return the agent that was spoken to in this thread last, if it still follows it."""
    spoken_at = {each.group_id: each.spoken_at for each in followed}
    candidates = [
        each
        for each in bindings
        if each.when == "sticky" and each.group_id in spoken_at and _is_fresh(each, spoken_at[each.group_id], now)
    ]
    return max(candidates, key=lambda each: spoken_at[each.group_id], default=None)


def _is_fresh(binding: Binding, spoken_at: str, now: datetime) -> bool:
    return now - datetime.fromisoformat(spoken_at) < timedelta(minutes=binding.sticky_minutes)
