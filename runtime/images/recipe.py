"""What a group's image is made of, and the reference that it therefore has. Pure.

A group that wants nothing extra has the agent image itself. Equal recipes are one image, whoever's they are. The image
is built by `cli/image_build.py` in another process: this is all that the host must know of how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.group import Group
from runtime.images.settings import PackageSettings

REPOSITORY = "nightyard-derived"
NATIVE = "native"
BROWSER_PACKAGES = ("chromium-headless-shell", "libnss3-tools", "fonts-liberation", "fonts-noto-color-emoji")
"""Debian's Chromium, built without windows: half the memory of its `chromium`, and it asks nobody for news; certutil,
for the proxy's authority; letters of most of Europe's languages, and emoji."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInputs:
    """What of the repository goes into derived images."""

    pins: Mapping[str, object]
    """`agents/image/derived/pins.json`: versions and hashes of the harnesses and of Node."""
    script: bytes
    """`install.sh` beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecipe:
    """All that one image is made of."""

    base: str
    """The agent image's reference."""
    harness: str = NATIVE
    packages: PackageSettings = field(default_factory=PackageSettings)
    browser: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the agent image itself is what is wanted."""
        return self.harness == NATIVE and not self.browser and not self.packages.count

    @property
    def apt(self) -> tuple[str, ...]:
        """The Debian packages, a browser's among them."""
        return tuple(sorted({*self.packages.apt, *(BROWSER_PACKAGES if self.browser else ())}))

    @property
    def pip(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.packages.pip)))

    @property
    def npm(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.packages.npm)))

    @property
    def summary(self) -> str:
        """What is in it beside the agent image, for people: `claude-code, apt: ffmpeg, pip: pandas`."""
        parts = [] if self.harness == NATIVE else [self.harness]
        parts += ["browser"] if self.browser else []
        named = (("apt", self.packages.apt), ("pip", self.packages.pip), ("npm", self.packages.npm))
        parts += [f"{manager}: {' '.join(sorted(set(names)))}" for manager, names in named if names]
        return ", ".join(parts)

    def reference(self, inputs: ImageInputs) -> str:
        """Return the image's reference, built or not."""
        if self.is_plain:
            return self.base
        harnesses = inputs.pins.get("harnesses")
        pinned = harnesses.get(self.harness) if isinstance(harnesses, dict) else None
        node = inputs.pins.get("node") if self.npm else None
        made_of = [self.base, self.harness, pinned, node, self.apt, self.pip, self.npm]
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
        digest.update(inputs.script)
        return f"{REPOSITORY}:{digest.hexdigest()[:16]}"


def recipe_of(group: Group, base: str) -> ImageRecipe:
    """Return what a group's image is made of; `base`: the agent image's reference."""
    return ImageRecipe(base=base, harness=group.harness, packages=group.packages, browser=group.browser)
