"""Spaces as the fork declares them and group.yaml grants them."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.ids import GroupId
from runtime.config import parse_settings
from runtime.group_reading import build_group, load_group
from runtime.instructions import build_instructions
from runtime.spaces.words import describe_spaces

SETTINGS = parse_settings("").settings


def fork_with(path: Path, group_yaml: str, **spaces: str) -> Path:
    (path / "groups" / "main").mkdir(parents=True)
    (path / "groups" / "main" / "group.yaml").write_text(group_yaml)
    for name, text in spaces.items():
        (path / "spaces" / name).mkdir(parents=True)
        (path / "spaces" / name / "space.yaml").write_text(text)
    return path


def test_a_group_has_the_spaces_that_it_names(tmp_path: Path) -> None:
    """With what the space itself says, in the order of their names."""
    yaml = "spaces:\n  notes: rw\n  docs: ro\n"
    fork = fork_with(tmp_path, yaml, notes="description: what we found\nquota_mb: 7\n", docs="")
    group, problems = load_group(fork, GroupId("main"), SETTINGS)
    assert problems == ()
    assert [(space.name, space.access, space.settings.quota_mb) for space in group.spaces] == [
        ("docs", "ro", 1024),
        ("notes", "rw", 7),
    ]
    told = build_instructions(group)
    assert "- /spaces/docs (read only)\n- /spaces/notes (read and write): what we found" in told


def test_a_group_without_spaces_is_told_nothing_of_them() -> None:
    """Not a byte of its instructions."""
    group, _ = build_group(GroupId("main"), "", "", SETTINGS)
    assert describe_spaces(group.spaces) == ""
    assert "/spaces" not in build_instructions(group)


@pytest.mark.parametrize(
    ("group_yaml", "space_yaml", "said"),
    [
        ("spaces: {nots: rw}", "", "group.yaml:1: spaces.nots: there is no space 'nots' (known: notes); did you"),
        ("spaces: {notes: yes}", "", "should be one of ro, rw, but it is 'yes'"),
        ("spaces: {../x: rw}", "", "should be 1-32 of a-z"),
        ("spaces: [notes]", "", "should have keys under it"),
        ("spaces: {notes: rw}", "quota: 5", "spaces/notes/space.yaml:1: quota: is not a known key"),
        ("spaces: {notes: rw}", "quota_mb: 0", "should be at least 1"),
        ("spaces: {notes: rw}", 'description: "a\\nb"', "should be one line"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, group_yaml: str, space_yaml: str, said: str) -> None:
    """File, line and key; a group with such a fault does not run."""
    _, problems = load_group(fork_with(tmp_path, group_yaml, notes=space_yaml), GroupId("main"), SETTINGS)
    assert said in "\n".join(map(str, problems))
