"""What a test or a rehearsal may turn on the twin: faults, tokens, the clock, rules of quantity, sockets told to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twins.faults import Faults
from twins.slack.events import Events
from twins.slack.rate_limits import RateLimits
from twins.slack.sockets import Sockets
from twins.slack.world import BOT_USER_ID, Json, World

REASONS = ("warning", "refresh_requested", "link_disabled", "too_many_websockets")


class Controls:
    def __init__(self, world: World, faults: Faults, rate_limits: RateLimits, sockets: Sockets, events: Events) -> None:
        self._world = world
        self._faults = faults
        self._rate_limits = rate_limits
        self._sockets = sockets
        self._events = events

    def verbs(self) -> dict[str, Callable[[Json], Json | Awaitable[Json]]]:
        return {
            "fault": self.fault,
            "token": self.token,
            "clock": self.clock,
            "limits": self.limits,
            "disconnect": self.disconnect,
        }

    def fault(self, body: Json) -> Json:
        """A fault as `twins/faults.py` has it; those of sockets hit what is open at once."""
        self._faults.add(body)
        self._sockets.strike()
        return {}

    def clear_faults(self) -> Json:
        self._faults.clear()
        self._sockets.release()
        return {}

    def show_faults(self) -> Json:
        return self._faults.as_json()

    async def token(self, body: Json) -> Json:
        """`{token}` in place of its kind's; or `{revoke: bot|app, error?}`, `{restore: token}`, `{scopes: [...]}`.

        A revoked app-level token ends its sockets; of a revoked bot's token the app hears, and then of nothing more.
        """
        tokens = self._world.tokens
        error = str(body.get("error", "token_revoked"))
        is_app = body.get("revoke") == "app" or str(body.get("token", "")).startswith("xapp-")
        if "token" in body:
            tokens.replace("app" if is_app else "bot", str(body["token"]), error)
        if "revoke" in body:
            if not is_app:
                revoked = {"oauth": [], "bot": [BOT_USER_ID]}
                self._world.publish({"type": "tokens_revoked", "tokens": revoked, "event_ts": self._world.new_ts()})
            tokens.revoke(str(body["revoke"]), error)
        if "restore" in body:
            tokens.restore(str(body["restore"]))
        if "scopes" in body:
            tokens.of_kind("bot").scopes = {str(scope) for scope in body["scopes"]}
        if is_app:
            await self._sockets.disconnect_all("link_disabled")
        return {"bot": tokens.of_kind("bot").value, "app": tokens.of_kind("app").value}

    def clock(self, body: Json) -> Json:
        """`{advance_s?, scale?}`."""
        if "scale" in body:
            self._world.clock.scale = float(body["scale"])
        self._world.clock.advance(float(body.get("advance_s", 0)))
        return {"now": self._world.clock.now(), "scale": self._world.clock.scale}

    def limits(self, body: Json) -> Json:
        """`{on?, history_a_minute?, history_page?, edit_window_s?, events_an_hour?}`: which rules of quantity hold."""
        self._rate_limits.is_on = bool(body.get("on", self._rate_limits.is_on))
        self._rate_limits.history_a_minute = body.get("history_a_minute", self._rate_limits.history_a_minute)
        self._world.history_page = body.get("history_page", self._world.history_page)
        self._world.edit_window_s = body.get("edit_window_s", self._world.edit_window_s)
        self._events.events_an_hour = int(body.get("events_an_hour", self._events.events_an_hour))
        return {"on": self._rate_limits.is_on}

    async def disconnect(self, body: Json) -> Json:
        """`{reason}`: every socket is told to go, as the platform does before it closes one."""
        reason = str(body.get("reason", "refresh_requested"))
        if reason not in REASONS:
            raise ValueError(f"there is no reason {reason}; there is {', '.join(REASONS)}")
        await self._sockets.disconnect_all(reason)
        return {}
