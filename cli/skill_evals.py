"""A skill's own `evals/evals.json`: what it is asked, with which files, and what must come of it. Pure.

A case has an `id`, a `prompt`, `files` (from the skill's folder; the agent finds them in /inbox) and `checks`, each an
object: `{"reply_contains": TEXT}`, `{"reply_matches": PATTERN}`, `{"reply_lacks": TEXT}`, and of a file that the agent
should have left in its workspace `{"file": PATH}`, with `contains` or `matches` beside it. Capitals never count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.skills.content import SkillTree

EVALS_FILE = "evals/evals.json"
MAX_CASES = 100
MAX_PROMPT_CHARS = 20_000
_REPLY_CHECKS = ("reply_contains", "reply_matches", "reply_lacks")
_FILE_CHECKS = ("file", "contains", "matches")

ReadFile = Callable[[str], str | None]
"""Path from the workspace to what the file there says; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    case_id: str
    prompt: str
    files: tuple[str, ...]
    checks: tuple[Mapping[str, str], ...]


class WrongEvals(Exception):
    """evals.json says something that cannot be carried out; the text says what and where."""


def parse_cases(tree: SkillTree) -> tuple[Case, ...]:
    """Return the skill's cases; raises WrongEvals."""
    file = tree.get(EVALS_FILE)
    if file is None:
        raise WrongEvals(f"it has no {EVALS_FILE}")
    try:
        found = json.loads(file.content)
    except (ValueError, RecursionError) as error:
        raise WrongEvals(f"{EVALS_FILE} is no JSON: {error}") from error
    cases = found.get("evals") if isinstance(found, dict) else None
    if not isinstance(cases, list) or not 0 < len(cases) <= MAX_CASES:
        raise WrongEvals(f"{EVALS_FILE} should have a list `evals` of 1 to {MAX_CASES} cases")
    parsed = tuple(_parse_case(case, number, tree) for number, case in enumerate(cases, 1))
    if len({case.case_id for case in parsed}) < len(parsed):
        raise WrongEvals(f"{EVALS_FILE} gives an id twice")
    return parsed


def failed_checks(case: Case, reply: str, read_file: ReadFile) -> tuple[str, ...]:
    """Return the checks that what came of a case does not pass, in words; none for a case that is passed."""
    return tuple(wrong for check in case.checks if (wrong := _judge(check, reply, read_file)))


def _judge(check: Mapping[str, str], reply: str, read_file: ReadFile) -> str:
    if "file" not in check:
        ((kind, wanted),) = check.items()
        is_met = _fits(wanted, reply, kind == "reply_matches")
        return "" if is_met != (kind == "reply_lacks") else f"the reply {_WRONG[kind]} {wanted!r}"
    path = check["file"]
    text = read_file(path)
    if text is None:
        return f"there is no file {path!r}"
    for kind in ("contains", "matches"):
        if kind in check and not _fits(check[kind], text, kind == "matches"):
            return f"the file {path!r} {_WRONG[kind]} {check[kind]!r}"
    return ""


_WRONG = {
    "reply_contains": "does not contain",
    "reply_matches": "does not match",
    "reply_lacks": "contains",
    "contains": "does not contain",
    "matches": "does not match",
}


def _fits(wanted: str, text: str, is_pattern: bool) -> bool:
    if is_pattern:
        return re.search(wanted, text, re.IGNORECASE | re.MULTILINE) is not None
    return wanted.casefold() in text.casefold()


def _parse_case(case: Any, number: int, tree: SkillTree) -> Case:  # Any: JSON
    where = f"case {number} of {EVALS_FILE}"
    if not isinstance(case, dict):
        raise WrongEvals(f"{where} should be an object")
    prompt, files, checks = case.get("prompt"), case.get("files", []), case.get("checks")
    if not isinstance(prompt, str) or not 0 < len(prompt.strip()) <= MAX_PROMPT_CHARS:
        raise WrongEvals(f"{where} should have a `prompt` of 1 to {MAX_PROMPT_CHARS} characters")
    if not isinstance(files, list) or any(not isinstance(file, str) or file not in tree for file in files):
        raise WrongEvals(f"{where}: `files` should be paths of files in the skill's folder, such as evals/files/a.csv")
    if not isinstance(checks, list) or not checks:
        raise WrongEvals(f"{where} should have a list `checks` with at least one")
    parsed = tuple(_parse_check(check, where) for check in checks)
    return Case(case_id=str(case.get("id", number))[:60], prompt=prompt, files=tuple(files), checks=parsed)


def _parse_check(check: Any, where: str) -> Mapping[str, str]:  # Any: JSON
    is_texts = isinstance(check, dict) and all(isinstance(value, str) and value for value in check.values())
    keys = set(check) if is_texts else set()
    if not (len(keys) == 1 and keys <= set(_REPLY_CHECKS)) and not ("file" in keys and keys <= set(_FILE_CHECKS)):
        known = f"one of {', '.join(_REPLY_CHECKS)}, or file with contains or matches"
        raise WrongEvals(f"{where}: a check should be {known}, each with a text")
    for kind in ("reply_matches", "matches"):
        try:
            re.compile(check.get(kind, ""))
        except (re.error, RecursionError) as error:
            raise WrongEvals(f"{where}: {check[kind]!r} is no pattern: {error}") from error
    return dict(check)
