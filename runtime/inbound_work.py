"""Has work begin that no person brought: an update of a channel on which nobody talks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from channels.channel import BringsWork, Undecodable, Work
from runtime.inbound_text import clean
from runtime.insist import insist
from runtime.store.records import RawUpdate
from runtime.store.store import Store

log = logging.getLogger(__name__)


async def file_work(
    store: Store, channel: BringsWork, update: RawUpdate, begin: Callable[[int, Work], Awaitable[str]] | None
) -> None:
    """Hand an update's work to `begin`, which files it; what cannot be work is a dead letter, with the reason."""
    try:
        work = channel.work_of(update.raw)
    except Undecodable as error:
        work, fault = None, error.reason
    except Exception as error:  # a decoder's bug must not end the intake of all channels
        log.exception("%s could not be decoded", update.event_id, extra={"action": "decoder_raised"})
        work, fault = None, f"the decoder failed: {type(error).__name__}"
    else:
        fault = await begin(update.raw_id, work) if work is not None and begin is not None else ""
    if fault:
        log.warning("a dead letter: %s", fault, extra={"action": "dead_letter", "channel_id": update.channel_id})
        await insist(partial(store.file_dead_letter, update.raw_id, clean(fault)), "a dead letter")
    elif work is None:
        await insist(partial(store.file_nothing, update.raw_id), "an update")
