"""How long a message waits for those after it: people write in bursts, and apps cut long texts into pieces. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.store.records import StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """For how long more is waited for, in seconds."""

    burst_s: float = 1.5
    """After a message of a chat that collects them."""
    piece_s: float = 3.0
    """After a piece of a text: apps send them one after the other, within a second or two on a slow phone."""
    longest_s: float = 10.0
    """After the first message, however long somebody goes on: they are answered all the same."""


USUAL_HOLDS = Holds()


def hold_s(message: StoredMessage, holds: Holds = USUAL_HOLDS) -> float:
    """Return for how long after this message more is waited for; 0: it is answered at once, with what waits already, as
    everything with a file is, and every button. A piece waits in every mode: it is no message of its own."""
    inbound = message.inbound
    if inbound.attachments or inbound.kind != "message":
        return 0.0
    if inbound.is_piece:
        return holds.piece_s
    return holds.burst_s if message.mode == "collect" else 0.0
