"""`skill test`: cases read, carried out by agents made for them, judged and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.skill_evals import EVALS_FILE, WrongEvals, failed_checks, parse_cases
from runtime.skills.content import SkillFile, read_folder
from tests.cli.conftest import Run
from tests.scripted_house import House

LIBRARY = Path(__file__).resolve().parents[2] / "skills"
CHECK = {"reply_contains": "a"}


def cases_of(**case: object) -> bytes:
    return json.dumps({"evals": [{"prompt": "p", "checks": [CHECK], **case}]}).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"[]", "a list `evals`"),
        (b'{"evals": []}', "1 to 100"),
        (b'{"evals": [1]}', "case 1 .* object"),
        (cases_of(prompt=" "), "`prompt`"),
        (cases_of(files=["../x"]), "`files`"),
        (cases_of(checks=[]), "at least one"),
        (cases_of(checks=[{}]), "a check should be"),
        (cases_of(checks=[{"reply_contains": "a", "reply_lacks": "b"}]), "a check should be"),
        (cases_of(checks=[{"contains": "a"}]), "a check should be"),
        (cases_of(checks=[{"reply_matches": "("}]), "no pattern"),
        (json.dumps({"evals": [{"prompt": "p", "checks": [CHECK], "id": 1}] * 2}).encode(), "twice"),
    ],
)
def test_what_cannot_be_carried_out_is_named(content: bytes, words: str) -> None:
    """A wrong case is told before any model is asked."""
    with pytest.raises(WrongEvals, match=words):
        parse_cases({EVALS_FILE: SkillFile(content=content)})
    with pytest.raises(WrongEvals, match="has no evals"):
        parse_cases({})


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ({"reply_contains": "DONE"}, ""),
        ({"reply_contains": "begun"}, "the reply does not contain 'begun'"),
        ({"reply_matches": "^all .one$"}, ""),
        ({"reply_matches": "^done"}, "the reply does not match '^done'"),
        ({"reply_lacks": "done"}, "the reply contains 'done'"),
        ({"reply_lacks": "begun"}, ""),
        ({"file": "a.md"}, ""),
        ({"file": "b.md"}, "there is no file 'b.md'"),
        ({"file": "a.md", "contains": "two", "matches": r"^\d$"}, "the file 'a.md' does not contain 'two'"),
        ({"file": "a.md", "contains": "one", "matches": r"^\d$"}, r"the file 'a.md' does not match '^\\d$'"),
    ],
)
def test_each_check_says_what_is_wrong(check: dict[str, str], wrong: str) -> None:
    """A check is passed, or tells in words what was not as it should be."""
    (case,) = parse_cases({EVALS_FILE: SkillFile(content=cases_of(checks=[check]))})
    assert "".join(failed_checks(case, "All done", {"a.md": "one"}.get)) == wrong


def test_the_cases_of_the_library_can_be_carried_out() -> None:
    """The library's skills come with cases of their own that are sound."""
    names = [folder.name for folder in LIBRARY.iterdir() if (folder / EVALS_FILE).exists()]
    assert {"meeting-notes", "summarise-a-thread", "write-a-skill"} <= set(names)
    for name in names:
        cases = parse_cases(read_folder(LIBRARY / name))
        assert json.loads((LIBRARY / name / EVALS_FILE).read_text())["skill_name"] == name
        assert len(cases) >= 2


async def test_an_agent_that_does_not_answer_fails_and_is_removed(house: House, nightyard: Run, tmp_path: Path) -> None:
    """A case is asked of an agent of its own; when its time is up it has failed, and nothing of the agent stays."""
    folder = tmp_path / "fork" / "skills" / "notes"
    (folder / "evals").mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: notes\ndescription: d\n---\n")
    (folder / "evals" / "evals.json").write_bytes(cases_of(id="slow"))
    before = sorted((tmp_path / "fork" / "groups").iterdir())
    ran = await nightyard("skill", "test", "notes", "--timeout", "1")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == "fail  slow; it took longer than 1 s\n0 of 1 passed (0 %)\n"
    assert sorted((tmp_path / "fork" / "groups").iterdir()) == before
    assert not list((tmp_path / "home").rglob("skill-test-*"))
    assert (await nightyard("skill", "test", "notes", "--case", "ghost")).code == 2
    assert (await nightyard("skill", "test", "notes", "--model", "x: y")).code == 2
    assert (await nightyard("skill", "test", "ghost")).code == 1


async def test_without_a_host_there_is_no_test(nightyard: Run, tmp_path: Path) -> None:
    """The cases need agents, so a host must run; nothing is left behind where none does."""
    folder = tmp_path / "fork" / "skills" / "notes" / "evals"
    folder.mkdir(parents=True)
    (tmp_path / "fork" / "groups").mkdir()
    (folder.parent / "SKILL.md").write_text("---\nname: notes\ndescription: d\n---\n")
    (folder / "evals.json").write_bytes(cases_of())
    assert (await nightyard("skill", "test", "notes")).code == 3
    assert list((tmp_path / "fork" / "groups").iterdir()) == []
