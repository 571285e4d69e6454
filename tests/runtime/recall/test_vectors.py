"""Vectors: kept small, still near what they were near; odd answers are no vectors."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.recall.vectors import OddAnswer, build_vector, differing_signs, fuse, nearness, read_vectors

NUMBERS = st.lists(st.floats(-1, 1).filter(lambda number: abs(number) > 1e-3), min_size=8, max_size=64)


@given(NUMBERS, st.randoms())
def test_what_is_kept_is_as_near_as_what_was(one: list[float], chance: object) -> None:
    """The cosine of two vectors at 8 bits is that of the numbers, within two hundredths."""
    other = [number * (1 if index % 3 else -0.5) for index, number in enumerate(one)]
    exact = sum(a * b for a, b in zip(one, other, strict=True)) / math.sqrt(
        sum(a * a for a in one) * sum(b * b for b in other)
    )
    assert abs(nearness(build_vector(one), build_vector(other).numbers) - exact) < 0.02
    differing = sum((a > 0) != (b > 0) for a, b in zip(one, other, strict=True))
    signs = int.from_bytes(build_vector(one).signs, "big")
    assert differing_signs(signs, build_vector(other).signs) == differing


def test_vectors_of_other_lengths_are_never_near() -> None:
    """A model that was changed under its name finds nothing by the old ones, and breaks nothing."""
    assert nearness(build_vector([1.0, 2.0]), build_vector([1.0]).numbers) == -1.0


def test_the_best_of_two_orders_is_first() -> None:
    """What both have found stands before what one has, however high; of equals the first named."""
    assert fuse([["a", "b", "c"], ["d", "b"]], 3) == ["b", "a", "d"]
    assert fuse([[], ["x"]], 3) == ["x"]


def test_an_answer_is_read_in_the_order_of_its_numbers() -> None:
    """Services may give them in any order."""
    rows = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    first, second = read_vectors(json.dumps({"data": rows}).encode(), 2)
    assert (first, second) == (build_vector([1.0, 0.0]), build_vector([0.0, 1.0]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": [0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, "x"]}]}',
        b'{"data": [{"index": 0, "embedding": [1, null]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
        b'{"data": [{"index": 0, "embedding": [Infinity, 1]}]}',
        b'{"data": [{"index": [], "embedding": [1]}]}',
        b"[" * 100_000,
        json.dumps({"data": [{"index": 0, "embedding": [1] * 9_000}]}).encode(),
    ],
)
def test_an_odd_answer_is_an_error(body: bytes) -> None:
    """Whatever a service sends."""
    with pytest.raises(OddAnswer):
        read_vectors(body, 1)


def test_vectors_of_different_lengths_in_one_answer_are_odd() -> None:
    """They cannot be compared."""
    rows = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 0.5]}]
    with pytest.raises(OddAnswer, match="one length"):
        read_vectors(json.dumps({"data": rows}).encode(), 2)
