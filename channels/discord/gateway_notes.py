"""What the gateway's frames say about its health: the last frame, the heartbeat's answer, whether it is ready. Pure."""

from __future__ import annotations

_HELLO, _ACK, _RECONNECT, _INVALID = 10, 11, 7, 9


class GatewayNotes:
    """Notes on one client's gateway. `now` is monotonic."""

    def __init__(self, slack_s: float, now: float) -> None:
        """`slack_s`: what a heartbeat's answer may take beyond its time."""
        self._slack_s = slack_s
        self._interval_s = 60.0
        self._frame_at = now
        self._answer_at = now
        self._unready_since: float | None = now
        self._why_unready = "not connected yet"

    def frame(self, operation: object, kind: object, what: object, now: float) -> None:
        """Note a frame that came."""
        self._frame_at = now
        if operation == _HELLO and isinstance(what, dict):
            self._interval_s = float(what["heartbeat_interval"]) / 1000
            self._answer_at = now
        elif operation == _ACK:
            self._answer_at = now
        elif kind in ("READY", "RESUMED"):
            self._unready_since = None
        elif operation in (_RECONNECT, _INVALID):
            self.lost("Discord ended the session", now)

    def lost(self, why: str, now: float) -> None:
        """Note that the socket is gone."""
        if self._unready_since is None:
            self._unready_since = now
            self._why_unready = why

    def problem(self, now: float) -> str:
        """Return what is wrong, empty for nothing."""
        return self._state(now)[0]

    def unwell_s(self, now: float) -> float:
        """Return for how long something has been wrong."""
        return max(0.0, now - self._state(now)[1])

    def _state(self, now: float) -> tuple[str, float]:
        if self._unready_since is not None:
            return self._why_unready, self._unready_since
        silent_since = self._frame_at + 1.5 * self._interval_s + self._slack_s
        unanswered_since = self._answer_at + 2 * self._interval_s + self._slack_s
        if silent_since < now:
            return "the gateway is silent", silent_since
        if unanswered_since < now:
            return "the gateway answers no heartbeat", unanswered_since
        return "", now
