"""One answer as it grows in one chat: what has come of it, what is seen of it, when something is to be done. Pure.

`growing.py` does what is due. Times are the caller's monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import PlatformMessageId

TAKEN_S = 600.0
"""What was taken over for an answer waits so long for it to be delivered."""
LONGEST_TAKEN_OVER_S = 300.0
"""A message that began longer ago does not become the answer: that would come in where nobody looks any more."""
AGAIN_S = 5.0
MAX_TRIES = 6
"""To take a message away; then it is left to the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowingPace:
    """How an answer grows in one kind of chat."""

    first_after_s: float
    """Nothing is seen of an answer that is complete sooner."""
    every_s: float
    """Between two changes in one chat."""
    again_s: float | None = None
    """What is shown is no message, and fades unless it is shown again after so long. None: it is a message."""
    answer_within_s: float = 10.0
    """Work that has ended, and whose answer does not come in this time, has none: what is seen of it goes."""


@dataclass(slots=True, kw_only=True)
class Growth:
    """One growing answer."""

    number: int
    """Which one of the account's it is."""
    pace: GrowingPace
    next_at: float
    """Not before then is anything done."""
    text: str = ""
    message: PlatformMessageId | None = None
    began_at: float = 0.0
    shown: str = ""
    is_turn_over: bool = False
    is_changed: bool = False
    is_over: bool = False
    is_taken: bool = False
    is_given_up: bool = False
    is_lost: bool = False
    """The call that was to begin its message broke off: it may stand, and is to be looked for."""
    is_left: bool = False
    """An earlier host's."""
    tries: int = 0

    def add(self, piece: str, max_chars: int) -> None:
        """Take the next piece; beyond `max_chars` nothing more is seen before the answer itself."""
        if self.is_turn_over:
            self.text, self.is_turn_over = "", False
        if len(self.text) < max_chars:
            self.text = (self.text + piece)[:max_chars]
            self.is_changed = True

    def end(self, now: float) -> None:
        """Nothing grows any more; what stands goes soon, unless the answer takes it."""
        self.is_over, self.next_at = True, now + self.pace.answer_within_s

    def take(self, now: float) -> None:
        """An answer is to take the place of what stands."""
        self.is_over, self.is_taken, self.next_at, self.tries = True, True, now + TAKEN_S, 0

    def go(self, now: float) -> None:
        """What stands is to go."""
        self.is_over, self.next_at = True, now

    def is_to_become_the_answer(self, now: float) -> bool:
        return self.message is not None and now - self.began_at <= LONGEST_TAKEN_OVER_S

    def due_at(self) -> float | None:
        """Return when something is to be done, None for not until something changes."""
        if self.is_over or self.is_lost or (self.is_changed and not self.is_given_up):
            return self.next_at
        if self.pace.again_s is not None and self.shown and not self.is_given_up:
            return max(self.next_at, self.began_at + self.pace.again_s)
        return None

    def is_due(self, now: float) -> bool:
        at = self.due_at()
        return at is not None and at <= now

    def needs_showing(self, text: str, now: float) -> bool:
        """Whether the text, which is what is to be seen now, must be shown."""
        fades = self.pace.again_s is not None and now >= self.began_at + self.pace.again_s
        return bool(text.strip()) and (text != self.shown or fades)

    def was_shown(self, text: str, message: PlatformMessageId | None, now: float) -> None:
        """Note what is seen now. For what fades, `began_at` is when it was last shown."""
        if self.message is None:
            self.began_at = now
        self.shown, self.message, self.tries = text, message, 0
        if not self.is_over:
            self.next_at = now + self.pace.every_s

    def was_found(self, message: PlatformMessageId | None, now: float) -> None:
        """Note the message that stands; None: it was not begun, and may be."""
        self.is_lost, self.is_given_up, self.is_changed = False, False, True
        if message is not None:
            self.was_shown("", message, now)

    def was_refused(self, *, permanent: bool, retry_after_s: float | None, now: float) -> None:
        """Note that the platform did not take it. A message that may be there all the same, for a call that only
        broke off, is not begun twice."""
        self.tries += 1
        is_new_message = self.message is None and self.pace.again_s is None and not self.is_over
        self.is_given_up = permanent or (is_new_message and retry_after_s is None) or self.tries >= MAX_TRIES
        if self.message is None and self.pace.again_s is None:
            self.is_lost = (self.is_lost or retry_after_s is None) and not permanent and self.tries < MAX_TRIES
        self.is_changed = True
        if not self.is_over or self.next_at <= now:
            self.next_at = now + max(self.pace.every_s if not self.is_over else AGAIN_S, retry_after_s or 0.0)
