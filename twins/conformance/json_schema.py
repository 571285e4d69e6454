"""Is a value what a schema says? As much of JSON Schema as OpenAPI descriptions use, and one thing more: a field that
the schema does not name is told of. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

Schema = Mapping[str, Any]

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_URI = re.compile(r"[a-z][a-z0-9+.\-]*:\S+", re.IGNORECASE)


class Schemas:
    """A description's named schemas, and what is wrong with values by them."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._description = description

    def named(self, name: str) -> Schema:
        return {"$ref": f"#/components/schemas/{name}"}

    def resolve(self, reference: str) -> Any:
        """Return what a reference inside the description points to."""
        node: Any = self._description
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def wrong(self, schema: Schema, value: Any, path: str = "", *, closed: bool = True) -> list[str]:
        """Return what is wrong, each with where; `closed`: unknown fields are wrong."""
        if "$ref" in schema:
            schema = {**self.resolve(schema["$ref"]), **{key: one for key, one in schema.items() if key != "$ref"}}
        found = _type_errors(schema, value, path)
        if found:
            return found
        found += _enumeration_errors(schema, value, path)
        if isinstance(value, str):
            found += _string_errors(schema, value, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found += _number_errors(schema, value, path)
        elif isinstance(value, list):
            found += self._list_errors(schema, value, path, closed)
        elif isinstance(value, dict):
            found += self._record_errors(schema, value, path, closed)
        return found + self._combined_errors(schema, value, path, closed)

    def _list_errors(self, schema: Schema, value: list[Any], path: str, closed: bool) -> list[str]:
        found = []
        if len(value) > schema.get("maxItems", len(value)) or len(value) < schema.get("minItems", 0):
            found.append(f"{path}: {len(value)} items")
        if schema.get("uniqueItems") and len({repr(one) for one in value}) < len(value):
            found.append(f"{path}: an item stands there twice")
        for position, one in enumerate(value) if "items" in schema else ():
            found += self.wrong(schema["items"], one, f"{path}[{position}]", closed=closed)
        return found

    def _record_errors(self, schema: Schema, value: dict[str, Any], path: str, closed: bool) -> list[str]:
        found = [f"{path}.{name}: missing" for name in schema.get("required", ()) if name not in value]
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        for name, one in value.items():
            if name in properties:
                found += self.wrong(properties[name], one, f"{path}.{name}", closed=closed)
            elif isinstance(more, dict):
                found += self.wrong(more, one, f"{path}.{name}", closed=closed)
        is_combined = any(key in schema for key in ("oneOf", "anyOf")) and not properties
        if more is False or (closed and more is True and "additionalProperties" not in schema and not is_combined):
            known = self._known_fields(schema)
            found += [f"{path}.{name}: unknown" for name in value if known is not None and name not in known]
        return found

    def _known_fields(self, schema: Schema) -> set[str] | None:
        """Return the fields that a schema and its parts name; None: any may stand there."""
        if "$ref" in schema:
            schema = self.resolve(schema["$ref"])
        known = set(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            known |= self._known_fields(part) or set()
        return known or None

    def _combined_errors(self, schema: Schema, value: Any, path: str, closed: bool) -> list[str]:
        found = []
        for part in schema.get("allOf", ()):
            found += self.wrong(part, value, path, closed=False)
        for key in ("oneOf", "anyOf"):
            if key not in schema:
                continue
            branches: list[list[str]] = [self.wrong(part, value, path, closed=closed) for part in schema[key]]
            fitting = sum(1 for one in branches if not one)
            if not fitting:
                found += sorted(branches, key=lambda one: (_is_other_kind(one, path), len(one)))[0]
            elif key == "oneOf" and fitting > 1 and value not in ({}, []):
                found.append(f"{path}: fits {fitting} of what may stand there, not one")
        return found


def _type_errors(schema: Schema, value: Any, path: str) -> list[str]:
    wanted = schema.get("type")
    if wanted is None:
        return []
    kinds = [wanted] if isinstance(wanted, str) else wanted
    for kind in kinds:
        if isinstance(value, bool) and kind in ("integer", "number"):
            continue
        if isinstance(value, _TYPES[kind]):
            return []
    return [f"{path}: {type(value).__name__} is no {' or '.join(kinds)}"]


def _is_other_kind(wrong: list[str], path: str) -> bool:
    """Return whether a branch is meant for something else: another type, or another of its constants."""
    return any(one.startswith((f"{path}: ", f"{path}.type: ")) for one in wrong)


def _enumeration_errors(schema: Schema, value: Any, path: str) -> list[str]:
    if "const" in schema and value != schema["const"]:
        return [f"{path}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{path}: {value!r} is none of {schema['enum']}"]
    return []


def _string_errors(schema: Schema, value: str, path: str) -> list[str]:
    found = []
    if len(value) > schema.get("maxLength", len(value)) or len(value) < schema.get("minLength", 0):
        found.append(f"{path}: {len(value)} characters")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{path}: {value!r} does not match {schema['pattern']}")
    if schema.get("format") == "date-time" and not _is_instant(value):
        found.append(f"{path}: {value!r} is no date-time")
    if schema.get("format") == "uri" and not _URI.fullmatch(value):
        found.append(f"{path}: {value!r} is no URI")
    return found


def _number_errors(schema: Schema, value: float, path: str) -> list[str]:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    if schema.get("format") == "int32":
        low, high = max(low, -(2**31)), min(high, 2**31 - 1)
    return [] if low <= value <= high else [f"{path}: {value} is not between {low} and {high}"]


def _is_instant(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
