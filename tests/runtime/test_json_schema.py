"""The schema checker: what fits, what does not and where, and which schemas it will not take."""

from __future__ import annotations

import json
import time

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from protocol.codec import Json
from runtime.json_schema import (
    MAX_MATCHED_CHARS,
    MAX_SCHEMA_DEPTH,
    SchemaError,
    ValueInvalid,
    check_schema,
    check_value,
)

PERSON: Json = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
TREE: Json = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
}


def fault(value: Json, schema: Json) -> str:
    """Return where and why a value does not fit, empty if it does."""
    check_schema(schema)
    try:
        check_value(value, schema)
    except ValueInvalid as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"name": "Ada", "age": 36}, PERSON),
        (1.0, {"type": "integer"}),
        (1, {"type": "number"}),
        (1, {"const": 1.0}),
        (None, {"type": ["string", "null"]}),
        ({"next": {"next": None}}, TREE),
        ([1, "a"], {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}),
        ("a-1", {"pattern": "^[a-z]-[0-9]+$"}),
        (0.3, {"multipleOf": 0.1}),
        ("x", {"oneOf": [{"type": "string"}, {"type": "integer"}]}),
        (3, {"not": {"type": "string"}}),
        ({"x": 1}, {"additionalProperties": {"type": "integer"}}),
        ([1, 1.5, "1", True], {"uniqueItems": True}),
        ("anything", True),
        ("2026-01-31", {"type": "string", "format": "date", "title": "A day"}),
    ],
)
def test_what_fits_passes(value: Json, schema: Json) -> None:
    """Each keyword of the subset, as the standard means it."""
    assert fault(value, schema) == ""


@pytest.mark.parametrize(
    ("value", "schema", "where"),
    [
        ({"age": 36}, PERSON, "$.name: is missing"),
        ({"name": ""}, PERSON, "$.name: should have at least 1 characters"),
        ({"name": "Ada", "age": 1.5}, PERSON, "$.age: should be integer"),
        ({"name": "Ada", "x": 1}, PERSON, "$.x: is not a property"),
        (True, {"type": "integer"}, "$: should be integer, but it is boolean"),
        (True, {"const": 1}, "$: should be 1"),
        ({"next": {"next": 1}}, TREE, "$.next: fits none"),
        ([1, 2], {"items": {"type": "string"}}, "$[0]: should be string"),
        ([1, 2], {"maxItems": 1}, "at most 1 items"),
        ([1, 1.0], {"uniqueItems": True}, "all be different"),
        ("b", {"enum": ["a"]}, "should be one of"),
        (5, {"exclusiveMaximum": 5}, "should be below 5"),
        (0.35, {"multipleOf": 0.1}, "a multiple of"),
        (1, {"oneOf": [{"type": "integer"}, {"type": "number"}]}, "exactly one"),
        ("x", {"not": {"type": "string"}}, "excludes"),
        (1, {"allOf": [{"type": "integer"}, {"minimum": 2}]}, "at least 2"),
        ({}, {"minProperties": 1}, "at least 1 properties"),
        ("x", False, "nothing is allowed"),
        ("ab", {"pattern": "^a$"}, "does not match"),
        ("a" * (MAX_MATCHED_CHARS + 1), {"pattern": "a"}, "at most 500 characters"),
        (float("nan"), {"type": "number"}, "should be number"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(value: Json, schema: Json, where: str) -> None:
    """The path is the one that its author would look at."""
    assert where in fault(value, schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"if": {}}, "'if' is not supported"),
        ({"properties": {"a": {"patternProperties": {}}}}, "$.properties.a: the keyword"),
        ({"type": "text"}, "$.type: should be one of"),
        ({"type": [1]}, "$.type: should be one of"),
        ({"$ref": "https://example.org/x"}, "only #/$defs/"),
        ({"$ref": "#/$defs/gone"}, "is nothing in this schema"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "only a reference"),
        ({"required": "a"}, "a list of names"),
        ({"minimum": "1"}, "should be a number"),
        ({"minLength": -1}, "at least 0"),
        ({"multipleOf": 0}, "above 0"),
        ({"enum": []}, "a list of values"),
        ({"pattern": "(a+)+$"}, "repeats a group"),
        ({"pattern": r"(a)\1"}, "refers back"),
        ({"pattern": "(?=a)"}, "extension"),
        ({"pattern": ".*.*.*"}, "without an upper bound"),
        ({"pattern": "["}, "no regular expression"),
        ("text", "a schema is an object"),
    ],
)
def test_a_schema_that_promises_more_than_is_checked_is_refused(schema: Json, why: str) -> None:
    """An unknown keyword, a reference outward or a costly pattern is an error when it is given."""
    with pytest.raises(SchemaError) as refused:
        check_schema(schema)
    assert why in str(refused.value)


def test_a_schema_too_deep_is_refused() -> None:
    """Nesting has an end, and so has the work on one value."""
    deep: Json = {}
    for _ in range(MAX_SCHEMA_DEPTH + 2):
        deep = {"not": deep}
    with pytest.raises(SchemaError, match="nested deeper"):
        check_schema(deep)
    many: Json = {"not": {"anyOf": [{"type": "string"}] * 1_900}}
    with pytest.raises(ValueInvalid, match="too large"):
        check_value([1] * 2_000, {"items": many})


def test_the_worst_pattern_allowed_is_quick() -> None:
    """No text of an agent's holds the host up."""
    schema: Json = {"pattern": "^.*a.*b$"}
    check_schema(schema)
    began = time.perf_counter()
    assert fault("a" * MAX_MATCHED_CHARS, schema)
    assert time.perf_counter() - began < 1.0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_a_value_fits_itself_and_not_its_opposite(value: Json) -> None:
    """As `const` and `enum`, also after a way through JSON; and never its negation."""
    again = json.loads(json.dumps(value))
    assert fault(again, {"const": value}) == ""
    assert fault(again, {"enum": [value]}) == ""
    assert fault(again, {"not": {"const": value}}) != ""
