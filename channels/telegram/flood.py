"""How fast Telegram lets a bot speak, and whose word a 429 is. Pure.

Published: about a message a second in one chat, short bursts aside, 20 a minute in a group, 30 a second of the whole
account; long messages meet the limit sooner. We stay a little below, so that it is seldom met.
"""

from __future__ import annotations

from dataclasses import dataclass

from channels.pace import Pace, Rate

LONG_TEXT_CHARS = 500
SAME_FLOOD_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    account: Rate
    chat: Rate
    group: Rate
    """Of a group, besides `chat`."""
    growing_per_s: float
    """Changes of growing answers, of all chats together: well below the account's, so that others have room."""

    def times(self, factor: float) -> Rates:
        """Return the rates of a platform so many times as fast: a twin's."""
        return Rates(
            account=_times(self.account, factor),
            chat=_times(self.chat, factor),
            group=_times(self.group, factor),
            growing_per_s=self.growing_per_s * factor,
        )


PUBLISHED = Rates(
    account=Rate(calls=28, in_s=1.0, reserve=10),
    chat=Rate(calls=4, in_s=4.2, reserve=2),
    group=Rate(calls=18, in_s=60.0, reserve=6),
    growing_per_s=15.0,
)


def build_pace(rates: Rates) -> Pace[int]:
    """Return the pace of an account; its keys are chat ids: Telegram counts the topics of a chat together."""
    return Pace((rates.account,), lambda chat_id: (rates.chat,) if chat_id > 0 else (rates.chat, rates.group))


def text_cost(text: str) -> float:
    """Return as how many messages a text counts."""
    return 2.0 if len(text) > LONG_TEXT_CHARS else 1.0


class Floods:
    """Tells a chat's 429 from the account's: Telegram does not say which it is. Two chats that are told to wait within
    moments are the account."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def whose(self, chat_id: int, now: float) -> int | None:
        """Return the chat that is to wait, None for all of them."""
        before, self._last = self._last, (chat_id, now)
        is_account = before is not None and before[0] != chat_id and now - before[1] <= SAME_FLOOD_S
        return None if is_account else chat_id


def _times(rate: Rate, factor: float) -> Rate:
    return Rate(calls=rate.calls, in_s=rate.in_s / factor, reserve=rate.reserve)
