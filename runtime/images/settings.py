"""The keys of group.yaml that say what a group's image has beside the usual: `packages`. Pure.

Names and exact versions only: what a package manager would also take (addresses, paths, options) is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.yaml_record import key

MAX_PACKAGES = 50
"""Of one manager."""
MAX_NAME_CHARS = 120
SHAPES = {
    "apt": re.compile(r"[a-z0-9][a-z0-9+.-]+(=[0-9][A-Za-z0-9.+~:-]*)?"),
    "pip": re.compile(
        r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9,._-]+\])?(==[0-9][A-Za-z0-9.!+_-]*)?",
    ),
    "npm": re.compile(r"(@[a-z0-9-][a-z0-9._-]*/)?[a-z0-9-][a-z0-9._-]*(@[0-9][A-Za-z0-9.+-]*)?"),
}
EXAMPLES = {"apt": "ffmpeg", "pip": "pandas or pandas==2.3.1", "npm": "prettier or prettier@3.6.2"}


def why_wrong_package(manager: str, name: str) -> str | None:
    """Return what is wrong with a package's name; None for a good one."""
    if len(name) <= MAX_NAME_CHARS and not name.startswith("-") and SHAPES[manager].fullmatch(name):
        return None
    return f"should be a package as {manager} names it, such as {EXAMPLES[manager]}, but it is {name[:60]!r}"


def _apt(name: str) -> str | None:
    return why_wrong_package("apt", name)


def _pip(name: str) -> str | None:
    return why_wrong_package("pip", name)


def _npm(name: str) -> str | None:
    return why_wrong_package("npm", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSettings:
    """What a group's containers have installed, beside what all have."""

    apt: tuple[str, ...] = key((), check=_apt)
    """Debian packages: `name`, or `name=version`."""
    pip: tuple[str, ...] = key((), check=_pip)
    """Python packages that come as wheels: `name`, or `name==version`. The `python3` on PATH has them."""
    npm: tuple[str, ...] = key((), check=_npm)
    """Node packages: `name`, or `name@version`. Node 24 and npm come with the first."""

    def joined(self, other: PackageSettings) -> PackageSettings:
        """Return the packages of both."""
        pairs = {name: (*getattr(self, name), *getattr(other, name)) for name in SHAPES}
        return PackageSettings(**{name: tuple(dict.fromkeys(names)) for name, names in pairs.items()})

    @property
    def count(self) -> int:
        return len(self.apt) + len(self.pip) + len(self.npm)
