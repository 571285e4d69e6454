"""The small JSON Schema of the conformance runs."""

from __future__ import annotations

from typing import Any

import pytest

from twins.conformance.json_schema import Schemas

DESCRIPTION = {
    "components": {
        "schemas": {
            "Id": {"type": "string", "pattern": "^[0-9]+$"},
            "Kind": {"type": "integer", "oneOf": [{"const": 1}, {"const": 2}]},
            "Base": {"type": "object", "properties": {"id": {"$ref": "#/components/schemas/Id"}}, "required": ["id"]},
            "Child": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {"type": "object", "properties": {"kind": {"$ref": "#/components/schemas/Kind"}}},
                ]
            },
        }
    }
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": ["string", "null"]}, None),
        ({"type": "integer", "format": "int32"}, 7),
        ({"type": "number"}, 7),
        ({"type": "string", "format": "date-time"}, "2026-11-21T21:30:00.000000+00:00"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 2, "uniqueItems": True}, ["a", "b"]),
        ({"$ref": "#/components/schemas/Child"}, {"id": "1", "kind": 2}),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Base"}]}, {"id": "1"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ],
)
def test_what_fits_is_not_complained_of(schema: dict[str, Any], value: object) -> None:
    """Nothing is wrong with it."""
    assert Schemas(DESCRIPTION).wrong(schema, value) == []


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "integer"}, True, "bool is no integer"),
        ({"type": "integer", "format": "int32"}, 2**31, "not between"),
        ({"type": "string", "maxLength": 2}, "abc", "3 characters"),
        ({"type": "string", "format": "date-time"}, "yesterday", "no date-time"),
        ({"type": "string", "format": "uri"}, "nowhere", "no URI"),
        ({"type": "array", "maxItems": 1}, [1, 2], "2 items"),
        ({"type": "array", "uniqueItems": True}, [1, 1], "twice"),
        ({"enum": [1, 2]}, 3, "none of"),
        ({"$ref": "#/components/schemas/Base"}, {}, ".id: missing"),
        ({"$ref": "#/components/schemas/Base"}, {"id": "x"}, "does not match"),
        ({"$ref": "#/components/schemas/Child"}, {"id": "1", "more": 1}, ".more: unknown"),
        ({"$ref": "#/components/schemas/Child"}, {"id": "1", "kind": 3}, "3 is not 1"),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Base"}]}, {"id": 1}, ".id: int is no string"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, "fits 2"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(schema: dict[str, Any], value: object, words: str) -> None:
    """The first complaint names the field and what is wrong with it."""
    assert words in Schemas(DESCRIPTION).wrong(schema, value)[0]
