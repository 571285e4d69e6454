"""Records as stored text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.transcript import Entry, ToolCall
from runtime.store.errors import Unstorable
from runtime.store.payload_text import from_text, from_texts, to_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(st.text())
def test_a_text_comes_back(text: str) -> None:
    """A record comes back as it was, whatever characters its text has."""
    entry = Entry(role="user", text=text)
    assert from_text(Entry, to_text(entry)) == entry


@given(st.lists(st.text()))
def test_many_texts_come_back_in_order(texts: list[str]) -> None:
    """Read together they are the records that each of them is alone, none of none."""
    entries = tuple(Entry(role="user", text=text) for text in texts)
    assert from_texts(Entry, map(to_text, entries)) == entries


@given(JSON)
def test_any_arguments_can_be_stored(arguments: object) -> None:
    """Whatever JSON an agent sends gives text that UTF-8 can hold and that reads back as a record."""
    call = ToolCall(call_id="c", name="n", arguments=arguments)
    text = to_text(call)
    text.encode("utf-8")
    assert from_text(ToolCall, text).call_id == "c"


def test_what_json_cannot_say_becomes_null() -> None:
    """NaN and infinities inside become null, numbers stay."""
    assert to_text([float("nan"), [float("inf")], {"a": 1.5}]) == '[null,[null],{"a":1.5}]'


def test_bottomless_values_are_refused() -> None:
    """A value nested too deep for JSON is refused by name."""
    value: object = 0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Unstorable):
        to_text(value)
