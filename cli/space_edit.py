"""Writes a space into a group.yaml, or takes it out, and leaves every other line as it is. Pure."""

from __future__ import annotations

import yaml

KEY = "spaces"


class CannotEdit(Exception):
    """The file is written in a way that is better changed by hand."""


def with_space(text: str, name: str, access: str | None) -> str:
    """Return group.yaml's text with a space granted, granted otherwise, or (None) taken out. Raises CannotEdit."""
    edited = _edit(text, name, access)
    before, after = _granted(text), _granted(edited)
    wanted = {**before, name: access}
    if after != {key: value for key, value in wanted.items() if value is not None}:
        raise CannotEdit
    return edited


def _edit(text: str, name: str, access: str | None) -> str:
    pair = _find(_compose(text), KEY)
    if pair is None or _is_empty(pair[1]):
        if access is None:
            return text
        if pair is not None:
            return _insert_line(text, pair[0].end_mark.line + 1, f"  {name}: {access}")
        return f"{text.rstrip()}\n\n{KEY}:\n  {name}: {access}\n".lstrip()
    key, spaces = pair
    if not isinstance(spaces, yaml.MappingNode):
        raise CannotEdit
    found = _find(spaces, name)
    if found is not None and access is not None:
        return text[: found[1].start_mark.index] + access + text[found[1].end_mark.index :]
    if spaces.flow_style:
        kept = {each.value: value.value for each, value in spaces.value if each.value != name}
        kept |= {name: access} if access is not None else {}
        inner = ", ".join(f"{each}: {value}" for each, value in kept.items())
        return text[: spaces.start_mark.index] + f"{{{inner}}}" + text[spaces.end_mark.index :]
    if access is not None:
        last_key, last = spaces.value[-1]
        return _insert_line(text, last.end_mark.line + 1, f"{' ' * last_key.start_mark.column}{name}: {access}")
    if found is None:
        return text
    without = _drop_line(text, found[0].start_mark.line)
    return _drop_line(without, key.start_mark.line) if len(spaces.value) == 1 else without


def _granted(text: str) -> dict[str, str]:
    pair = _find(_compose(text), KEY)
    if pair is None or not isinstance(pair[1], yaml.MappingNode):
        return {}
    return {key.value: value.value for key, value in pair[1].value}


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise CannotEdit from error


def _find(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):
        raise CannotEdit
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")


def _insert_line(text: str, number: int, line: str) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:number], line, *lines[number:]]) + "\n"


def _drop_line(text: str, number: int) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:number], *lines[number + 1 :]]) + "\n"
