"""getUpdates: at least once, confirmed by the next offset, one poll at a time, too eager ones slowed down."""

from __future__ import annotations

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Json
from twins.telegram.refusal import Refusal
from twins.telegram.world import World

MAX_POLL_S = 50
EAGER_S = 3.0
"""The same offset again within this time waits at least so long; a conflict told within it is told as much later."""
HASTY_S = 0.5
"""The same offset again within this time gets one update."""
_CONFLICT = "Conflict: terminated by"
TAKEN_OVER = f"{_CONFLICT} other getUpdates request; make sure that only one bot instance is running"
BY_WEBHOOK = f"{_CONFLICT} setWebhook request"
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


class Polling:
    """The one poll that may wait."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._newest = 0
        self._cut_short = 0
        self._last_offset: int | None = None
        self._last_at = 0.0
        self._next_conflict_at = 0.0

    async def get_updates(self, arguments: Arguments) -> list[Json]:
        """Return the updates from the offset on, waiting for the first one; raise Refusal if a newer poll came."""
        if self._world.webhook is not None:
            raise await self._conflict(WEBHOOK_ACTIVE)
        self._newest += 1
        mine, cut_short = self._newest, self._cut_short
        offset = arguments.integer("offset")
        limit = min(max(arguments.integer("limit", 100), 1), 100)
        timeout_s = float(min(max(arguments.integer("timeout"), 0), MAX_POLL_S))
        self._world.updates.allow(arguments.structure("allowed_updates"))
        if offset == self._last_offset:
            since_s = self._world.clock.now() - self._last_at
            timeout_s = max(timeout_s, EAGER_S) if since_s < EAGER_S else timeout_s
            limit = 1 if since_s < HASTY_S else limit
        self._last_offset, self._last_at = offset, self._world.clock.now()
        deadline = self._world.clock.now() + timeout_s
        self._world.log.note("poll", offset=offset)
        found = self._world.updates.pending(offset, limit)

        def is_over() -> bool:
            nonlocal found
            ended = self._newest != mine or self._cut_short != cut_short or self._world.webhook is not None
            found = found if ended else self._world.updates.pending(max(offset, 0), limit)
            return bool(found) or ended or self._world.clock.now() >= deadline

        while not found and not is_over():
            left_s = deadline - self._world.clock.now()
            await self._world.log.until(is_over, max(left_s, 0.0) / self._world.clock.scale)
        if self._newest != mine:
            raise await self._conflict(TAKEN_OVER)
        if self._world.webhook is not None:
            raise await self._conflict(BY_WEBHOOK)
        return found

    async def _conflict(self, words: str) -> Refusal:
        """Return the refusal, the first at once, further ones within three seconds after as long."""
        now = self._world.clock.now()
        if now >= self._next_conflict_at:
            self._next_conflict_at = now + EAGER_S
        else:
            await self._world.clock.sleep(EAGER_S)
        return Refusal(409, words)

    def cut_short(self) -> None:
        """End the waiting poll with nothing: its client comes again at once, into whatever was prepared."""
        self._cut_short += 1
        self._world.log.note("poll_cut_short")
