"""A strict checker of the common part of JSON Schema, for structured results. Pure.

Draft 2020-12 as far as KEYWORDS go; a keyword beyond them is an error when the schema is given, so that nobody believes
in a check that is not made. References stay inside the schema (`#/$defs/…`). Formats are words for the model, not
checks, as the standard has it by default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import cast

from protocol.codec import Json

MAX_SCHEMA_DEPTH = 32
MAX_SCHEMA_NODES = 2_000
MAX_VALUE_DEPTH = 64
MAX_CHECKS = 200_000
"""Of one value: schema and value can be made so that the work explodes."""
MAX_PATTERN_CHARS = 200
MAX_MATCHED_CHARS = 500
MAX_ENDLESS = 2
"""Repetitions without a bound in one pattern: each multiplies the time that a text can cost."""
_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and float(cast(float, value)).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_WORDS = ("$schema", "$id", "$comment", "title", "description", "default", "examples", "format", "deprecated")
"""Keywords that say something to the reader and check nothing."""
KEYWORDS = (
    *("type", "enum", "const", "$ref", "$defs", "allOf", "anyOf", "oneOf", "not"),
    *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    *("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("minLength", "maxLength", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *_WORDS,
)


class SchemaError(ValueError):
    """A schema that cannot be used."""


class ValueInvalid(ValueError):
    """A value that does not fit its schema; `path` is where, `$` the whole."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def check_schema(schema: Json) -> None:
    """Raise SchemaError unless every keyword of a schema is known and well formed."""
    _SchemaReader(schema).read(schema, "$", 0)


def check_value(value: Json, schema: Json) -> None:
    """Raise ValueInvalid where a value does not fit a schema that `check_schema` has passed."""
    try:
        _ValueReader(schema).read(value, schema, "$", 0)
    except _TooMuch as error:
        raise ValueInvalid(str(error), "it is nested too deep, or too large, to be checked") from error


class _TooMuch(Exception):
    """The work on one value has no end in sight: not a verdict, so no choice of the schema's may take it for one."""


