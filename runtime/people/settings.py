"""What an agent takes from one person: `people` in group.yaml. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.store.records import PersonLimits
from runtime.yaml_record import key


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleSettings:
    """Limits of everybody but owners. `nightyard person limit` sets others for one person."""

    per_minute: int = key(20, least=1)
    per_hour: int = key(300, least=1)
    per_day: int = key(2000, least=1)
    """Messages to agents."""
    model_calls_per_day: int | None = key(None, least=0)
    cost_usd_per_day: float | None = key(None, least=0)
    """Of all tasks that one person began; for models with a known price."""

    @property
    def limits(self) -> PersonLimits:
        return PersonLimits(
            per_minute=self.per_minute,
            per_hour=self.per_hour,
            per_day=self.per_day,
            model_calls_per_day=self.model_calls_per_day,
            cost_usd_per_day=self.cost_usd_per_day,
        )
