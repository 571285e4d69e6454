"""The verb of images: somebody has built, refreshed or removed some."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from runtime.control.verb import VerbTable, verb
from runtime.images.house import Images
from runtime.refusal import OperationRefused

MAX_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class LookArguments:
    refreshed: bool = False
    """All images are new."""
    refresh_days: int | None = None
    """How often they are to be refreshed from now on; 0: never. None: as before."""


def image_verbs(images: Images) -> VerbTable:
    """Return the room's verbs."""

    async def look(arguments: LookArguments) -> Json:
        days = arguments.refresh_days
        if days is not None and not 0 <= days <= MAX_DAYS:
            raise OperationRefused("wrong_days", f"images are refreshed every 1 to {MAX_DAYS} days, or 0: never")
        await images.look(is_refreshed=arguments.refreshed, refresh_days=days)
        return images.status()

    return {"image_look": verb(LookArguments, look)}
