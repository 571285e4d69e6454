"""Idempotency keys: a call that a later attempt of the same task makes again has the key of the first. Pure.

So an API that takes such keys does it once, though the container died in between; `headers.with_header` puts it in. The
key is made of the task, what is asked, and how many times the attempt has asked it before. An agent's own key, new with
each run of its program, would not do; but one that it sends again says that it means the same call again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from protocol.ids import AttemptId, TaskId

MAX_ATTEMPTS = 256
MAX_CALLS = 4096
"""Of one attempt; beyond them each call has a key of its own, that no other attempt finds."""


@dataclass(slots=True)
class _AttemptCalls:
    first: int = 0
    """What the first time of anything is numbered."""
    total: int = 0
    counts: dict[bytes, int] = field(default_factory=dict)
    """What was asked to how many times."""
    own: dict[bytes, int] = field(default_factory=dict)
    """What was asked, with the agent's own key, to which time that was."""


class IdempotencyKeys:
    """Derives keys, and remembers what each of the attempts now running has asked."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[AttemptId, _AttemptCalls] = OrderedDict()

    def key_for(
        self, task_id: TaskId, attempt_id: AttemptId, method: str, wire: str, body: bytes, *, own: bytes = b""
    ) -> str:
        """Return the key of a call that is made now. `wire` is `https://host/path?query` before injection; `own` is
        the key that the agent sent, if it did."""
        asked = hashlib.sha256("\\0".join((method, wire, "")).encode("utf-8") + body).digest()
        return derive_key(task_id, asked, self._time_of(attempt_id, asked, own))

    def knows(self, attempt_id: AttemptId) -> bool:
        """Whether the attempt's calls have been counted from its beginning, or since `take_up`."""
        return attempt_id in self._attempts

    def take_up(self, attempt_id: AttemptId, earlier_calls: int) -> None:
        """Count on from what an attempt has called before this process began: a second call of the same must not be
        taken for the first."""
        self._calls_of(attempt_id).first = earlier_calls

    def forget(self, attempt_id: AttemptId) -> None:
        """An attempt has ended."""
        self._attempts.pop(attempt_id, None)

    def _time_of(self, attempt_id: AttemptId, asked: bytes, own: bytes) -> int:
        calls = self._calls_of(attempt_id)
        known = calls.own.get(asked + own) if own else None
        if known is not None:
            return known
        calls.total += 1
        if calls.total > MAX_CALLS:
            return calls.first + calls.total
        time = calls.counts.get(asked, calls.first)
        calls.counts[asked] = time + 1
        if own:
            calls.own[asked + own] = time
        return time

    def _calls_of(self, attempt_id: AttemptId) -> _AttemptCalls:
        calls = self._attempts.setdefault(attempt_id, _AttemptCalls())
        self._attempts.move_to_end(attempt_id)
        if len(self._attempts) > MAX_ATTEMPTS:
            self._attempts.popitem(last=False)
        return calls


def derive_key(task_id: TaskId, asked: bytes, time: int) -> str:
    """Return the key of the n-th time that a task asks for something, in the form of a UUID (version 8)."""
    digest = hashlib.sha256(b"idempotency\\0" + task_id.encode("utf-8") + b"\\0" + asked + time.to_bytes(8)).digest()
    raw = bytearray(digest[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
