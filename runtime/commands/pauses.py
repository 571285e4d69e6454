"""/pause: holds an agent back in all its chats, until somebody says /resume."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.ids import GroupId
from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.asker import group_here
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.pauses import BUDGET, Pauses
from runtime.store.pause_rows import Pause
from runtime.store.store import Store

MAX_REASON_CHARS = 200
_BUTTONS = (Button(label="Go on", value="/resume"),)


def pause_handlers(pauses: Pauses, store: Store) -> HandlerTable:
    """Return the handler of /pause. /resume is that of conversations (`commands/sessions.py`)."""

    async def pause(given: Given) -> Answer:
        group_id = await group_here(store, given)
        reason = clean_reason(given.command.rest)
        is_new = await pauses.pause(group_id, by=given.message.inbound.person, reason=reason)
        return Answer(text=build_paused(group_id, is_new=is_new), buttons=_BUTTONS)

    return {"pause": pause}


def clean_reason(text: str) -> str:
    """Return a person's reason, fit to be shown."""
    return escape(" ".join(text.split()))[:MAX_REASON_CHARS].rstrip(".")


def build_paused(group_id: GroupId, *, is_new: bool) -> str:
    if not is_new:
        return f"{group_id} is paused already. /resume lifts that."
    return f"⏸ {group_id} is paused in all its chats. What runs goes on, messages are kept; /resume lifts it."


def pauses_text(held: Sequence[Pause]) -> str:
    """Return why a group is held back."""
    reasons = [each.reason or "somebody said /pause" for each in held]
    return f"it is paused: {', '.join(reasons)}"


async def lift(pauses: Pauses, group_id: GroupId) -> str:
    """Let a group go on as far as people may; return what they are told."""
    is_lifted = await pauses.resume(group_id)
    left = pauses.of(group_id)
    if left:
        way = "/budget raises it" if any(each.cause == BUDGET for each in left) else "/status tells more"
        return f"{group_id} is still paused ({', '.join(each.reason or each.cause for each in left)}): {way}."
    return f"▶ {group_id} goes on." if is_lifted else f"{group_id} was not paused."
