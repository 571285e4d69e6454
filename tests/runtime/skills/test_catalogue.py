"""Where skills are found, and what is left out."""

from __future__ import annotations

from pathlib import Path

from protocol.ids import GroupId
from protocol.link import SkillCard
from runtime.group_reading import load_groups
from runtime.settings_file import load_settings
from runtime.skills.catalogue import load_skills, read_front, skill_names
from runtime.skills.frontmatter import SkillFront

ROOT = Path(__file__).resolve().parents[3]


def write_skill(folder: Path, description: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(f"---\nname: {folder.name}\ndescription: {description}\n---\nBody.\n")


def write_group(fork: Path, name: str, settings: str) -> None:
    folder = fork / "groups" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "group.yaml").write_text(settings)
    (folder / "AGENTS.md").write_text("Be kind.\n")


def test_the_nearer_skill_wins(tmp_path: Path) -> None:
    """A group's own folder goes before the fork's, for that group alone."""
    write_skill(tmp_path / "skills" / "notes", "Of all.")
    write_skill(tmp_path / "groups" / "main" / "skills" / "notes", "Of main.")
    write_skill(tmp_path / "groups" / "main" / "skills" / "own", "Only of main.")
    (skill,), _ = load_skills(tmp_path, "main", ["notes"])
    assert skill.card == SkillCard(name="notes", description="Of main.")
    (other,), _ = load_skills(tmp_path, "side", ["notes"])
    assert other.card.description == "Of all."
    assert (skill_names(tmp_path, "main"), skill_names(tmp_path, "side")) == (["notes", "own"], ["notes"])


def test_a_missing_skill_is_a_problem_and_a_double_one_is_one() -> None:
    """Named twice, mounted once; what is not there is named with its file."""
    skills, (problem,) = load_skills(ROOT, "main", ["workspace-tour", "ghost", "workspace-tour"])
    assert [skill.card.name for skill in skills] == ["workspace-tour"]
    assert (problem.name, problem.file) == ("ghost", "skills/ghost/SKILL.md")


def test_a_change_is_seen_at_once(tmp_path: Path) -> None:
    """What SKILL.md says, and which folder is the nearest, is looked up for each task."""
    folder = tmp_path / "skills" / "notes"
    write_skill(folder, "Old.")
    load_skills(tmp_path, "main", ["notes"])
    write_skill(folder, "New words.")
    (edited,), _ = load_skills(tmp_path, "main", ["notes"])
    assert edited.card.description == "New words."
    own = tmp_path / "groups" / "main" / "skills" / "notes"
    write_skill(own, "Nearer.")
    (nearer,), _ = load_skills(tmp_path, "main", ["notes"])
    assert (nearer.card.description, nearer.folder) == ("Nearer.", own)


def test_a_group_may_name_its_own_skills_and_is_told_of_broken_ones(tmp_path: Path) -> None:
    """A group runs with a skill of its own folder; a broken one suspends it, with the file named."""
    write_group(tmp_path, "main", "model: rehearsal/guide\nskills: [own]\n")
    write_skill(tmp_path / "groups" / "main" / "skills" / "own", "Mine.")
    assert "main" in load_groups(tmp_path, load_settings(tmp_path)).ready
    (tmp_path / "groups" / "main" / "skills" / "own" / "SKILL.md").write_text("nothing")
    (problem,) = load_groups(tmp_path, load_settings(tmp_path)).problems_of(GroupId("main"))
    assert problem.file == "groups/main/skills/own/SKILL.md"


def test_own_skills_of_one_name_are_two_skills(tmp_path: Path) -> None:
    """A skill in agents of both modes is a mistake, unless each has one of its own under that name."""
    write_group(tmp_path, "one", "model: rehearsal/guide\nskills: [notes]\nmode: copilot\n")
    write_group(tmp_path, "two", "model: rehearsal/guide\nskills: [notes]\n")
    write_skill(tmp_path / "skills" / "notes", "Of all.")
    assert not load_groups(tmp_path, load_settings(tmp_path)).ready
    write_skill(tmp_path / "groups" / "one" / "skills" / "notes", "Of one.")
    assert set(load_groups(tmp_path, load_settings(tmp_path)).ready) == {"one", "two"}


def test_the_library_keeps_to_the_format() -> None:
    """Every skill that ships deviates in nothing and names no tool that is not here."""
    for name in skill_names(ROOT):
        front = read_front(ROOT / "skills" / name)
        assert isinstance(front, SkillFront), front
        assert (name, front.deviations, front.remarks) == (name, (), ())
