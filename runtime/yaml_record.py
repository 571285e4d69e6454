"""A YAML text read into a frozen record, with every fault named by file, line and key. Pure.

The record's annotations are the schema: str, int, float, bool, Literal, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`
and records of the same make. `key(default, least=…, most=…, check=…)` adds bounds to a field. Unknown keys and keys
given twice are faults. What the keys mean is said where the record stands: `config.py` and `group.py`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

import yaml

T = TypeVar("T")
Check = Callable[[str], str | None]
"""Returns what is wrong with a text, or None."""

MAX_BYTES = 256 << 10
"""A settings file is far smaller: more is a mistake, and the parser is not fast."""

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One fault in a settings file, for a person to mend."""

    file: str
    line: int
    """From 1."""
    key: str
    """Dotted: `channels.telegram.secret`; empty for the whole file."""
    message: str
    nearest: str = ""
    """The known key nearest to an unknown one, if any is near."""

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.file}:{self.line}:{key} {self.message}{hint}"


def key(
    default: Any, *, least: float | None = None, most: float | None = None, check: Check | None = None
) -> Any:  # Any: stands for the field's own type, as dataclasses.field does
    """Return a dataclass field with a default and the bounds of what may stand there."""
    return dataclasses.field(default=default, metadata={"least": least, "most": most, "check": check})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """What a settings text says, where, and what is wrong with it."""

    value: T
    problems: tuple[ConfigProblem, ...]
    lines: Mapping[str, int]
    """Dotted key to line, for the keys that the text gives; `skills[0]` for an item of a list."""


def parse_record(text: str, file: str, base: T) -> Reading[T]:
    """Return the record `base` with what the text says put over it. A key with a fault keeps what `base` has.

    An empty text says nothing; one that is not YAML is one problem and says nothing either.
    """
    reader = _Reader(file)
    node = reader.compose(text)
    if isinstance(node, yaml.Node):
        base = reader.read_record(node, base, "")
    return Reading(value=base, problems=tuple(reader.problems), lines=reader.lines)


