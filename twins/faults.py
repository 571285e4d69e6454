"""Faults on demand, for every twin: which kind hits what, and how often. Pure; what a fault does is each twin's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

MEANINGS = {
    "error": "the call fails with `status` (5xx)",
    "reset": "the connection breaks before anything is done",
    "delay": "the answer comes after `delay_s` real seconds",
    "garbage": "the answer is not JSON",
    "lost_answer": "the call is done, then the connection breaks",
    "unauthorized": "the token is refused",
    "conflict": "another client took over",
    "flood": "too many requests: wait `retry_after` seconds",
    "close_socket": "the socket is closed with `code`",
    "silent_socket": "the socket stays open and says nothing, to a ping neither",
    "refuse_socket": "the next connection is refused, and the ticket it came with is burned",
    "no_resume": "a lost session cannot be resumed",
    "redeliver": "what was delivered comes again although it was acknowledged",
    "duplicate": "an event comes twice",
    "reorder": "an event is delivered after the one that follows it",
    "hold": "events are kept back until the fault is cleared",
}


@dataclass(slots=True, kw_only=True)
class Fault:
    kind: str
    method: str = "*"
    """Which calls (or events) it hits, in any case: a name, or a pattern such as `chat.*`."""
    count: int = 1
    """How many it hits; below zero: all, until the faults are cleared."""
    status: int = 502
    retry_after: float = 1
    delay_s: float = 1.0
    code: int = 4000


class Faults:
    """The faults that are prepared in one twin; `kinds` are those that it can do."""

    def __init__(self, kinds: Collection[str]) -> None:
        unknown = set(kinds) - set(MEANINGS)
        if unknown:
            raise ValueError(f"no meaning is written down for the faults {', '.join(sorted(unknown))}")
        self._kinds = tuple(kinds)
        self._faults: list[Fault] = []
        self.struck: Counter[str] = Counter()
        """How often each kind has hit since the twin began."""

    def add(self, wanted: dict[str, Any]) -> Fault:
        """Prepare a fault, as `POST /twin/fault` has it; raise ValueError or TypeError for one that is none."""
        fault = Fault(**wanted)
        if fault.kind not in self._kinds:
            raise ValueError(f"there is no fault {fault.kind} here; there is {', '.join(self._kinds)}")
        if fault.count == 0:
            raise ValueError("a fault hits at least once (count), or with a count below zero until it is cleared")
        fault.method = fault.method.lower()
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def as_json(self) -> dict[str, Any]:
        """Return what is prepared and has not hit as often as it shall, and how often each kind has hit."""
        return {"prepared": [fault.kind for fault in self._faults], "struck": dict(self.struck)}

    def take(self, method: str, kinds: Collection[str] | None = None) -> Fault | None:
        """Return the oldest fault that hits this call or event, if any, and count it; with `kinds`, only of those."""
        fault = self.look(method, kinds)
        if fault is None:
            return None
        self.struck[fault.kind] += 1
        if fault.count > 0:
            fault.count -= 1
            if fault.count == 0:
                self._faults.remove(fault)
        return fault

    def look(self, method: str, kinds: Collection[str] | None = None) -> Fault | None:
        """Return what `take` would, uncounted."""
        for fault in self._faults:
            if fnmatchcase(method.lower(), fault.method) and (kinds is None or fault.kind in kinds):
                return fault
        return None
