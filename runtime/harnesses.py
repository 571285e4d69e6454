"""What the host knows of the programs that can be a group's agent in our loop's place. Pure.

How each is run is `agents/harness/`'s, what its image holds `images/recipe.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from protocol.task import ModelRoute
from runtime.admission import NATIVE_AGENT_MB
from runtime.yaml_record import ConfigProblem

NATIVE = "native"
APIS: Mapping[str, tuple[str, ...]] = {
    "claude-code": ("anthropic",),
    "codex": ("responses",),
    "opencode": ("openai", "anthropic", "responses"),
}
"""Which APIs each can ask a model by; our own loop knows them all."""
LEAST_MEMORY_MB: Mapping[str, int] = {"claude-code": 1024, "opencode": 1024}
"""What a container of it may use at least, whatever the machine's settings say of the others: the program takes 200 to
500 MB of it before a tool has run."""
LEAST_CPUS: Mapping[str, float] = {"claude-code": 2.0}
"""The same of CPUs: its threads use two for a moment with each question, and a container that has used up its share of
a tenth of a second stands still for the rest of it. Measured, message to model: 53 ms with two, 146 with one."""
RESERVE_MB: Mapping[str, int] = {"claude-code": 170, "codex": 60, "opencode": 450}
"""What one takes while it starts and answers for the first time (PSS, the engine's shim included)."""


def reserve_of(harness: str) -> int:
    """Return the MB of memory that a starting agent counts with until it has taken them."""
    return RESERVE_MB.get(harness, NATIVE_AGENT_MB)


def why_unfit(harness: str, model: ModelRoute) -> str:
    """Return why a model cannot be this harness's, empty where it can."""
    apis = APIS.get(harness, (model.api,))
    if model.api in apis:
        return ""
    return (
        f"{model.full_name!r} is of a route with `api: {model.api}`, and {harness} asks models by "
        f"`api: {' or '.join(apis)}` only: name a model of such a route, or set `harness: native`"
    )


def harness_problems(
    harness: str, models: Sequence[tuple[str, ModelRoute | None]], file: str, lines: Mapping[str, int]
) -> Iterator[ConfigProblem]:
    """Yield what is wrong with a group's models (each with its key) for its harness."""
    for place, model in models:
        if model is not None and (unfit := why_unfit(harness, model)):
            line = lines.get(place, lines.get("harness", 1))
            yield ConfigProblem(file=file, line=line, key=place, message=unfit)
