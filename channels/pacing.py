"""Wait for an account's pace, or say that it is too long to wait."""

from __future__ import annotations

import asyncio

from channels.channel import NotYet
from channels.pace import Key, Pace

LONGEST_WAIT_S = 1.0
"""Longer waits are the outbox's: there other chats have their turn meanwhile."""


async def wait_for_turn(pace: Pace[Key], key: Key, cost: float = 1.0) -> None:
    """Return when the call may be made, which is then counted; raise NotYet if that is more than a second away."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LONGEST_WAIT_S
    while (wait_s := pace.wait_s(key, now := loop.time(), cost)) > 0:
        if now + wait_s > until:
            raise NotYet(f"the platform's pace allows no more for {wait_s:.1f} s", retry_after_s=wait_s)
        await asyncio.sleep(wait_s)
    pace.took(key, now, cost)


def take_courtesy_turn(pace: Pace[Key], key: Key, cost: float = 1.0) -> None:
    """Count a call that only shows work, made now; raise NotYet while all room is left to what must be said."""
    now = asyncio.get_running_loop().time()
    wait_s = pace.wait_s(key, now, cost, is_courtesy=True)
    if wait_s > 0:
        raise NotYet(f"what must be said has the next {wait_s:.1f} s", retry_after_s=wait_s)
    pace.took(key, now, cost)
