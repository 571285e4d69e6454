"""What a group's containers are told in place of keys: variables with placeholders in them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from credproxy.injection.kinds import VALUE, Injection, Recipe
from credproxy.injection.placeholders import PlaceholderName, Placeholders
from credproxy.injection.presets import load_preset, preset_of
from protocol.ids import GroupId

UNNAMED = "NIGHTYARD_PLACEHOLDER_"
"""Before the name of a secret whose variable neither a preset nor the grant names: `…_MY_SEARCH`."""


def environment_of(
    group_id: GroupId, secrets: Iterable[tuple[str, Injection]], placeholders: Placeholders
) -> dict[str, str]:
    """Return variable to placeholder for the secrets of a group's grants, in the file's order: where two want the
    same variable, the first has it."""
    variables: dict[str, str] = {}
    for secret, injection in secrets:
        for variable, part in _variables(secret, injection):
            if variable not in variables:
                variables[variable] = placeholders.of(group_id, secret, preset_of(injection), part)
    return variables


def names_of(group_id: GroupId, secrets: Iterable[tuple[str, Injection]]) -> Iterator[PlaceholderName]:
    """Yield all placeholders that the secrets of a group's grants have."""
    for secret, preset in {(secret, preset_of(injection)) for secret, injection in secrets}:
        known = load_preset(preset) if preset else None
        for part in known.placeholders if known is not None else (VALUE,):
            yield PlaceholderName(group_id=group_id, secret=secret, preset=preset, part=part)


def _variables(secret: str, injection: Injection) -> Iterator[tuple[str, str]]:
    preset = load_preset(preset_of(injection))
    part = VALUE if preset is None or not preset.placeholders else next(iter(preset.placeholders))
    if isinstance(injection, Recipe) and injection.variables:
        yield from ((variable, part) for variable in injection.variables)
    elif preset is not None and preset.environment:
        yield from preset.environment.items()
    else:
        yield UNNAMED + secret.upper().replace("-", "_"), part
