"""Idempotency keys: what is done again of a step whose end nobody saw has the key of the first time. Pure.

So an API that takes such keys does it once, though the container died in between; `headers.with_header` puts it in. A
key is made of the task, what is asked, and the how manieth time that is. A time is over when the step that it was in is
done, or the same attempt asks again: the same call in a later step has another key, and is done again, as it was meant.
An agent's own key, new with each run of its program, would not do; but one that it sends again says that it means the
same call again, whichever attempt it is and whatever has started anew in between.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from protocol.ids import AttemptId, TaskId
from protocol.task import Lease

MAX_ATTEMPTS = 256
MAX_CALLS = 4096
"""Of one attempt; beyond them each call has a key of its own, that no other attempt finds."""
MARK_CHARS = 32
_BEYOND = 1 << 32


class SentKey(NamedTuple):
    """A key that a task's call has had, as the audit knows it."""

    attempt_id: AttemptId
    at: str
    """ISO 8601, UTC."""
    key: str
    mark: str = ""
    """Of what was asked with the agent's own key; empty: it sent none."""


class GivenKey(NamedTuple):
    """What a call carries."""

    key: str
    mark: str


@dataclass(slots=True)
class _AttemptCalls:
    over: frozenset[str] = frozenset()
    """Keys of what is done for good."""
    total: int = 0
    counts: dict[bytes, int] = field(default_factory=dict)
    """What was asked to the number of its next time."""
    own: dict[str, str] = field(default_factory=dict)
    """The mark of what was asked with the agent's own key, to the key that it had."""
    earlier: dict[str, str] = field(default_factory=dict)
    """The same of the task's calls before."""
    given: set[str] = field(default_factory=set)

    def take_earlier(self, mark: str) -> str:
        """Return the key that a call had before, empty for none: it may be that of another call by now."""
        key = self.earlier.pop(mark, "")
        if not key or key in self.given:
            return ""
        self.own[mark] = key
        self.given.add(key)
        return key


class IdempotencyKeys:
    """Derives keys, and remembers what each of the attempts now running has asked."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[AttemptId, _AttemptCalls] = OrderedDict()

    def key_for(
        self, task_id: TaskId, attempt_id: AttemptId, method: str, wire: str, body: bytes, *, own: bytes = b""
    ) -> GivenKey:
        """Return the key of a call that is made now. `wire` is `https://host/path?query` before injection; `own` is
        the key that the agent sent, if it did."""
        asked = hashlib.sha256("\0".join((method, wire, "")).encode("utf-8") + body).digest()
        calls = self._calls_of(attempt_id)
        mark = hashlib.sha256(asked + own).hexdigest()[:MARK_CHARS] if own else ""
        known = calls.own.get(mark) or calls.take_earlier(mark)
        if known:
            return GivenKey(known, mark)
        calls.total += 1
        is_kept = calls.total <= MAX_CALLS
        time = calls.counts.get(asked, 0) if is_kept else _BEYOND + calls.total
        while (key := derive_key(task_id, asked, time)) in calls.over or key in calls.given:
            time += 1
        if is_kept:
            calls.counts[asked] = time + 1
            calls.given.add(key)
            if own:
                calls.own[mark] = key
        return GivenKey(key, mark)

    def knows(self, attempt_id: AttemptId) -> bool:
        """Whether it is known what is over for the attempt."""
        return attempt_id in self._attempts

    def take_up(self, attempt_id: AttemptId, over: Iterable[str], sent: Iterable[SentKey] = ()) -> None:
        """Begin to count an attempt's calls. `over`: see `keys_over`; `sent`: what its task has called before."""
        calls = self._calls_of(attempt_id)
        calls.over = frozenset(over)
        calls.earlier = {each.mark: each.key for each in sent if each.mark}

    def forget(self, attempt_id: AttemptId) -> None:
        """An attempt has ended."""
        self._attempts.pop(attempt_id, None)

    def _calls_of(self, attempt_id: AttemptId) -> _AttemptCalls:
        calls = self._attempts.setdefault(attempt_id, _AttemptCalls())
        self._attempts.move_to_end(attempt_id)
        if len(self._attempts) > MAX_ATTEMPTS:
            self._attempts.popitem(last=False)
        return calls


def keys_over(sent: Iterable[SentKey], lease: Lease) -> frozenset[str]:
    """Return the keys of a task's calls that a call of this lease's attempt is none of: its own from before the proxy's
    start, and those of earlier attempts in steps that are done. Where the host does not say which are, none is."""
    since = _moment(lease.unsettled_since)
    own: set[str] = set()
    settled: set[str] = set()
    open_yet: set[str] = set()
    for each in sent:
        at = _moment(each.at)
        if each.attempt_id == lease.attempt_id:
            own.add(each.key)
        elif since is not None and at is not None and at < since:
            settled.add(each.key)
        else:
            open_yet.add(each.key)  # of a step that was open more than once, too
    return frozenset(own | (settled - open_yet))


def derive_key(task_id: TaskId, asked: bytes, time: int) -> str:
    """Return the key of the n-th time that a task asks for something, in the form of a UUID (version 8)."""
    digest = hashlib.sha256(b"idempotency\0" + task_id.encode("utf-8") + b"\0" + asked + time.to_bytes(8)).digest()
    raw = bytearray(digest[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