class _SchemaReader:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._nodes = 0

    def read(self, schema: Json, path: str, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_SCHEMA_DEPTH or self._nodes > MAX_SCHEMA_NODES:
            raise SchemaError(
                f"{path}: it is nested deeper than {MAX_SCHEMA_DEPTH}, or has over {MAX_SCHEMA_NODES} parts"
            )
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise SchemaError(f"{path}: a schema is an object, true or false")
        for keyword, given in schema.items():
            if keyword not in KEYWORDS:
                raise SchemaError(f"{path}: the keyword {str(keyword)[:40]!r} is not supported")
            problem = self._why_wrong(keyword, given)
            if problem:
                raise SchemaError(f"{path}.{keyword}: {problem}")
            for name, part in _parts(keyword, given):
                self.read(part, f"{path}.{keyword}{name}", depth + 1)

    def _why_wrong(self, keyword: str, given: Json) -> str:
        match keyword:
            case "type":
                names = given if isinstance(given, list) and given else [given]
                is_known = all(isinstance(name, str) and name in _TYPES for name in names)
                return "" if is_known else f"should be one of {', '.join(_TYPES)}, or a list of them"
            case "enum":
                return "" if isinstance(given, list) and given else "should be a list of values"
            case "required":
                is_names = isinstance(given, list) and all(isinstance(name, str) for name in given)
                return "" if is_names else "should be a list of names"
            case "properties" | "$defs":
                return "" if isinstance(given, dict) else "should be an object of schemas"
            case "allOf" | "anyOf" | "oneOf" | "prefixItems":
                return "" if isinstance(given, list) and given else "should be a list of schemas"
            case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties":
                is_count = isinstance(given, int) and not isinstance(given, bool) and given >= 0
                return "" if is_count else "should be a whole number, at least 0"
            case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
                return "" if _is_number(given) else "should be a number"
            case "multipleOf":
                return "" if _is_number(given) and cast(float, given) > 0 else "should be a number above 0"
            case "uniqueItems":
                return "" if isinstance(given, bool) else "should be true or false"
            case "pattern":
                return _why_no_pattern(given)
            case "$ref":
                return self._why_no_reference(given)
            case _:
                return ""

    def _why_no_reference(self, given: Json) -> str:
        if not isinstance(given, str):
            return "should be text"
        try:
            target = _resolve(self._root, given)
        except LookupError:
            return f"{given[:60]!r} is nothing in this schema (only #/$defs/… is followed)"
        if isinstance(target, dict) and "$ref" in target:
            return f"{given[:60]!r} is itself only a reference"
        return ""


class _ValueReader:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._checks = 0

    def read(self, value: Json, schema: Json, path: str, depth: int) -> None:
        """Raise ValueInvalid where the value does not fit."""
        self._checks += 1
        if depth > MAX_VALUE_DEPTH or self._checks > MAX_CHECKS:
            raise _TooMuch(path)
        if schema is False:
            raise ValueInvalid(path, "nothing is allowed here")
        if not isinstance(schema, dict):
            return
        self._check_choice(value, schema, path)
        if isinstance(value, dict):
            self._check_object(value, schema, path, depth)
        elif isinstance(value, list):
            self._check_array(value, schema, path, depth)
        elif isinstance(value, str):
            _check_text(value, schema, path)
        elif _is_number(value):
            _check_number(cast(float, value), schema, path)
        self._check_combined(value, schema, path, depth)

    def fits(self, value: Json, schema: Json, path: str, depth: int) -> bool:
        try:
            self.read(value, schema, path, depth)
        except ValueInvalid:
            return False
        return True

    def _check_choice(self, value: Json, schema: Mapping[str, Json], path: str) -> None:
        kinds = schema.get("type")
        names = cast(list[str], kinds if isinstance(kinds, list) else [kinds])
        if kinds is not None and not any(_TYPES[name](value) for name in names):
            raise ValueInvalid(path, f"should be {' or '.join(names)}, but it is {_kind(value)}")
        choices = schema.get("enum")
        if isinstance(choices, list) and not any(_same(value, choice) for choice in choices):
            raise ValueInvalid(path, f"should be one of {str(choices)[:200]}")
        if "const" in schema and not _same(value, schema["const"]):
            raise ValueInvalid(path, f"should be {str(schema['const'])[:200]}")

    def _check_object(self, value: dict[str, Json], schema: Mapping[str, Json], path: str, depth: int) -> None:
        for name in cast(list[str], schema.get("required", [])):
            if name not in value:
                raise ValueInvalid(f"{path}.{name}", "is missing")
        _check_size(len(value), schema, path, "Properties", "properties")
        known = cast(dict[str, Json], schema.get("properties", {}))
        for name, item in value.items():
            if name in known:
                self.read(item, known[name], f"{path}.{name[:60]}", depth + 1)
            elif schema.get("additionalProperties", True) is False:
                raise ValueInvalid(f"{path}.{name[:60]}", "is not a property that the schema knows")
            else:
                self.read(item, schema.get("additionalProperties", True), f"{path}.{name[:60]}", depth + 1)

    def _check_array(self, value: list[Json], schema: Mapping[str, Json], path: str, depth: int) -> None:
        _check_size(len(value), schema, path, "Items", "items")
        first = cast(list[Json], schema.get("prefixItems", []))
        for index, item in enumerate(value):
            part = first[index] if index < len(first) else schema.get("items", True)
            self.read(item, part, f"{path}[{index}]", depth + 1)
        if schema.get("uniqueItems") and len({_canonical(item) for item in value}) < len(value):
            raise ValueInvalid(path, "its items should all be different")

    def _check_combined(self, value: Json, schema: Mapping[str, Json], path: str, depth: int) -> None:
        if "$ref" in schema:
            self.read(value, _resolve(self._root, cast(str, schema["$ref"])), path, depth + 1)
        for part in cast(list[Json], schema.get("allOf", [])):
            self.read(value, part, path, depth + 1)
        choices = cast(list[Json], schema.get("anyOf", []))
        if choices and not any(self.fits(value, part, path, depth + 1) for part in choices):
            raise ValueInvalid(path, "fits none of the schema's choices")
        only_one = cast(list[Json], schema.get("oneOf", []))
        if only_one and sum(self.fits(value, part, path, depth + 1) for part in only_one) != 1:
            raise ValueInvalid(path, "should fit exactly one of the schema's choices")
        if "not" in schema and self.fits(value, schema["not"], path, depth + 1):
            raise ValueInvalid(path, "fits what the schema excludes")


def _parts(keyword: str, given: Json) -> list[tuple[str, Json]]:
    """Return the schemas inside a keyword, each with its name in a path."""
    if keyword in ("properties", "$defs"):
        return [(f".{str(name)[:60]}", part) for name, part in cast(dict[str, Json], given).items()]
    if keyword in ("allOf", "anyOf", "oneOf", "prefixItems"):
        return [(f"[{index}]", part) for index, part in enumerate(cast(list[Json], given))]
    return [("", given)] if keyword in ("items", "additionalProperties", "not") else []


def _resolve(root: Json, reference: str) -> Json:
    """Return what a reference inside the schema names; raise LookupError."""
    if reference == "#":
        return root
    prefix, _, name = reference.rpartition("/")
    if prefix != "#/$defs" or not isinstance(root, dict) or not isinstance(defs := root.get("$defs"), dict):
        raise LookupError(reference)
    return cast(Json, defs[name])


def _check_size(size: int, schema: Mapping[str, Json], path: str, what: str, shown: str) -> None:
    least, most = cast(int, schema.get(f"min{what}", 0)), cast(int, schema.get(f"max{what}", size))
    if size < least:
        raise ValueInvalid(path, f"should have at least {least} {shown}, but it has {size}")
    if size > most:
        raise ValueInvalid(path, f"should have at most {most} {shown}, but it has {size}")


def _check_text(value: str, schema: Mapping[str, Json], path: str) -> None:
    _check_size(len(value), schema, path, "Length", "characters")
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        if len(value) > MAX_MATCHED_CHARS:
            raise ValueInvalid(path, f"a text with a pattern has at most {MAX_MATCHED_CHARS} characters")
        if not re.search(pattern, value):
            raise ValueInvalid(path, f"does not match {pattern}")


def _check_number(value: float, schema: Mapping[str, Json], path: str) -> None:
    bounds: tuple[tuple[str, Callable[[float], bool], str], ...] = (
        ("minimum", lambda bound: value >= bound, "at least"),
        ("maximum", lambda bound: value <= bound, "at most"),
        ("exclusiveMinimum", lambda bound: value > bound, "above"),
        ("exclusiveMaximum", lambda bound: value < bound, "below"),
        ("multipleOf", lambda step: math.isclose(value / step, round(value / step), abs_tol=1e-9), "a multiple of"),
    )
    for keyword, holds, shown in bounds:
        bound = schema.get(keyword)
        if bound is not None and not holds(cast(float, bound)):
            raise ValueInvalid(path, f"should be {shown} {bound}, but it is {value}")


_TOKENS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|.", re.DOTALL)


def _why_no_pattern(given: Json) -> str:
    """Say what is wrong with a pattern; empty for one that is matched in good time on any text."""
    if not isinstance(given, str) or len(given) > MAX_PATTERN_CHARS:
        return f"should be text of at most {MAX_PATTERN_CHARS} characters"
    try:
        re.compile(given)
    except re.error as error:
        return f"is no regular expression: {error}"
    tokens = _TOKENS.findall(given)
    if any(tokens[at : at + 2] == ["(", "?"] and tokens[at + 2] != ":" for at in range(len(tokens))):
        return "uses an extension; only (?: … ) is supported"
    endless = 0
    for before, token in zip(["", *tokens], tokens, strict=False):
        repeats = token in ("*", "+") or (token.startswith("{") and len(token) > 1)
        if repeats and before == ")":
            return "repeats a group, which can take for ever; repeat characters only"
        endless += token in ("*", "+") or (token.startswith("{") and token.endswith(",}"))
        if re.fullmatch(r"\\[1-9]", token):
            return "refers back to a group, which can take for ever"
    return f"repeats more than {MAX_ENDLESS} times without an upper bound" if endless > MAX_ENDLESS else ""


def _same(one: Json, other: Json) -> bool:
    return _canonical(one) == _canonical(other)


def _canonical(value: Json) -> object:
    """Return a value that equals another's where JSON says that they are the same: 1 is 1.0 and not true."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, list):
        return ("list", tuple(_canonical(item) for item in value))
    if isinstance(value, dict):
        return ("dict", frozenset((name, _canonical(item)) for name, item in value.items()))
    return ("number", value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Json) -> str:
    return next((name for name, is_one in _TYPES.items() if name != "number" and is_one(value)), "number")
