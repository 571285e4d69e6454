"""group.yaml with packages more: the change where it belongs, everything else as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.group_settings import GroupSettings
from runtime.images.group_file import CannotEdit, show_change, with_packages
from runtime.yaml_record import parse_record

CASES = [
    ("", "packages:\n  pip: [a, b]\n"),
    ("# mine\nmodel: r/m", "# mine\nmodel: r/m\npackages:\n  pip: [a, b]\n"),
    ("packages:\n  pip: [a]  # why\nfooter: true\n", "packages:\n  pip: [a, b]  # why\nfooter: true\n"),
    ("packages:\n  pip:\n    - a  # one\n    # more\nfooter: true\n", None),
    ("packages:\n  # Debian's\n  apt: [x1]\n", "packages:\n  # Debian's\n  pip: [a, b]\n  apt: [x1]\n"),
    ("packages:\n    apt: [x1]\n", "packages:\n    pip: [a, b]\n    apt: [x1]\n"),
    ("packages:\n  pip: [ ]\n", "packages:\n  pip: [a, b]\n"),
    ("packages:\n  pip: [\n    a,\n  ]\n", "packages:\n  pip: [a, b]\n"),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_packages_are_added_where_they_belong(before: str, after: str | None) -> None:
    """Comments and order stay; what was there stays there."""
    changed = with_packages(before, "pip", ["a", "b"])
    assert parse_record(changed, "f", GroupSettings()).value.packages.pip == ("a", "b")
    if after is not None:
        assert changed == after
    assert with_packages(changed, "pip", ["b"]) == changed


def test_names_that_yaml_reads_otherwise_are_quoted() -> None:
    """A scope, extras, a number."""
    changed = with_packages("", "npm", ["@types/node@1.0.0", "x"])
    assert parse_record(changed, "f", GroupSettings()).value.packages.npm == ("@types/node@1.0.0", "x")
    changed = with_packages("", "pip", ["uvicorn[standard]", "0x1", "y"])
    assert parse_record(changed, "f", GroupSettings()).value.packages.pip == ("uvicorn[standard]", "0x1", "y")


@pytest.mark.parametrize("text", ["packages: {pip: [a]}\n", "packages: [a]\n", "packages:\n  pip: a\n", "a: [\n"])
def test_what_is_written_in_an_unusual_way_is_left_to_a_person(text: str) -> None:
    """No guess is made, and nothing is written."""
    with pytest.raises(CannotEdit):
        with_packages(text, "pip", ["b"])


def test_the_change_is_shown_as_a_diff() -> None:
    """The lines that go and come, and no others of a long file."""
    before = "".join(f"# line {number}\n" for number in range(50))
    lines = show_change(before, with_packages(before, "apt", ["tree"]), "groups/main/group.yaml")
    assert lines[-2:] == ["+packages:", "+  apt: [tree]"]
    assert len(lines) < 8


@given(st.lists(st.sampled_from(["a", "no", "on", "null", "true", "1e3", "x-y", "0b1"]), min_size=1, unique=True))
def test_whatever_is_added_is_read_back(names: list[str]) -> None:
    """Words of YAML's own among them."""
    text = ""
    for name in names:
        text = with_packages(text, "pip", [name])
    assert parse_record(text, "f", GroupSettings()).value.packages.pip == tuple(names)
