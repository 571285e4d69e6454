"""New agents are copies of the example."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.people.new_group import SHIPPED_EXAMPLE, make_group
from runtime.refusal import OperationRefused


def test_a_fork_without_an_example_makes_agents_from_the_shipped_one(tmp_path: Path) -> None:
    """A fork kept apart from the checkout need not hold the example; its own counts where it does."""
    (tmp_path / "groups").mkdir()
    assert make_group(tmp_path, "garden") == "garden"
    made = {file.name for file in (tmp_path / "groups" / "garden").iterdir()}
    assert made == {file.name for file in SHIPPED_EXAMPLE.iterdir()}
    (tmp_path / "groups" / "example").mkdir()
    (tmp_path / "groups" / "example" / "AGENTS.md").write_text("Ours.")
    make_group(tmp_path, "shed")
    assert [file.name for file in (tmp_path / "groups" / "shed").iterdir()] == ["AGENTS.md"]


def test_a_name_that_is_taken_or_wrong_is_refused(tmp_path: Path) -> None:
    """Nothing is changed, and no name leads out of the folder."""
    (tmp_path / "groups").mkdir()
    make_group(tmp_path, "garden")
    for name, code in (("garden", "known_group"), ("../x", "wrong_name"), ("example", "wrong_name")):
        with pytest.raises(OperationRefused) as refused:
            make_group(tmp_path, name)
        assert refused.value.code == code
    assert [file.name for file in (tmp_path / "groups").iterdir()] == ["garden"]
