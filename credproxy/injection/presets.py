"""Providers by name, one file each in `presets/`: where their keys go, how they look, what their tools call them.

Read when first asked for, and then kept: most homes use two or three of them. The proxy and the command both read them.
A fork adds its own (`policy/own_files.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from credproxy.injection.kinds import VALUE, Injection, Recipe
from credproxy.injection.placeholder_form import PLAIN_FORM
from credproxy.injection.preset import Preset
from credproxy.vault.secret import is_secret_name

FOLDER = Path(__file__).parent / "presets"
_OWN: dict[str, Preset] = {}
"""The fork's, by name: these count over ours, and where they know a host, they alone."""


@lru_cache(maxsize=1)
def preset_names() -> tuple[str, ...]:
    return tuple(sorted({*(path.stem for path in FOLDER.glob("*.yaml")), *_OWN}))


@lru_cache(maxsize=128)
def load_preset(name: str) -> Preset | None:
    """Return a preset; None if there is none of that name."""
    if name in _OWN or name not in preset_names():
        return _OWN.get(name)
    preset = _read_preset(FOLDER / f"{name}.yaml")
    if isinstance(preset, str):
        raise ValueError(preset)  # a file of ours: a test reads them all
    return preset


def use_own_presets(folder: Path) -> tuple[str, ...]:
    """Take up the presets of a fork, again after a change; return what is wrong with their files."""
    found, problems = {}, []
    for path in sorted(folder.glob("*.yaml")):
        preset = _read_preset(path)
        if isinstance(preset, str):
            problems.append(preset)
        else:
            found[path.stem] = preset
    if found != _OWN:
        _OWN.clear()
        _OWN.update(found)
        for known in (preset_names, load_preset, _presets_by_host):
            known.cache_clear()
    return tuple(problems)


def _read_preset(path: Path) -> Preset | str:
    """Return a preset, or what is wrong with its file."""
    from credproxy.injection.preset_file import parse_preset

    file = f"presets/{path.name}"
    if not is_secret_name(path.stem):
        return f"{file}: a provider's name has a-z, 0-9 and inner hyphens"
    try:
        preset = parse_preset(path.read_text("utf-8"), path.stem, file)
    except (OSError, UnicodeDecodeError) as error:
        return f"{file} cannot be read: {error}"
    return "; ".join(map(str, preset)) if isinstance(preset, list) else preset


def presets_for(host: str) -> tuple[Preset, ...]:
    """Return the presets that know a host, by name."""
    by_host = _presets_by_host()
    labels = host.split(".")
    below = ("*." + ".".join(labels[index:]) for index in range(1, len(labels)))
    return next((found for pattern in (host, *below) if (found := by_host.get(pattern))), ())


@lru_cache(maxsize=1)
def _presets_by_host() -> Mapping[str, tuple[Preset, ...]]:
    by_host: dict[str, tuple[Preset, ...]] = {}
    for preset in filter(None, map(load_preset, preset_names())):
        for pattern in preset.hosts:
            by_host[pattern] = (*by_host.get(pattern, ()), preset)
    own = {pattern for preset in _OWN.values() for pattern in preset.hosts}
    return {
        pattern: tuple(each for each in known if each.name in _OWN) if pattern in own else known
        for pattern, known in by_host.items()
    }


def meant_preset(host: str) -> Preset | None:
    """Return the preset that is meant for a host where none is named; None if none is, or it could be two."""
    meant = [preset for preset in presets_for(host) if not preset.variant_of]
    return meant[0] if len(meant) == 1 else None


def preset_of(injection: Injection | None) -> str:
    """Return the name of the preset that an injection is of; empty: of none."""
    return injection.preset if isinstance(injection, Recipe) else ""


def idempotency_header_of(injection: Injection | None) -> str | None:
    """Return what the provider calls its idempotency key; None if it takes none, or no preset is used."""
    preset = load_preset(preset_of(injection))
    return None if preset is None else preset.idempotency_header or None


def placeholder_form(preset_name: str, part: str = VALUE) -> str:
    """Return how a placeholder is to look; a plain form for what no preset knows."""
    preset = load_preset(preset_name) if preset_name else None
    return PLAIN_FORM if preset is None else preset.placeholders.get(part, PLAIN_FORM)
