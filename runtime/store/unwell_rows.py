"""Rows of what owners were told of channels that do not work: flags, under the channel's name.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader).
"""

from __future__ import annotations

from protocol.ids import ChannelId
from runtime.store.database import Transaction

_FLAG = "unwell:"


def note_told(transaction: Transaction, channel_id: ChannelId, *, is_told: bool) -> None:
    now = transaction.now_text()
    transaction.run("set_flag", name=f"{_FLAG}{channel_id}", value=int(is_told), set_by="host", set_at=now)


def told_of(transaction: Transaction) -> frozenset[ChannelId]:
    """Return the channels of which an owner was told, and which have not worked since."""
    rows = transaction.all("flags_set", first=_FLAG, last=f"{_FLAG}~")
    return frozenset(ChannelId(row["name"].removeprefix(_FLAG)) for row in rows)
