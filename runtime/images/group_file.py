"""A group.yaml with packages more: the text changed where they belong, the rest and its comments as they were. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import yaml

from runtime.group_settings import GroupSettings
from runtime.images.settings import PackageSettings
from runtime.yaml_record import parse_record


class CannotEdit(Exception):
    """The file is written in a way that is left to a person to change."""


def with_packages(text: str, manager: str, packages: Sequence[str]) -> str:
    """Return the text with these packages too; the same text if it has them. Raises CannotEdit."""
    before = _packages(text)
    wanted = tuple(dict.fromkeys((*_of(before, manager), *packages)))
    if wanted == _of(before, manager):
        return text
    try:
        changed = _edited(text, manager, wanted)
    except yaml.YAMLError as error:
        raise CannotEdit(str(error)) from error
    after = _packages(changed)
    others = [each for each in ("apt", "pip", "npm") if each != manager]
    if _of(after, manager) != wanted or any(_of(after, each) != _of(before, each) for each in others):
        raise CannotEdit("its `packages` are written in a way that is left to you")
    return changed


def show_change(before: str, after: str, file: str) -> list[str]:
    """Return the change as lines of a diff."""
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), file, file, lineterm="", n=1))


def _edited(text: str, manager: str, wanted: Sequence[str]) -> str:
    line = f"{manager}: [{', '.join(_quoted(name) for name in wanted)}]"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    block = _value(root, "packages")
    if block is None:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}packages:\n  {line}\n"
    if not isinstance(block, yaml.MappingNode) or block.flow_style or not block.value:
        raise CannotEdit("its `packages` are not a block of lines")
    own = _value(block, manager)
    if own is None:
        first = block.value[0][0].start_mark
        return f"{text[: first.index]}{line}\n{' ' * first.column}{text[first.index :]}"
    if not isinstance(own, yaml.SequenceNode):
        raise CannotEdit(f"its `packages.{manager}` is not a list")
    if own.flow_style:
        return f"{text[: own.start_mark.index]}{line.partition(': ')[2]}{text[own.end_mark.index :]}"
    last = own.value[-1].end_mark.index
    dash = " " * own.start_mark.column
    more = "".join(f"\n{dash}- {_quoted(name)}" for name in wanted[len(own.value) :])
    return f"{text[:last]}{more}{text[last:]}"


def _value(node: object, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if getattr(name, "value", None) == key), None)


def _quoted(name: str) -> str:
    """Quote what YAML would read as something else: `@scope/name`, `null`, `1e3`. No package's name needs escaping."""
    try:
        is_plain = yaml.safe_load(f"[{name}]") == [name]
    except yaml.YAMLError:
        is_plain = False
    return name if is_plain else f'"{name}"'


def _packages(text: str) -> PackageSettings:
    return parse_record(text, "group.yaml", GroupSettings()).value.packages


def _of(packages: PackageSettings, manager: str) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(packages, manager)
    return found
