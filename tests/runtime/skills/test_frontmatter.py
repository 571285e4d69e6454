"""SKILL.md, to the letter of the format: what cannot be used, what deviates, what does nothing here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.skills.catalogue import build_card
from runtime.skills.foreign_tools import describe_tools, split_tools, tool_here
from runtime.skills.frontmatter import SkillFault, SkillFront, is_skill_name, parse_skill

ROOT = Path(__file__).resolve().parents[3]


def front(lines: str, folder: str = "notes", body: str = "# Body\n") -> SkillFront:
    found = parse_skill(folder, f"---\n{lines}\n---\n{body}")
    assert isinstance(found, SkillFront), found
    return found


def test_every_key_of_the_format_is_read() -> None:
    """A skill that uses all six keys as they are meant deviates in nothing."""
    found = front(
        "name: notes\ndescription: |\n  Makes\n  notes.\nlicense: MIT\ncompatibility: Needs git\n"
        "metadata:\n  author: ann\n  version: 1.0\nallowed-tools: Bash(git commit:*) Read"
    )
    assert (found.name, found.description, found.license, found.compatibility) == (
        "notes",
        "Makes notes.",
        "MIT",
        "Needs git",
    )
    assert found.metadata == {"author": "ann", "version": "1.0"}
    assert found.tools == ("Bash(git commit:*)", "Read")
    assert (found.deviations, found.remarks) == ((), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# no front matter\n", "does not begin"),
        ("---\ndescription: x\n", "no closing"),
        ("---\n: [\n---\n", "not YAML"),
        ("---\nname: x\n---\n", "no description"),
        ("---\n- a\n---\n", "no description"),
        ("---\njust words\n---\n", "no description"),
        ("---\ndescription: '  '\n---\n", "no description"),
        ("---\ndescription: [a]\n---\n", "no description"),
        ("---\ndescription: " + "x" * 70_000 + "\n---\n", "longer than 64 KiB"),
        ("---\na: " + "[" * 3000 + "\n---\n", "not YAML"),
    ],
)
def test_what_says_nothing_of_itself_is_no_skill(text: str, words: str) -> None:
    """A folder without a readable description cannot be offered to a model, and the reason is named."""
    found = parse_skill("notes", text)
    assert isinstance(found, SkillFault)
    assert words in found.message


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("description: d", "name is missing"),
        ("name: other\ndescription: d", "should be equal"),
        ("name: Notes\ndescription: d", "a-z, 0-9"),
        ("name: -notes\ndescription: d", "a-z, 0-9"),
        ("name: no--tes\ndescription: d", "a-z, 0-9"),
        (f"name: {'n' * 65}\ndescription: d", "65 characters, the most is 64"),
        (f"name: notes\ndescription: {'d' * 1025}", "1025 characters, the most is 1024"),
        (f"name: notes\ndescription: d\ncompatibility: {'c' * 501}", "501 characters, the most is 500"),
        ("name: notes\ndescription: d\ncompatibility: ''", "compatibility is empty"),
        ("name: notes\ndescription: d\nlicense: [MIT]", "license should be a text"),
        ("name: notes\ndescription: d\nmetadata: words", "metadata should be keys with texts"),
        ("name: notes\ndescription: d\nmetadata: {a: {b: c}}", "a holds more than a text"),
        ("name: notes\ndescription: d\nallowed-tools: [Read]", "is a list"),
        ("name: notes\ndescription: d\nallowed-tools: {a: b}", "one text"),
        ("name: notes\ndescription: Use this: when asked", "put quotes around"),
    ],
)
def test_each_broken_rule_is_named_and_the_skill_is_read(lines: str, words: str) -> None:
    """What breaks a rule of the format is told, and used all the same."""
    found = front(lines)
    assert len(found.deviations) == 1
    assert words in found.deviations[0]


def test_limits_are_met_exactly() -> None:
    """The longest that the format allows is no deviation."""
    name = "n" * 64
    found = front(f"name: {name}\ndescription: {'d' * 1024}\ncompatibility: {'c' * 500}", folder=name)
    assert found.deviations == ()


def test_unknown_keys_are_told_and_no_fault() -> None:
    """A key of another product does nothing here; that is said."""
    found = front("name: notes\ndescription: d\ndisable-model-invocation: true\nmodel: opus")
    assert found.deviations == ()
    assert [remark.partition(" ")[0] for remark in found.remarks] == ["'disable-model-invocation'", "'model'"]


def test_lists_of_lines_ended_elsewhere_are_read() -> None:
    """Carriage returns and a byte order mark, as some editors write them, change nothing."""
    found = parse_skill("notes", "\ufeff---\r\nname: notes\r\ndescription: d\r\n---\r\nbody\r\n")
    assert isinstance(found, SkillFront)
    assert (found.name, found.deviations) == ("notes", ())


def test_a_long_body_is_remarked() -> None:
    """The format advises 500 lines; more is told and no fault."""
    assert front("name: notes\ndescription: d", body="line\n" * 500).remarks == ()
    assert "501 lines" in front("name: notes\ndescription: d", body="line\n" * 501).remarks[0]


@pytest.mark.parametrize(
    ("named", "here"),
    [
        ("Read", "read_file"),
        ("Bash(git:*)", "shell"),
        ("exec", "shell"),
        ("MultiEdit", "edit_file"),
        ("AskUserQuestion", "ask_user"),
        ("shell", "shell"),
        ("NotebookEdit", ""),
        ("mcp__github__search", ""),
    ],
)
def test_the_tools_of_other_products_have_a_name_here(named: str, here: str) -> None:
    """Who wrote for another product meant a tool that is here under another name, or one that is not here."""
    assert tool_here(named) == here


def test_the_model_is_told_what_tools_are_called_here() -> None:
    """The card says which names are others here, and which tools are missing; our own names need no word."""
    found = front("name: notes\ndescription: Makes notes.\nallowed-tools: Read, Bash(ls:*) NotebookEdit shell")
    card = build_card("notes", found)
    assert card.description == (
        "Makes notes. (of the tools it names, Read is read_file, Bash is shell here; not here: NotebookEdit)"
    )
    assert "NotebookEdit" in found.remarks[0]
    assert describe_tools(split_tools("shell read_file")) == ""


def test_names() -> None:
    """1-64 of small letters, digits and single inner hyphens."""
    assert all(map(is_skill_name, ("a", "a-1", "9", "n" * 64)))
    assert not any(map(is_skill_name, ("", "-a", "a-", "a--b", "A", "a_b", "ä", "n" * 65, "a\n", "..")))


@given(st.text(max_size=300), st.text(max_size=40))
def test_no_text_breaks_the_reader(head: str, name: str) -> None:
    """Whatever stands between the lines, the answer is a skill or a reason."""
    found = parse_skill(name, f"---\n{head}\n---\n")
    assert isinstance(found, SkillFront | SkillFault)
