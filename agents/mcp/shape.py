"""Whether a tool's schema can be shown to a model. Pure.

Services refuse a whole question for one tool whose schema is none, so a server's word is not taken for it: what is
looked at here is what JSON Schema 2020-12 says of the forms of its keywords.
"""

from __future__ import annotations

import json
import re

MAX_SCHEMA_BYTES = 16_000
MAX_DEPTH = 24
TOP_KEYWORDS = frozenset(
    ("type", "properties", "required", "additionalProperties", "$defs", "definitions", "description", "title")
)
"""What services take at the top, where `anyOf` and its like are refused by some."""
_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ONE = (
    "additionalProperties",
    "items",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
)
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_TEXTS = ("$ref", "description", "title", "pattern", "format", "$schema", "$id", "$comment", "$anchor")
_NUMBERS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties",
)  # fmt: skip


class NoSchema(ValueError):
    """A schema that no model can be shown, and why."""


def checked_schema(schema: object) -> dict[str, object]:
    """Return a tool's schema as services take it; raise NoSchema."""
    if schema is None:
        schema = {}
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise NoSchema("its arguments are no object")
    top = {name: value for name, value in schema.items() if name in TOP_KEYWORDS}
    top = {**top, "type": "object", "properties": top.get("properties", {})}
    if len(json.dumps(top)) > MAX_SCHEMA_BYTES:
        raise NoSchema(f"its schema has more than {MAX_SCHEMA_BYTES} bytes")
    _check(top, 0)
    return top


def _check(schema: object, depth: int) -> None:
    """Raise NoSchema for what is no schema."""
    if isinstance(schema, bool):
        return
    if depth > MAX_DEPTH:
        raise NoSchema("its schema is nested too deeply")
    if not isinstance(schema, dict):
        raise NoSchema("its schema has a part that is none")
    _check_words(schema)
    below = [schema[name] for name in _ONE if name in schema]
    for name in _NAMED:
        named = schema.get(name, {})
        if not isinstance(named, dict):
            raise NoSchema(f"{name} in its schema is no object")
        below += named.values()
    for name in _LISTED:
        listed = schema.get(name, [True])
        if not isinstance(listed, list) or not listed:
            raise NoSchema(f"{name} in its schema is no list")
        below += listed
    for each in below:
        _check(each, depth + 1)


def _check_words(schema: dict[str, object]) -> None:
    kinds = schema.get("type", "object")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not kinds or any(not isinstance(kind, str) or kind not in _TYPES for kind in kinds):
        raise NoSchema("its schema names a type that there is not")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if isinstance(properties, dict) and not all(_PROPERTY.fullmatch(name) for name in properties):
        raise NoSchema("an argument's name has other characters than letters, digits, _ . and -")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise NoSchema("`required` in its schema is no list of names")
    if not isinstance(schema.get("enum", [0]), list):
        raise NoSchema("`enum` in its schema is no list")
    for name in _TEXTS:
        if not isinstance(schema.get(name, ""), str):
            raise NoSchema(f"{name} in its schema is no text")
    for name in _NUMBERS:
        value = schema.get(name, 0)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise NoSchema(f"{name} in its schema is no number")
    reference = schema.get("$ref", "#")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise NoSchema("its schema refers to another document")
