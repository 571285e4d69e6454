"""How long a message that is to be collected waits for others: people write in bursts, and long pastes come in pieces.
Pure.
"""

from __future__ import annotations

from runtime.store.records import StoredMessage

BURST_S = 1.5
LONG_PASTE_CHARS = 3_000
"""Platforms cut longer texts: Discord at 2,000, Telegram at 4,096 characters. The next piece is on its way."""
LONG_PASTE_S = 4.0


def hold_s(message: StoredMessage) -> float:
    """Return for how long after this message more is waited for; 0: it is answered at once, with what waits already, as
    everything with a file is, and every button."""
    inbound = message.inbound
    if message.mode != "collect" or inbound.attachments or inbound.kind != "message":
        return 0.0
    return LONG_PASTE_S if len(inbound.text) >= LONG_PASTE_CHARS else BURST_S
