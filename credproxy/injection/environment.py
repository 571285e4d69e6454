"""What a group's containers are told in place of keys: variables with placeholders in them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from credproxy.injection.kinds import VALUE, Injection, Recipe
from credproxy.injection.placeholders import PlaceholderName, Placeholders
from credproxy.injection.presets import load_preset, meant_preset, preset_of
from protocol.ids import GroupId

UNNAMED = "NIGHTYARD_PLACEHOLDER_"
"""Before the name of a secret whose variable neither a preset nor the grant names: `…_MY_SEARCH`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """A secret that a group's grants put into requests, as its tools know it."""

    secret: str
    preset: str
    """Empty: of no known provider."""
    variables: tuple[str, ...] = ()
    """Those that the grant names."""


def use_of(secret: str, injection: Injection, host: str) -> SecretUse:
    """Return what a grant makes of a secret. One that says how by itself, as `bearer`, still is for a host that a
    preset knows."""
    preset = preset_of(injection)
    if not preset:
        meant = meant_preset(host)
        preset = "" if meant is None else meant.name
    return SecretUse(
        secret=secret, preset=preset, variables=injection.variables if isinstance(injection, Recipe) else ()
    )


def environment_of(group_id: GroupId, uses: Iterable[SecretUse], placeholders: Placeholders) -> dict[str, str]:
    """Return variable to placeholder for the secrets of a group's grants, in the file's order: where two want the
    same variable, the first has it."""
    variables: dict[str, str] = {}
    for use in uses:
        for variable, part in _variables(use):
            if variable not in variables:
                variables[variable] = placeholders.of(group_id, use.secret, use.preset, part)
    return variables


def names_of(group_id: GroupId, uses: Iterable[SecretUse]) -> Iterator[PlaceholderName]:
    """Yield all placeholders that the secrets of a group's grants have."""
    seen: set[tuple[str, str]] = set()
    for use in uses:
        if (use.secret, use.preset) not in seen:
            seen.add((use.secret, use.preset))
            known = load_preset(use.preset) if use.preset else None
            for part in known.placeholders if known is not None else (VALUE,):
                yield PlaceholderName(group_id=group_id, secret=use.secret, preset=use.preset, part=part)


def _variables(use: SecretUse) -> Iterator[tuple[str, str]]:
    preset = load_preset(use.preset) if use.preset else None
    if use.variables:
        part = VALUE if preset is None else next(iter(preset.placeholders), VALUE)
        yield from ((variable, part) for variable in use.variables)
    elif preset is not None and preset.environment:
        yield from preset.environment.items()
    else:
        yield UNNAMED + use.secret.upper().replace("-", "_"), VALUE
