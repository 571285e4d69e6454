"""What a fork adds to the ready-made: providers in `presets/`, bundles of hosts in `bundles/`, a file each, in the form
of ours. One of the same name counts over ours.

A process reads one fork. It takes its files up before it reads grants, and again when they have changed.
"""

from __future__ import annotations

from pathlib import Path

from credproxy.injection.presets import use_own_presets
from credproxy.policy.bundles import use_own_bundles

PRESETS = "presets"
BUNDLES = "bundles"


def own_files(fork: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for folder in (PRESETS, BUNDLES) for path in (fork / folder).glob("*.yaml")))


def use_own_files(fork: Path) -> tuple[str, ...]:
    """Take up what a fork adds; return what is wrong with it, file by file. What is wrong is not there."""
    return (*use_own_bundles(fork / BUNDLES), *use_own_presets(fork / PRESETS))
