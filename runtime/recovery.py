"""What a start does before anything new is done: says what an earlier host left, and puts cut-off deliveries back.

The rest mends itself where it lives: intake reads the updates that were stored and not filed, and the commands not yet
carried out; the dispatcher takes up the tasks; the containers' reaper removes what nobody owns.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from runtime.retry import MAX_RETRY_AFTER_S
from runtime.store.outbox_rows import follow_the_clock
from runtime.store.store import Store

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(seconds=MAX_RETRY_AFTER_S + 1)
"""No delivery is put off for longer at once."""


async def recover(store: Store) -> None:
    """Put deliveries back that were under way, and log what there is to go on with."""
    await store.write(follow_the_clock, LONGEST_WAIT)
    cut_off = await store.recover_outbox()
    for row in cut_off:
        extra = {"action": "delivery_repeated", "outbox_id": row.outbox_id, "channel_id": row.channel_id}
        log.warning("a delivery was cut off; it may reach its chat twice", extra=extra)
    status = await store.status()
    if status.running_tasks or status.queued or status.outbox_waiting:
        extra = {"tasks": status.running_tasks, "messages": status.queued, "deliveries": status.outbox_waiting}
        log.info("going on where the last host ended", extra={"action": "recovering", **extra})
