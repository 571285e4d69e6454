"""How long a message waits for those after it: people write in bursts, and apps cut long texts into pieces. Pure."""

from __future__ import annotations

from runtime.store.records import StoredMessage

BURST_S = 1.5
PIECE_S = 3.0
"""Apps send the pieces of a text one after the other, within a second or two on a slow phone."""


def hold_s(message: StoredMessage) -> float:
    """Return for how long after this message more is waited for; 0: it is answered at once, with what waits already, as
    everything with a file is, and every button. A piece waits in every mode: it is no message of its own."""
    inbound = message.inbound
    if inbound.attachments or inbound.kind != "message":
        return 0.0
    if inbound.is_piece:
        return PIECE_S
    return BURST_S if message.mode == "collect" else 0.0
