"""Whom a group may ask, as its group.yaml says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.ids import GroupId
from protocol.link import AgentCard
from runtime.config import parse_settings
from runtime.group import Groups
from runtime.group_reading import load_groups

MAIN = GroupId("main")


def loaded(fork: Path, delegates: str) -> Groups:
    for name, text in (("main", f"delegates: {delegates}\n"), ("side", "description: knows the books\n")):
        (fork / "groups" / name).mkdir(parents=True, exist_ok=True)
        (fork / "groups" / name / "group.yaml").write_text(text)
    return load_groups(fork, parse_settings(""))


def test_named_groups_are_told_with_what_they_are_for(tmp_path: Path) -> None:
    """The agent is shown the groups that its owner named and that run, with their descriptions."""
    groups = loaded(tmp_path, "[side]")
    assert groups.delegates_of(groups.ready[MAIN]) == (AgentCard(name="side", description="knows the books"),)


@pytest.mark.parametrize(
    ("delegates", "words"),
    [
        ("[sied]", "there is no group 'sied' (known: side)"),
        ("[main]", "an agent does not ask itself"),
        ('["../x"]', "should be the name of a folder under groups/"),
    ],
)
def test_a_wrong_name_suspends_the_group_with_its_reason(tmp_path: Path, delegates: str, words: str) -> None:
    """A name that is no other group's is a fault of the file, told with the key that it stands in."""
    groups = loaded(tmp_path, delegates)
    assert MAIN not in groups.ready
    (problem,) = groups.suspended[MAIN]
    assert problem.key == "delegates[0]"
    assert words in problem.message
