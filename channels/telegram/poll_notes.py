"""What each getUpdates brought: the raw updates, how it went, and when polling must be taken for dead. Pure.

The SDK is handed update numbers only, so that no update it cannot parse blocks the ones behind it; the raw ones are
kept here until they are stored.
"""

from __future__ import annotations

import json
from typing import Any

from channels.telegram.sdk_log import redact

MAX_PROBLEM_CHARS = 200


class PollNotes:
    """Notes on the polls of one client. `now` is monotonic."""

    def __init__(self, silence_s: float, unwell_s: float, now: float) -> None:
        """`silence_s`: how long a poll may take; if none begins or ends for so long, polling is dead. `unwell_s`: if
        none is well for so long, it is as good as dead: whatever the client has got into, a new one has not."""
        self._silence_s = silence_s
        self._unwell_s = unwell_s
        self._quiet_until = now + silence_s
        self._unwell_until: float | None = None
        self.raw_updates: dict[int, object] = {}
        self.problem = ""
        """What the last poll met; empty if it was well."""
        self.left_out = 0
        """Updates without a number, which could be neither stored nor confirmed."""

    @property
    def alive_until(self) -> float:
        """When polling is dead if nothing is noted until then."""
        return self._quiet_until if self._unwell_until is None else min(self._quiet_until, self._unwell_until)

    def why_dead(self, now: float) -> str:
        return "polling fell silent" if self._quiet_until <= now else f"nothing but failures: {self.problem}"

    def note_begun(self, now: float) -> None:
        self._quiet_until = now + self._silence_s

    def note_failed(self, reason: str, now: float) -> None:
        self._note_problem(redact(reason)[:MAX_PROBLEM_CHARS], now)

    def note_answer(self, status: int, payload: bytes, now: float) -> bytes:
        """Return what the SDK shall see of the answer."""
        try:
            answer = json.loads(payload)
            if status == 200:
                updates = self._set_aside(answer["result"])
                self.problem, self._unwell_until, self._quiet_until = "", None, now + self._silence_s
                return updates
            told_to_wait_s = float((answer.get("parameters") or {}).get("retry_after", 0))
            self._note_problem(_problem(status, str(answer["description"])), now, told_to_wait_s)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._note_problem(f"{status}, and the answer is not Telegram's", now)
        return payload

    def _note_problem(self, problem: str, now: float, told_to_wait_s: float = 0.0) -> None:
        self.problem = problem
        self._quiet_until = now + self._silence_s + told_to_wait_s
        if self._unwell_until is None or told_to_wait_s:
            self._unwell_until = now + self._unwell_s + told_to_wait_s

    def _set_aside(self, updates: list[Any]) -> bytes:
        numbered: dict[int, object] = {
            update["update_id"]: update
            for update in updates
            if isinstance(update, dict) and isinstance(update.get("update_id"), int)
        }
        self.raw_updates = numbered
        self.left_out += len(updates) - len(numbered)
        return json.dumps({"ok": True, "result": [{"update_id": number} for number in numbered]}).encode()


def _problem(status: int, description: str) -> str:
    if status == 409:
        return "another program receives with this bot's token"
    return f"{status} {redact(description)[:MAX_PROBLEM_CHARS]}"
