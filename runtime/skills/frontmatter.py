"""SKILL.md read as the open Agent Skills format has it: a block of YAML between two `---` lines, then Markdown. Pure.

A skill that breaks a rule of the format is told so by `skill validate` and used all the same, as the format's advice to
clients is: many that were made elsewhere do. Only one that says nothing of itself cannot be used. All values are
texts, as in the format's own reference reader: `version: 1.0` is the text 1.0.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from runtime.skills.foreign_tools import absent_here, split_tools

MAX_NAME_CHARS = 64
MAX_DESCRIPTION_CHARS = 1024
MAX_COMPATIBILITY_CHARS = 500
"""These three are the format's own limits."""
MAX_FRONT_CHARS = 64 << 10
ADVISED_BODY_LINES = 500
"""The format's advice: longer ones should be told in files of their own."""
KEYS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FRONT = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_PLAIN_LINE = re.compile(r"(?m)^([A-Za-z][\w-]*):[ \t]+([^\s\"'|>{\[].*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFront:
    """What a skill says of itself."""

    name: str
    """As SKILL.md has it; the folder's name is what counts."""
    description: str
    """On one line."""
    license: str
    compatibility: str
    metadata: Mapping[str, str]
    tools: tuple[str, ...]
    """What `allowed-tools` names, as it is written there."""
    deviations: tuple[str, ...]
    """Where it breaks the format."""
    remarks: tuple[str, ...]
    """What somebody should know who wants to use it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFault:
    """Why a folder is no skill that could be used."""

    message: str


def is_skill_name(text: str) -> bool:
    """Whether a text can name a skill: 1-64 of a-z, 0-9 and inner hyphens, none beside another."""
    return len(text) <= MAX_NAME_CHARS and _NAME.fullmatch(text) is not None


@functools.lru_cache(maxsize=256)
def parse_skill(folder_name: str, text: str) -> SkillFront | SkillFault:
    """Return what SKILL.md says in a folder of that name."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.startswith("---"):
        return SkillFault(message="SKILL.md does not begin with a --- line")
    block = _FRONT.match(text)
    if block is None:
        return SkillFault(message="the front matter of SKILL.md has no closing --- line")
    head = block[1] or ""
    if len(head) > MAX_FRONT_CHARS:
        return SkillFault(message=f"the front matter of SKILL.md is longer than {MAX_FRONT_CHARS >> 10} KiB")
    deviations: list[str] = []
    front = _read_yaml(head, deviations)
    if isinstance(front, SkillFault):
        return front
    description = front.get("description")
    if not isinstance(description, str) or not description.strip():
        return SkillFault(message="SKILL.md has no description")
    deviations += _name_deviations(front.get("name"), folder_name)
    if len(description.strip()) > MAX_DESCRIPTION_CHARS:
        deviations.append(_too_long("description", len(description.strip()), MAX_DESCRIPTION_CHARS))
    remarks = [f"{key!r} is no key of the format and does nothing here" for key in map(str, front) if key not in KEYS]
    tools = _read_tools(front, deviations)
    if absent := absent_here(tools):
        remarks.append(f"tools that it names and that are not here: {', '.join(absent)}")
    lines = text.count("\n", block.end())
    if lines > ADVISED_BODY_LINES:
        remarks.append(f"SKILL.md has {lines} lines; past {ADVISED_BODY_LINES}, better put them into other files")
    return SkillFront(
        name=front["name"] if isinstance(front.get("name"), str) else "",
        description=" ".join(description.split())[:MAX_DESCRIPTION_CHARS],
        license=_read_text(front, "license", deviations),
        compatibility=_read_text(front, "compatibility", deviations, MAX_COMPATIBILITY_CHARS),
        metadata=_read_metadata(front, deviations),
        tools=tools,
        deviations=tuple(deviations),
        remarks=tuple(remark[:300] for remark in remarks),
    )


def _read_yaml(head: str, deviations: list[str]) -> dict[Any, Any] | SkillFault:
    """Return the block's keys. One with a colon in a plain text, which other readers take, is taken too, and told."""
    found = _load(head)
    if isinstance(found, str):
        mended = _load(_PLAIN_LINE.sub(lambda line: f"{line[1]}: {json.dumps(line[2].rstrip())}", head))
        if isinstance(mended, str):
            return SkillFault(message=f"the front matter of SKILL.md is not YAML: {found}")
        deviations.append(f"the front matter is not YAML as it stands ({found}): put quotes around the text")
        found = mended
    return found if isinstance(found, dict) else {}


def _load(head: str) -> Any:
    """Return what the YAML says, all of it texts; a str is what is wrong with it."""
    try:
        found = yaml.load(head, Loader=yaml.BaseLoader)  # makes nothing but texts, lists and mappings
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return f"line {mark.line + 2 if mark else 1}: {error.problem or error.context}"[:200]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return (str(error).splitlines() or ["it is nested too deeply"])[0][:200]
    return None if isinstance(found, str) else found


def _name_deviations(name: object, folder_name: str) -> list[str]:
    if not isinstance(name, str) or not name:
        return ["name is missing"]
    if len(name) > MAX_NAME_CHARS:
        return [_too_long("name", len(name), MAX_NAME_CHARS)]
    if not is_skill_name(name):
        return [f"name should be of a-z, 0-9 and single inner hyphens, but it is {name!r}"]
    return [] if name == folder_name else [f"name is {name!r}, but the folder is {folder_name!r}: they should be equal"]


def _read_text(front: Mapping[Any, Any], key: str, deviations: list[str], most: int = 0) -> str:
    value = front.get(key, "")
    if not isinstance(value, str) or (key in front and not value.strip()):
        deviations.append(f"{key} should be a text" if not isinstance(value, str) else f"{key} is empty")
        return ""
    if most and len(value.strip()) > most:
        deviations.append(_too_long(key, len(value.strip()), most))
    return " ".join(value.split())


def _read_metadata(front: Mapping[Any, Any], deviations: list[str]) -> Mapping[str, str]:
    value = front.get("metadata", {})
    if not isinstance(value, dict):
        deviations.append("metadata should be keys with texts")
        return {}
    wrong = [str(key)[:60] for key, each in value.items() if not isinstance(each, str)]
    if wrong:
        deviations.append(f"metadata should be keys with texts, but {', '.join(wrong)} holds more than a text")
    return {str(key): each for key, each in value.items() if isinstance(each, str)}


def _read_tools(front: Mapping[Any, Any], deviations: list[str]) -> tuple[str, ...]:
    value = front.get("allowed-tools", "")
    if isinstance(value, list):
        deviations.append("allowed-tools should be one text with spaces between the names, but it is a list")
        value = " ".join(each for each in value if isinstance(each, str))
    if not isinstance(value, str):
        deviations.append("allowed-tools should be one text with spaces between the names")
        return ()
    return split_tools(value)


def _too_long(key: str, chars: int, most: int) -> str:
    return f"{key} has {chars} characters, the most is {most}"
