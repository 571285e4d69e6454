"""The Events API's outer form, and its cap: 30,000 events an hour, beyond which only that is said."""

from __future__ import annotations

from twins.slack.sockets import Delivery, Sockets
from twins.slack.world import APP_ID, BOT_USER_ID, TEAM_ID, Json, World

EVENTS_AN_HOUR = 30_000


class Events:
    """Wraps what happens into event_callback payloads and hands them to the sockets."""

    def __init__(self, world: World, sockets: Sockets) -> None:
        self._world = world
        self._sockets = sockets
        self.events_an_hour = EVENTS_AN_HOUR
        self._hour_began = 0.0
        self._sent = 0
        self._limited_minute = 0

    def publish(self, event: Json) -> None:
        """Deliver an event, unless the app has no token here any more, or too many went out within the hour."""
        if self._world.tokens.of_kind("bot").refused_with:
            self._world.log.note("event_dropped", type=event["type"])
            return
        now = self._world.clock.now()
        if now - self._hour_began >= 3600:
            self._hour_began, self._sent = now, 0
        self._sent += 1
        if self._sent > self.events_an_hour:
            self._say_limited(int(now // 60))
            return
        authorization = {"enterprise_id": None, "team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": True}
        payload: Json = {"token": "rehearsal", "team_id": TEAM_ID, "context_team_id": TEAM_ID, "api_app_id": APP_ID}
        payload |= {"context_enterprise_id": None, "event": event, "type": "event_callback"}
        payload |= {"event_id": self._world.new_id("Ev"), "event_time": int(now), "is_ext_shared_channel": False}
        payload["event_context"] = f"1-{event['type']}-{TEAM_ID}"
        payload["authorizations"] = [{**authorization, "is_enterprise_install": False}]
        self._sockets.deliver(Delivery(kind="events_api", name=str(event["type"]), payload=payload))

    def _say_limited(self, minute: int) -> None:
        if minute == self._limited_minute:
            return
        self._limited_minute = minute
        payload: Json = {"token": "rehearsal", "type": "app_rate_limited", "team_id": TEAM_ID, "api_app_id": APP_ID}
        payload["minute_rate_limited"] = minute * 60
        self._sockets.deliver(Delivery(kind="events_api", name="app_rate_limited", payload=payload))
