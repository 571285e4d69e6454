"""nightyard.yaml in the fork, held against what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.group_reading import load_groups
from runtime.settings_file import group_names, load_settings

PLATFORMS = ("telegram",)


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """A fork with the groups `main` and `garden`."""
    for name in ("main", "garden", "example"):
        (tmp_path / "groups" / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "line", "key", "words", "nearest"),
    [
        ("\ntime_zone: Europe/Berlinn\n", 2, "time_zone", "no time zone", "Europe/Berlin"),
        ("time_zone: ../../etc/passwd\n", 1, "time_zone", "no time zone", ""),
        ("time_zone: Europe\n", 1, "time_zone", "no time zone", "Europe/Rome"),
        (
            "channels:\n  phone:\n    secret: x\n    platform: telegramm\n",
            4,
            "channels.phone.platform",
            "no platform 'telegramm' (known: terminal, telegram)",
            "telegram",
        ),
        ("channels:\n  discord: {secret: x}\n", 2, "channels.discord.platform", "no platform 'discord'", ""),
        (
            "channels:\n  telegram:\n    secret: x\n    group: gardn\n",
            4,
            "channels.telegram.group",
            "no group 'gardn' (known: garden, main); `nightyard group new gardn` makes it",
            "garden",
        ),
        ("channels:\n  terminal: {group: nobody}\n", 2, "channels.terminal.group", "no group 'nobody'", ""),
    ],
)
def test_a_name_that_nothing_answers_to_is_named(
    fork: Path, text: str, line: int, key: str, words: str, nearest: str
) -> None:
    """With file, line, key, what there is, and the nearest of it."""
    (fork / "nightyard.yaml").write_text(text, "utf-8")
    (problem,) = load_settings(fork, PLATFORMS).problems
    assert (problem.file, problem.line, problem.key) == ("nightyard.yaml", line, key)
    assert words in problem.message
    if problem.nearest != nearest:
        assert key == "time_zone" and problem.nearest.startswith("E"), "of many near zones any will do"


def test_what_is_not_said_is_not_wrong(tmp_path: Path) -> None:
    """A fork without any group, before the first `up`, has no fault; nor has one whose platforms nobody asks about."""
    assert load_settings(tmp_path, PLATFORMS).problems == ()
    (tmp_path / "groups" / "main").mkdir(parents=True)
    (tmp_path / "nightyard.yaml").write_text("time_zone: UTC\nchannels: {discord: {secret: x}}\n", "utf-8")
    assert load_settings(tmp_path).problems == ()


def test_one_fault_is_told_once(fork: Path) -> None:
    """A key that cannot be read is not looked up as well."""
    (fork / "nightyard.yaml").write_text("channels: {telegram: {secret: x, group: Not A Name}}\n", "utf-8")
    (problem,) = load_settings(fork, PLATFORMS).problems
    assert "1-32 of a-z" in problem.message


def test_the_example_is_no_group(fork: Path) -> None:
    """Nor is a folder whose name cannot be one's, nor a fork without groups a fault."""
    (fork / "groups" / "Not A Group").mkdir()
    assert group_names(fork) == ["garden", "main"]
    assert group_names(fork / "nothing") == []


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    """A file of nested aliases is read at once, not expanded."""
    layers = "".join(f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]\n" for n in range(1, 60))
    (tmp_path / "nightyard.yaml").write_text(f"l0: &l0 [1]\n{layers}", "utf-8")
    assert len(load_settings(tmp_path).problems) == 60


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told as what they are; a file that is not there is an empty one."""
    assert load_settings(tmp_path).problems == ()
    (tmp_path / "nightyard.yaml").write_bytes(b"model: \xff\n")
    (problem,) = load_settings(tmp_path).problems
    assert "cannot be read" in problem.message


def test_a_skill_that_is_not_there_suspends_its_group(fork: Path) -> None:
    """With the line of the name and the nearest skill; so does one whose card cannot be read."""
    for skill, text in (("meeting-notes", "---\ndescription: x\n---\n"), ("broken", "no card")):
        (fork / "skills" / skill).mkdir(parents=True)
        (fork / "skills" / skill / "SKILL.md").write_text(text, "utf-8")
    (fork / "groups" / "main" / "group.yaml").write_text("skills:\n  - meeting-notes\n  - meting-notes\n", "utf-8")
    (fork / "groups" / "garden" / "group.yaml").write_text("skills: [broken]\n", "utf-8")
    suspended = load_groups(fork, load_settings(fork)).suspended
    assert [str(problem) for problems in suspended.values() for problem in problems] == [
        "skills/broken/SKILL.md:1: SKILL.md does not begin with a --- line",
        "groups/main/group.yaml:3: skills[1]: there is no skill 'meting-notes' (known: broken, meeting-notes); "
        "did you mean meeting-notes?",
    ]
