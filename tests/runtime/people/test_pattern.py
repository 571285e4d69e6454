"""Patterns of bindings: what they find, what is none, and that no text keeps them busy."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.people.pattern import MAX_DEPTH, MAX_PATTERN_CHARS, SEARCHED_CHARS, check_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("foo", "a Foo b", True),
        ("FOO", "a foo b", True),
        ("^foo", "a foo", False),
        ("foo$", "a foo", True),
        (r"\bbot\b", "robot", False),
        (r"\bbot\b", "hey bot!", True),
        (r"\b(invoice|receipt)s?\b", "two receipts, please", True),
        ("a|b$", "xb", True),
        ("[a-c]+x", "zzabcx", True),
        ("[^a]", "aaa", False),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        ("(ab)*c", "ababc", True),
        ("a?b", "b", True),
        ("a.c", "abc", True),
        (r"\d\d:\d\d", "at 12:30", True),
        (r"[\d.]+ eur", "it is 3.50 EUR", True),
        (r"\S", " \n", False),
        (r"\$5", "that is $5", True),
        ("", "anything", False),
        ("(", "(", False),
    ],
)
def test_a_pattern_finds_what_it_says(pattern: str, text: str, found: bool) -> None:
    """A pattern is searched for anywhere, upper and lower case alike; a wrong one is found nowhere."""
    assert matches(pattern, text) == found


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "empty"),
        ("*", "repeats nothing"),
        ("a**", "repeats a repeat"),
        ("a+?", "repeats a repeat"),
        ("a{2}", "repeats nothing"),
        ("(", "not closed"),
        ("a)", "has no `(`"),
        ("[a", "not closed"),
        ("[z-a]", "backwards"),
        (r"[\b]", "no character"),
        ("\\", "backslash"),
        (r"\q", "not known"),
        (r"\1", "not known"),
        ("(?i)a", "not known"),
        ("a" * (MAX_PATTERN_CHARS + 1), "longer than"),
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_what_is_no_pattern_says_why(pattern: str, reason: str) -> None:
    """Each fault is named."""
    problem = check_pattern(pattern)
    assert problem is not None
    assert reason in problem


def test_only_a_texts_beginning_is_searched() -> None:
    """What stands behind the limit is not looked at."""
    assert matches("x", "a" * (SEARCHED_CHARS - 1) + "x")
    assert not matches("x", "a" * SEARCHED_CHARS + "x")


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(a*a*)*" * 25 + "b", "a?" * 60 + "a" * 60 + "b"])
def test_no_text_keeps_a_pattern_busy(pattern: str) -> None:
    """What takes an engine that goes back longer than the world lasts is over in no time."""
    began = time.process_time()
    assert not matches(pattern, "a" * 1_000_000)
    assert time.process_time() - began < 2


_PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\b", "^", "$"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        inner.map(lambda each: f"({each})*"),
        inner.map(lambda each: f"({each})?"),
        inner.map(lambda each: f"({each})+"),
    ),
    max_leaves=6,
)


@given(_PIECES, st.text(alphabet="ab c", max_size=8))
def test_it_finds_what_another_engine_finds(pattern: str, text: str) -> None:
    """In the language that both know, it agrees with Python's own engine."""
    assert check_pattern(pattern) is None
    # Where Python's `$` also stands before a last line end, ours does not; there are no line ends in these texts.
    assert matches(pattern, text) == (re.search(pattern, text, re.DOTALL) is not None)


@given(st.text(max_size=40))
def test_any_text_is_a_pattern_or_not(text: str) -> None:
    """No text breaks the parser, and what is no pattern is found nowhere."""
    if check_pattern(text) is not None:
        assert not matches(text, text)
