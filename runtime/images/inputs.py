"""Reads what of the repository goes into derived images."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.images.recipe import ImageInputs

DERIVED = Path("agents/image/derived")


def load_inputs(repository: Path) -> ImageInputs:
    """Read the pins and the script."""
    folder = repository / DERIVED
    return ImageInputs(
        pins=json.loads((folder / "pins.json").read_bytes()), script=(folder / "install.sh").read_bytes()
    )
