"""Which calls a constraint is about: words in any wrapping, no more and no fewer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.tool_rules import ToolRule, command_words, find_rule, fits, words_fit

PUSH = ToolRule(rule_id="1", then="ask", words=("git", "push"))
CLEAN = ToolRule(rule_id="2", then="deny", words=("rm", "*", "/workspace"))
FILES = ToolRule(rule_id="3", then="ask", tool="send_file")


@pytest.mark.parametrize(
    ("rule", "command", "does"),
    [
        (PUSH, "git push", True),
        (PUSH, "cd /x && git push --force origin", True),
        (PUSH, "/usr/bin/git   push", True),
        (PUSH, "g'i't \"push\"", True),
        (PUSH, "true;git push", True),
        (PUSH, "echo $(git push)", True),
        (PUSH, "sh -c 'git push'", True),
        (PUSH, "git\npush", True),
        (PUSH, "git pull", False),
        (PUSH, "git -C /x push", False),
        (PUSH, "gitpush", False),
        (PUSH, "mygit push", False),
        (PUSH, "", False),
        (CLEAN, "rm /workspace", True),
        (CLEAN, "rm -r -f /workspace", True),
        (CLEAN, "rm -rf /tmp", False),
        (CLEAN, "rm -rf /workspace/", True),
        (CLEAN, "rm -rf /workspace/x/*", True),
        (CLEAN, "rm -rf //workspace/./x", True),
        (CLEAN, "rm -rf /tmp/../workspace", True),
        (CLEAN, "rm -rf /workspace2", False),
        (CLEAN, "rm -rf /workspace/../tmp", False),
        (CLEAN, "echo rm", False),
    ],
)
def test_what_a_command_rule_is_about(rule: ToolRule, command: str, does: bool) -> None:
    """Words one after another, whatever separates or quotes them; `*` stands for any between."""
    assert fits(rule, "shell", {"command": command}) is does


@pytest.mark.parametrize("arguments", [None, [], "git push", {}, {"command": 5}, {"command": ["git", "push"]}])
def test_hostile_arguments_break_nothing(arguments: object) -> None:
    """A call without a command in words falls under no rule of words, and under those of its tool."""
    assert not fits(PUSH, "shell", arguments)
    assert fits(FILES, "send_file", arguments)
    assert not fits(FILES, "shell", arguments)


def test_no_counts_before_a_question() -> None:
    """Wherever it stands in the list."""
    never = ToolRule(rule_id="9", then="deny", tool="*")
    for rules in ((PUSH, never), (never, PUSH)):
        assert find_rule(rules, "shell", {"command": "git push"}) == never
    assert find_rule((), "shell", {}) is None


@given(
    st.lists(st.sampled_from(("git", "push", "-f", "x")), max_size=6), st.lists(st.sampled_from(("a", "b")), max_size=3)
)
def test_words_around_change_nothing(before: list[str], after: list[str]) -> None:
    """What stands before and after the words does not hide them."""
    assert words_fit(("git", "push"), [*before, "git", "push", *after])


@given(st.text(max_size=200))
def test_any_command_can_be_split(command: str) -> None:
    """No text breaks it, and no word is empty."""
    assert all(command_words(command))
    fits(CLEAN, "shell", {"command": command})
