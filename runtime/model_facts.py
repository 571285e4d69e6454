"""What is known of models by their names: what they hold, see, and how they are asked to think. Pure.

A table to edit, as `prices.yaml` is for what they cost. A name stands for itself and for what follows it after a hyphen
(dated versions, `-mini`); the longest match counts; `vendor/` before it does not. From the providers' public pages, up
to November 2026, the lower figure where they differ by plan: too small a window sums up early, too large a one fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BOTH = ("image", "pdf")
IMAGES = ("image",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    context_tokens: int
    """Question and answer together."""
    sees: tuple[str, ...] = ()
    """`image`, `pdf`."""
    thinks: Literal["never", "budget", "adaptive", "effort"] = "never"
    """As in `protocol.task.ModelRoute`."""
    patches: bool = False
    """The same."""


UNKNOWN = ModelFacts(context_tokens=32_768)
"""Safe for any model that can call tools: text alone, no word about thinking, a window that local servers give too."""

_ADAPTIVE = ModelFacts(context_tokens=200_000, sees=BOTH, thinks="adaptive")
_BUDGET = ModelFacts(context_tokens=200_000, sees=BOTH, thinks="budget")

FACTS: Mapping[str, ModelFacts] = {
    # https://docs.anthropic.com/en/docs/about-claude/models and …/build-with-claude/adaptive-thinking
    "claude": _ADAPTIVE,
    "claude-3": ModelFacts(context_tokens=200_000, sees=BOTH),
    "claude-3-7-sonnet": _BUDGET,
    "claude-opus-4": _BUDGET,
    "claude-sonnet-4": _BUDGET,
    "claude-haiku-4": _BUDGET,
    "claude-opus-4-6": _ADAPTIVE,
    "claude-opus-4-7": _ADAPTIVE,
    "claude-opus-4-8": _ADAPTIVE,
    "claude-sonnet-4-6": _ADAPTIVE,
    # https://platform.openai.com/docs/models
    "gpt-6": ModelFacts(context_tokens=400_000, sees=BOTH, thinks="effort", patches=True),
    "gpt-5": ModelFacts(context_tokens=400_000, sees=BOTH, thinks="effort", patches=True),
    "gpt-5.1": ModelFacts(context_tokens=400_000, sees=BOTH, thinks="effort", patches=True),
    "gpt-4.1": ModelFacts(context_tokens=1_000_000, sees=BOTH, patches=True),
    "gpt-4o": ModelFacts(context_tokens=128_000, sees=BOTH, patches=True),
    "o3": ModelFacts(context_tokens=200_000, sees=BOTH, thinks="effort", patches=True),
    "o4-mini": ModelFacts(context_tokens=200_000, sees=BOTH, thinks="effort", patches=True),
    "gpt-oss": ModelFacts(context_tokens=131_072, thinks="effort", patches=True),
    # Of others, as their makers publish them; a local server may be set to less.
    "gemini-2.5": ModelFacts(context_tokens=1_000_000, sees=BOTH, thinks="effort"),
    "deepseek-chat": ModelFacts(context_tokens=128_000),
    "deepseek-reasoner": ModelFacts(context_tokens=128_000),
    "mistral-large": ModelFacts(context_tokens=128_000, sees=IMAGES),
    "llama-3.3": ModelFacts(context_tokens=128_000),
    "nemotron": ModelFacts(context_tokens=128_000),
    "qwen3": ModelFacts(context_tokens=32_768),
    # The rehearsal's own.
    "guide": ModelFacts(context_tokens=200_000),
    "echo": ModelFacts(context_tokens=200_000),
    "scripted": ModelFacts(context_tokens=32_768, sees=BOTH, thinks="adaptive"),
}


def facts_of(model: str) -> ModelFacts:
    """Return what is known of a model, by the longest name that its own begins with."""
    name = model.rsplit("/", 1)[-1].lower()
    while name:
        if name in FACTS:
            return FACTS[name]
        name = name.rpartition("-")[0]
    return UNKNOWN
