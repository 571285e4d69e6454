"""The updates that wait for the bot: kept for a day, until they are confirmed, of the kinds that it allowed."""

from __future__ import annotations

import itertools

from twins.clock import Clock
from twins.event_log import EventLog
from twins.faults import Faults
from twins.telegram.chats import Json

KEPT_S = 86_400.0
KINDS = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
)
DEFAULT_KINDS = frozenset(KINDS) - {"message_reaction", "message_reaction_count", "chat_member"}


class Updates:
    def __init__(self, clock: Clock, log: EventLog, faults: Faults) -> None:
        self._clock = clock
        self._log = log
        self._faults = faults
        # From the clock, so that a twin that was started again is not taken for one whose updates were seen.
        self._numbers = itertools.count(int(clock.now()) * 10 % 2_000_000_000)
        self._waiting: dict[int, tuple[float, Json]] = {}
        self.allowed = DEFAULT_KINDS

    def allow(self, wanted: object) -> None:
        """Let only these kinds come from now on; an empty list means the default ones, nothing changes nothing."""
        if isinstance(wanted, list):
            known = frozenset(str(kind).lower() for kind in wanted) & frozenset(KINDS)
            self.allowed = known or DEFAULT_KINDS

    def as_json(self) -> Json:
        """Return the kinds as getWebhookInfo tells them: only if they are not the default ones."""
        return (
            {}
            if self.allowed == DEFAULT_KINDS
            else {"allowed_updates": [kind for kind in KINDS if kind in self.allowed]}
        )

    def push(self, **content: Json) -> int | None:
        """Add an update, its kind the one name given; None if the bot does not get this kind."""
        kind = next(iter(content))
        if kind in KINDS and kind not in self.allowed:
            self._log.note("update_dropped", kind=kind)
            return None
        return self._add(content, kind)

    def push_raw(self, update: Json) -> int:
        return self._add(update, "raw")

    def _add(self, content: Json, kind: str) -> int:
        number = next(self._numbers)
        self._waiting[number] = (self._clock.now(), {**content, "update_id": number})
        self._log.note("update", update_id=number, kind=kind)
        return number

    def pending(self, offset: int, limit: int) -> list[Json]:
        """Confirm what lies below the offset and return what is left; a negative offset keeps only the last ones."""
        if offset < 0:
            offset = min(sorted(self._waiting)[offset:], default=0)
        self.confirm([number for number in self._waiting if number < offset])
        return self.waiting()[:limit]

    def waiting(self) -> list[Json]:
        """Return all that wait, oldest first; nothing while the fault `hold` keeps them back."""
        if self._faults.look("update", ("hold",)):
            return []
        oldest = self._clock.now() - KEPT_S
        self._waiting = {number: each for number, each in self._waiting.items() if each[0] > oldest}
        return [self._waiting[number][1] for number in sorted(self._waiting)]

    def confirm(self, numbers: list[int]) -> None:
        """Forget these; with the fault `redeliver` they come once more."""
        for number in numbers:
            if number in self._waiting and not self._faults.take("update", ("redeliver",)):
                del self._waiting[number]

    def clear(self) -> None:
        self._waiting.clear()

    def numbers(self) -> list[int]:
        return sorted(self._waiting)
