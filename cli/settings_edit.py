"""nightyard.yaml changed as text, so that comments and order stay as their author left them. Pure.

What the file means is `runtime/config.py`'s business: whoever edits parses the result before writing it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import yaml

SECTION = "channels"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")


class CannotEdit(Exception):
    """The file is written in a way that this does not change safely; `reason` says how."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def add_channel(text: str, name: str, settings: Mapping[str, str]) -> str:
    """Return the text with a channel added at the end of `channels`; raise CannotEdit."""
    section = _section(text)
    if section is None:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}{SECTION}:\n{_entry(name, settings, '  ')}"
    key, value = section
    lines = text.splitlines(keepends=True)
    if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
        if any(item.value == name for item, _ in value.value):
            raise CannotEdit(f"line {value.start_mark.line + 1} ff. has a channel {name!r} already")
        indent = " " * value.start_mark.column
        at = end_of_node(lines, value)
        if at and not lines[at - 1].endswith("\n"):
            lines[at - 1] += "\n"
        lines.insert(at, _entry(name, settings, indent))
        return "".join(lines)
    if (isinstance(value, yaml.MappingNode) and not value.value) or _is_null(value):
        line = key.start_mark.line
        if value.end_mark.line > line:
            raise CannotEdit(f"`{SECTION}` in line {line + 1} is written over several lines")
        comment = lines[line][value.end_mark.column :].strip() if value.end_mark.line == line else ""
        head = f"{SECTION}:  {comment}".rstrip() if comment.startswith("#") else f"{SECTION}:"
        lines[line] = f"{head}\n{_entry(name, settings, '  ')}"
        return "".join(lines)
    raise CannotEdit(f"`{SECTION}` in line {key.start_mark.line + 1} is not written as a list of keys, one a line")


def remove_channel(text: str, name: str) -> str:
    """Return the text without a channel; raise CannotEdit, also if it is not there."""
    section = _section(text)
    mapping = section[1] if section else None
    entries = mapping.value if isinstance(mapping, yaml.MappingNode) else []
    found = next(((key, value) for key, value in entries if key.value == name), None)
    if section is None or found is None:
        raise CannotEdit(f"there is no channel {name!r} in it")
    line = section[0].start_mark.line
    if isinstance(mapping, yaml.MappingNode) and mapping.flow_style:
        raise CannotEdit(f"`{SECTION}` in line {line + 1} is written on one line")
    lines = text.splitlines(keepends=True)
    key, value = found
    del lines[key.start_mark.line : max(key.start_mark.line + 1, end_of_node(lines, value))]
    if len(entries) == 1:
        lines[line] = lines[line].replace(f"{SECTION}:", f"{SECTION}: {{}}", 1)
    return "".join(lines)


def _section(text: str) -> tuple[yaml.Node, yaml.Node] | None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise CannotEdit(f"it is not YAML: {' '.join(str(error).split())[:200]}") from error
    if root is None:
        return None
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise CannotEdit("it is not written as a list of keys, one a line")
    return next(((key, value) for key, value in root.value if key.value == SECTION), None)


def end_of_node(lines: list[str], node: yaml.Node) -> int:
    """Return the line after a node's last one: PyYAML's own mark runs on over blank lines and comments behind it."""
    line = node.end_mark.line if node.end_mark.column == 0 else node.end_mark.line + 1
    while line > node.start_mark.line + 1 and _is_empty(lines[line - 1]):
        line -= 1
    return line


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _entry(name: str, settings: Mapping[str, str], indent: str) -> str:
    inner = "".join(f"{indent}  {key}: {_scalar(value)}\n" for key, value in settings.items())
    return f"{indent}{name}:\n{inner}" if inner else f"{indent}{name}: {{}}\n"


def _scalar(value: str) -> str:
    """Return the value as YAML: plain where it is a plain word, else quoted as JSON, which YAML reads too."""
    return value if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value else json.dumps(value)
