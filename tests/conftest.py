"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from cli.image import ensure_image

ROOT = Path(__file__).resolve().parent.parent

# An example may take as long as a busy machine needs: how fast something is, the benchmarks say.
hypothesis.settings.register_profile("nightyard", deadline=None)
hypothesis.settings.load_profile("nightyard")


@pytest.fixture(scope="session")
def agent_image() -> str:
    """The agent image of this checkout, built if the engine does not have it; needs an engine."""
    return ensure_image(ROOT)
