"""Constraints on tools: which calls need a person's yes, and which are never made. Pure; shared by host and agent.

The agent asks before it runs such a call; the host checks each call that an agent announces. Words are compared, never
regular expressions: a rule that says too much asks too often, one that says too little is the mistake.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

ANY = "*"
_BREAKS = str.maketrans(dict.fromkeys(";|&()<>{}`$\n\r\t=,", " "))
_QUOTES = str.maketrans("", "", "'\"\\")


class ToolRule(Record):
    """One constraint, as far as it is about tools."""

    rule_id: str
    then: Literal["ask", "deny"]
    tool: str = ANY
    """A tool's name, or how some begin, with a `*` at the end."""
    words: tuple[str, ...] = ()
    """Words of the call's `command` that stand one after another, `*` for any number between; none: every call."""


def find_rule(rules: Iterable[ToolRule], tool: str, arguments: object) -> ToolRule | None:
    """Return the strictest rule that a call falls under, None if it falls under none."""
    found: ToolRule | None = None
    for rule in rules:
        if fits(rule, tool, arguments) and (found is None or (rule.then == "deny" and found.then == "ask")):
            found = rule
    return found


def fits(rule: ToolRule, tool: str, arguments: object) -> bool:
    """Return whether a call falls under a rule."""
    if not names_tool(rule.tool, tool):
        return False
    if not rule.words:
        return True
    command = arguments.get("command") if isinstance(arguments, Mapping) else None
    return isinstance(command, str) and words_fit(rule.words, command_words(command))


def names_tool(pattern: str, tool: str) -> bool:
    """Return whether a pattern is a tool's name, or its beginning with a `*`."""
    return pattern == tool or (pattern.endswith(ANY) and tool.startswith(pattern[:-1]))


def command_words(command: str) -> list[str]:
    """Return the words of a shell command: what separates commands separates words, quotes are left out, and of a path
    the last part counts too (`words_fit`)."""
    return command.translate(_QUOTES).translate(_BREAKS).split()


def words_fit(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether the pattern's words are found in order, one right after another but where `*` stands."""
    return any(_begins(pattern, words, start) for start in range(len(words) + 1))


def _begins(pattern: Sequence[str], words: Sequence[str], start: int) -> bool:
    place = start
    for index, wanted in enumerate(pattern):
        if wanted == ANY:
            rest = pattern[index + 1 :]
            return any(_begins(rest, words, later) for later in range(place, len(words) + 1))
        if place >= len(words) or not _is_meant(wanted, words[place]):
            return False
        place += 1
    return True


def _is_meant(wanted: str, word: str) -> bool:
    """Return whether a word is the one that a rule names. A path names all below it, however it is written."""
    if wanted in (word, word.rpartition("/")[2]):
        return True
    if not (wanted.startswith("/") and word.startswith("/")):
        return False
    path = posixpath.normpath(f"/{word.lstrip('/')}")
    return f"{path}/".startswith(f"{wanted.rstrip('/')}/")
