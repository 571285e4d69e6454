"""Ready-made grants by name: one file each in `bundles/`, in the words of a grants.yaml. Read when first asked for."""

from __future__ import annotations

import functools
from pathlib import Path

FOLDER = Path(__file__).parent / "bundles"


@functools.cache
def bundle_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@functools.cache
def read_bundle(name: str) -> str | None:
    """Return a bundle's text; None if there is none of that name."""
    return (FOLDER / f"{name}.yaml").read_text("utf-8") if name in bundle_names() else None


def bundle_title(name: str) -> str:
    """Return what a bundle is for: its first line."""
    text = read_bundle(name) or ""
    return text.partition("\n")[0].removeprefix("#").strip()
