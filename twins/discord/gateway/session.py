"""One session: its numbered events, kept for a resume as long as Discord keeps them. Its other half is `socket.py`."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Protocol

from twins.discord.gateway.protocol import RESUME_WITHIN_S, Op

Json = dict[str, Any]

_MAX_KEPT = 10_000
_KEPT_BEHIND = 50
"""Events that stay after they were acknowledged: for the fault that repeats some."""


class Wire(Protocol):
    """Where a session's payloads go while a socket is there."""

    def send(self, text: str) -> None: ...

    def close(self, code: int) -> None: ...

    def silence(self) -> None: ...

    def tell_to_leave(self, *, resumable: bool) -> None: ...


class Session:
    def __init__(self, session_id: str, intents: int, wire: Wire) -> None:
        self.id = session_id
        self.intents = intents
        self.wire: Wire | None = wire
        self.sequence = 0
        self._lost_at: float | None = None
        self._kept: deque[tuple[int, str]] = deque(maxlen=_MAX_KEPT)

    def dispatch(self, name: str, data: Json) -> None:
        """Number an event, keep it, and send it if there is a socket."""
        self.sequence += 1
        text = json.dumps({"op": Op.DISPATCH, "t": name, "s": self.sequence, "d": data}, separators=(",", ":"))
        self._kept.append((self.sequence, text))
        if self.wire is not None:
            self.wire.send(text)

    def acknowledge(self, sequence: int | None) -> None:
        """Forget what a heartbeat says was seen, but for a few."""
        while sequence is not None and self._kept and self._kept[0][0] <= sequence - _KEPT_BEHIND:
            self._kept.popleft()

    def lose(self, now_s: float) -> None:
        self.wire = None
        self._lost_at = now_s

    def is_over(self, now_s: float) -> bool:
        return self._lost_at is not None and now_s - self._lost_at > RESUME_WITHIN_S

    def resume(self, wire: Wire, after: int, repeat: int = 0) -> None:
        """Send everything after that number again, in order, then say that this was all."""
        self.wire, self._lost_at = wire, None
        for number, text in self._kept:
            if number > after - repeat:
                wire.send(text)
        self.dispatch("RESUMED", {"_trace": ["twin"]})