def known_keys(record: type, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every key that a record's file may have; `*` stands for a name the owner chooses, `[]`
    for an item of a list."""
    hints = typing.get_type_hints(record)
    for field in dataclasses.fields(record):
        yield from _keys_of(hints[field.name], f"{prefix}{field.name}")


def _keys_of(hint: Any, name: str) -> Iterator[str]:
    hint = _without_none(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield from known_keys(hint, f"{name}.")
    elif (origin := typing.get_origin(hint)) is not Literal and origin and issubclass(origin, Mapping):
        yield from _keys_of(typing.get_args(hint)[1], f"{name}.*")
    elif origin is tuple and dataclasses.is_dataclass(typing.get_args(hint)[0]):
        yield from known_keys(typing.get_args(hint)[0], f"{name}[].")
    else:
        yield name


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[ConfigProblem] = []
        self.lines: dict[str, int] = {}

    def compose(self, text: str) -> Any:
        if len(text) > MAX_BYTES:
            self._say(1, "", f"is larger than {MAX_BYTES >> 10} KiB, which no settings file should be")
            return _MISSING
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._say(mark.line + 1 if mark else 1, "", f"is not YAML: {error.problem or error.context}")
        except (yaml.YAMLError, RecursionError) as error:
            self._say(1, "", f"is not YAML: {str(error).splitlines()[0][:200]}")
        return _MISSING

    def read_record(self, node: yaml.Node, base: T, path: str) -> T:
        """Return `base` with the node's keys put over it."""
        if _is_null(node):  # `limits:` with nothing under it
            return base
        fields = _fields_of(cast(Hashable, type(base)))  # functools.cache's stub wants it said
        values = {}
        for name, child, line in self._pairs(node, path):
            dotted = f"{path}.{name}" if path else name
            if name not in fields:
                near = difflib.get_close_matches(name, list(fields), n=1)
                self._say(line, dotted, f"is not a known key (known: {', '.join(fields)})", near[0] if near else "")
                continue
            hint, bounds = fields[name]
            value = self._read(child, hint, dotted, bounds, getattr(base, name))
            if value is not _MISSING:
                values[name] = value
        return cast(T, dataclasses.replace(cast(Any, base), **values))  # the stub has no word for "any dataclass"

    def _read(self, node: yaml.Node, hint: Any, path: str, bounds: Mapping[str, Any], base: Any) -> Any:
        """Return the node's value as the hint wants it, or _MISSING after a problem is noted."""
        if _is_null(node) and _allows_none(hint):
            return None
        hint = _without_none(hint)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self.read_record(node, base, path)
        origin = typing.get_origin(hint)
        if origin is Literal:
            return self._read_choice(node, typing.get_args(hint), path)
        if origin is tuple:
            return self._read_list(node, typing.get_args(hint)[0], path, bounds)
        if origin is not None and issubclass(origin, Mapping):
            return self._read_mapping(node, typing.get_args(hint)[1], path, bounds)
        return self._read_scalar(node, hint, path, bounds)

    def _read_mapping(self, node: yaml.Node, hint: Any, path: str, bounds: Mapping[str, Any]) -> Any:
        if _is_null(node):
            return {}
        check = bounds.get("check")
        found = {}
        for name, child, line in self._pairs(node, path):
            wrong = check(name) if check else None
            if wrong:
                self._say(line, f"{path}.{name}", wrong)
                continue
            base = cast(Any, hint)() if dataclasses.is_dataclass(hint) else None
            value = self._read(child, hint, f"{path}.{name}", {}, base)
            if value is not _MISSING:
                found[name] = value
        return found

    def _pairs(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node, int]]:
        if not isinstance(node, yaml.MappingNode):
            self._say(_line(node), path, f"should have keys under it, but it is {_kind(node)}")
            return
        seen: dict[str, int] = {}
        for key_node, child in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._say(line, path, "has a key that is not a word")
                continue
            name = key_node.value
            if name in seen:
                self._say(line, f"{path}.{name}" if path else name, f"is given twice (first in line {seen[name]})")
                continue
            seen[name] = line
            self.lines[f"{path}.{name}" if path else name] = line
            yield name, child, line

    def _read_list(self, node: yaml.Node, hint: Any, path: str, bounds: Mapping[str, Any]) -> Any:
        if _is_null(node):
            return ()
        if not isinstance(node, yaml.SequenceNode):
            return self._say(_line(node), path, f"should be a list, but it is {_kind(node)}")
        self.lines.update({f"{path}[{index}]": _line(child) for index, child in enumerate(node.value)})
        base = cast(Any, hint)() if dataclasses.is_dataclass(hint) else None
        values = [self._read(child, hint, f"{path}[{index}]", bounds, base) for index, child in enumerate(node.value)]
        return _MISSING if _MISSING in values else tuple(values)

    def _read_choice(self, node: yaml.Node, choices: tuple[str, ...], path: str) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.value in choices:
            return node.value
        got = repr(node.value[:40]) if isinstance(node, yaml.ScalarNode) else _kind(node)
        return self._say(_line(node), path, f"should be one of {', '.join(choices)}, but it is {got}")

    def _read_scalar(self, node: yaml.Node, hint: Any, path: str, bounds: Mapping[str, Any]) -> Any:
        if not isinstance(node, yaml.ScalarNode) or _is_null(node):
            return self._say(_line(node), path, f"should be {_WORDS[hint]}, but it is {_kind(node)}")
        value = _CONVERT[hint](node.value)
        if value is None:
            return self._say(_line(node), path, f"should be {_WORDS[hint]}, but it is {node.value[:40]!r}")
        wrong = _out_of_bounds(value, bounds)
        return self._say(_line(node), path, wrong) if wrong else value

    def _say(self, line: int, path: str, message: str, nearest: str = "") -> object:
        self.problems.append(ConfigProblem(file=self._file, line=line, key=path, message=message, nearest=nearest))
        return _MISSING


@functools.cache
def _fields_of(record: Any) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    hints = typing.get_type_hints(record)
    return {field.name: (hints[field.name], field.metadata) for field in dataclasses.fields(record)}


def _out_of_bounds(value: Any, bounds: Mapping[str, Any]) -> str | None:
    if isinstance(value, str):
        check = bounds.get("check")
        return check(value) if check else None
    least, most = bounds.get("least"), bounds.get("most")
    if least is not None and value < least:
        return f"should be at least {least}, but it is {value}"
    if most is not None and value > most:
        return f"should be at most {most}, but it is {value}"
    return None


def _whole(text: str) -> int | None:
    digits = text.replace("_", "")
    return int(digits) if digits.lstrip("+-").isdecimal() and digits.isascii() and len(digits) < 19 else None


def _number(text: str) -> float | None:
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


_CONVERT: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: _whole,
    float: _number,
    bool: lambda text: _TRUTH.get(text.lower()),
}
_WORDS: dict[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(node.tag == "tag:yaml.org,2002:null")


def _allows_none(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in typing.get_args(hint)


def _without_none(hint: Any) -> Any:
    if not _allows_none(hint):
        return hint
    (inner,) = (argument for argument in typing.get_args(hint) if argument is not type(None))
    return inner


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1 if node.start_mark else 1


def _kind(node: yaml.Node) -> str:
    if _is_null(node):
        return "empty"
    if isinstance(node, yaml.MappingNode):
        return "a set of keys"
    return "a list" if isinstance(node, yaml.SequenceNode) else repr(str(node.value)[:40])
