"""What the tests of chaos share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.judge import Judge


@pytest.fixture
def judge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Judge:
    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", flush=True)

    return Judge(tell=tell, evidence=tmp_path)
