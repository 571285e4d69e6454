"""What one task has used of models: kept by the audit over restarts, counted against its limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.task import Usage


@dataclass(slots=True)
class TaskUse:
    """Running sums of one task, over all its attempts."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    is_cost_known: bool = True
    """False once a call's price was not known."""

    def add(self, input_tokens: int, output_tokens: int, cost_usd: float | None) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.cost_usd += cost_usd or 0.0
        self.is_cost_known = self.is_cost_known and cost_usd is not None

    def usage(self) -> Usage:
        return Usage(
            model_calls=self.model_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd if self.is_cost_known else None,
        )
