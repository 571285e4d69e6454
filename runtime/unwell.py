"""When a channel that does not work is told of, and when it may be told of again. Pure.

A token that its platform refuses mends itself never, so it is told at once; anything else may pass by itself, and is
told when it has lasted. Who tells, and what he knows after a restart, is `channel_watch.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TOKEN_REFUSED = "token refused"
"""What a channel's health begins with whose token its platform does not take (`channels/channel.py`)."""
PATIENCE_S = 900.0
"""A channel may be away for so long, and nobody is told."""
WELL_S = 300.0
"""It must have worked for so long before another word about it: one that comes and goes is told once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is known of a channel's health."""

    unwell_since: float | None = None
    well_since: float | None = None
    is_told: bool = False


def look(condition: Condition, health: str, now: float) -> tuple[Condition, bool]:
    """Return what is known after a look, and whether an owner is to be told now. `now`: monotonic seconds."""
    if health == "ok":
        well_since = now if condition.well_since is None else condition.well_since
        is_told = condition.is_told and now - well_since < WELL_S
        return Condition(well_since=well_since, is_told=is_told), False
    since = now if condition.unwell_since is None else condition.unwell_since
    unwell = replace(condition, unwell_since=since, well_since=None)
    is_due = health.startswith(TOKEN_REFUSED) or now - since >= PATIENCE_S
    if condition.is_told or not is_due:
        return unwell, False
    return replace(unwell, is_told=True), True


def describe(channel_id: str, platform: str, health: str, secret: str) -> str:
    """Return what an owner is told, with the mend."""
    if health.startswith(TOKEN_REFUSED):
        return (
            f"The channel `{channel_id}` does not work: {platform} refuses its token. Nothing comes in there, and what "
            f"is to go out waits.\nTo mend it: have {platform} show or make a token, and "
            f"`./nightyard secret add {secret} --kind channel --replace`"
        )
    return (
        f"The channel `{channel_id}` ({platform}) has not worked for some time: {health}. Nothing comes in there, and "
        "what is to go out waits. It goes on by itself once it can; `./nightyard status` says how it is."
    )
