"""What is known of models by name."""

from __future__ import annotations

import pytest

from credproxy.audit.price_file import PriceFile
from runtime.config import RouteSettings, resolve_model
from runtime.model_facts import FACTS, UNKNOWN, facts_of
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("name", "thinks", "context_tokens"),
    [
        ("claude-opus-4-5-20251101", "budget", 200_000),
        ("claude-opus-4-7", "adaptive", 200_000),
        ("anthropic/claude-sonnet-4-6", "adaptive", 200_000),
        ("claude-sonnet-9", "adaptive", 200_000),
        ("GPT-5-mini-2025-08-07", "effort", 400_000),
        ("nobody-knows-this", "never", UNKNOWN.context_tokens),
        ("", "never", UNKNOWN.context_tokens),
    ],
)
def test_the_longest_name_that_fits_counts(name: str, thinks: str, context_tokens: int) -> None:
    """Dated versions and sizes are their family's; an unknown model gets what is safe for all."""
    assert (facts_of(name).thinks, facts_of(name).context_tokens) == (thinks, context_tokens)


def test_every_model_with_a_price_is_known() -> None:
    """No model is in one table and missing in the other."""
    assert [name for name in PriceFile(ROOT) if facts_of(name) is UNKNOWN] == []


def test_a_route_carries_what_is_known() -> None:
    """The agent is told with its model what that holds, sees and how it thinks."""
    routes = {"main": RouteSettings(api="responses", url="https://api.openai.com")}
    route = resolve_model("main/gpt-5", routes)
    assert route is not None
    assert (route.api, route.sees, route.thinks) == ("responses", ("image", "pdf"), "effort")
    assert all(facts.context_tokens >= 16_000 for facts in FACTS.values())
