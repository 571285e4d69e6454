"""groups/<id>/: what makes a group, and what suspends one."""

from __future__ import annotations

from pathlib import Path

from protocol.ids import GroupId
from runtime.config import ParsedSettings, parse_settings
from runtime.group_reading import build_group, join_instructions, load_group, load_groups

MAIN, OTHER = GroupId("main"), GroupId("other")
SETTINGS = parse_settings("").settings


def make_fork(fork: Path, **files: str) -> Path:
    for name, text in files.items():
        folder = fork / "groups" / name
        folder.mkdir(parents=True)
        (folder / "group.yaml").write_text(text, "utf-8")
        (folder / "AGENTS.md").write_text(f"You are {name}.\n", "utf-8")
    return fork


def test_a_group_takes_what_it_does_not_say_from_nightyard_yaml() -> None:
    """Model and limits are inherited, limits key by key."""
    settings = parse_settings("limits: {rounds: 9, model_calls: 11}\n").settings
    group, problems = build_group(MAIN, "limits: {rounds: 3}\n", "Be kind.", settings)
    assert problems == ()
    assert (group.limits.rounds, group.limits.model_calls) == (3, 11)
    assert group.model.route == "rehearsal"
    assert (group.parallel, group.skills, group.instructions) == (1, (), "Be kind.")


def test_a_model_on_an_unknown_route_is_a_problem() -> None:
    """The line of the key and the known routes are named."""
    _, (problem,) = build_group(MAIN, "description: x\nmodel: nowhere/big\n", "", SETTINGS)
    assert (problem.file, problem.line, problem.key) == ("groups/main/group.yaml", 2, "model")
    assert "known: rehearsal" in problem.message


def test_a_skill_must_be_a_folder_name() -> None:
    """A path in place of a name is refused."""
    _, (problem,) = build_group(MAIN, "skills: [ok, ../../etc]\n", "", SETTINGS)
    assert problem.key == "skills[1]"


def test_a_fallback_without_a_route_is_named() -> None:
    """A fallback must lie on a route that there is; the good ones are kept in order."""
    text = "fallbacks: [rehearsal/echo, nowhere/m]\neffort: high\n"
    group, problems = build_group(GroupId("main"), text, "", parse_settings("").settings)
    assert [(problem.key, "nowhere" in problem.message) for problem in problems] == [("fallbacks[1]", True)]
    assert ([each.full_name for each in group.fallbacks], group.effort) == (["rehearsal/echo"], "high")


def test_one_wrong_group_is_suspended_and_the_others_run(tmp_path: Path) -> None:
    """A fault concerns the group that it stands in."""
    fork = make_fork(tmp_path, main="", other="modle: x/y\n", example="nonsense: 1\n")
    groups = load_groups(fork, parse_settings(""))
    assert set(groups.ready) == {MAIN}
    assert [problem.key for problem in groups.suspended[OTHER]] == ["modle"]
    assert groups.problems_of(MAIN) == ()
    assert "there is no group" in groups.problems_of(GroupId("ghost"))[0].message
    assert groups.ready[MAIN].instructions == "You are main."


def test_a_fault_of_a_route_suspends_its_users_only(tmp_path: Path) -> None:
    """Whose model is on another route runs on."""
    fork = make_fork(tmp_path, main="", other="model: broken/x\n")
    groups = load_groups(fork, parse_settings("routes: {broken: {url: 'http://x', apy: openai}}\n"))
    assert set(groups.ready) == {MAIN}
    assert set(groups.suspended) == {OTHER}


def test_a_fault_of_the_whole_file_suspends_everybody(tmp_path: Path) -> None:
    """No group runs under limits that its owner did not mean; a channel's fault is no such thing."""
    fork = make_fork(tmp_path, main="", other="")
    assert load_groups(fork, parse_settings("limits: {rouns: 3}\n")).ready == {}
    assert load_groups(fork, parse_settings("a: [\n")).ready == {}
    assert set(load_groups(fork, parse_settings("channels: {telegram: {x: 1}}\n")).ready) == {MAIN, OTHER}


def test_a_folder_without_files_is_a_group(tmp_path: Path) -> None:
    """Both files are optional; a folder whose name is no group id is none."""
    (tmp_path / "groups" / "main").mkdir(parents=True)
    (tmp_path / "groups" / "Not A Group").mkdir()
    assert set(load_groups(tmp_path, ParsedSettings(settings=SETTINGS)).ready) == {MAIN}
    assert load_groups(tmp_path / "nothing", ParsedSettings(settings=SETTINGS)).ready == {}


def test_instructions_of_other_products_are_read_too_each_once() -> None:
    """SOUL.md and CLAUDE.md follow AGENTS.md; a copy of it, or a line that only names it, adds nothing."""
    assert join_instructions(["Be kind.\n", "@AGENTS.md\n\nUse tabs.\n", ""]) == "Be kind.\n\nUse tabs."
    assert join_instructions(["Be kind.\n", "Be kind.\n", "You are a cat."]) == "Be kind.\n\nYou are a cat."
    assert join_instructions(["", "AGENTS.md", ""]) == ""


def test_a_group_with_the_files_of_other_products_runs_by_them(tmp_path: Path) -> None:
    """A folder that has CLAUDE.md and SOUL.md instead of AGENTS.md is a group with instructions."""
    fork = make_fork(tmp_path, main="")
    folder = fork / "groups" / "main"
    (folder / "AGENTS.md").unlink()
    (folder / "CLAUDE.md").write_text("Use tabs.\n")
    (folder / "SOUL.md").write_text("You are a cat.\n")
    assert load_group(fork, MAIN, SETTINGS)[0].instructions == "Use tabs.\n\nYou are a cat."


def test_instructions_that_cannot_be_read_suspend(tmp_path: Path) -> None:
    """Too large or not UTF-8: told, never half read."""
    fork = make_fork(tmp_path, main="", other="")
    (fork / "groups" / "main" / "AGENTS.md").write_bytes(b"\xff\xfe")
    (fork / "groups" / "other" / "AGENTS.md").write_text("x" * (300 << 10), "utf-8")
    groups = load_groups(fork, parse_settings(""))
    assert "cannot be read" in groups.suspended[MAIN][0].message
    assert "larger than 256 KiB" in groups.suspended[OTHER][0].message


def test_the_example_group_is_right() -> None:
    """What new groups are made from has no fault."""
    folder = Path(__file__).resolve().parents[2] / "groups" / "example"
    text, instructions = (folder / "group.yaml").read_text("utf-8"), (folder / "AGENTS.md").read_text("utf-8")
    group, problems = build_group(MAIN, text, instructions, SETTINGS)
    assert problems == ()
    assert all((folder.parents[1] / "skills" / skill / "SKILL.md").is_file() for skill in group.skills)
