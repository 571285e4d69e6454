"""Codes that people type."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from runtime.people.codes import CODE_ALPHABET, normalize_code
from runtime.people.pairing import make_pairing_code


@given(st.binary(min_size=5, max_size=5))
def test_a_code_can_be_typed_as_it_is_shown(random_bytes: bytes) -> None:
    """Every code is read back, in any case, without its hyphen, with O for 0 and I or L for 1."""
    shown = make_pairing_code(random_bytes)
    code = normalize_code(shown)
    assert code is not None
    assert set(code) <= set(CODE_ALPHABET)
    typed = shown.lower().replace("0", "o").replace("1", "l").replace("-", "")
    assert normalize_code(typed) == normalize_code(f" {shown}\n") == code


def test_codes_use_all_their_bits() -> None:
    """Two different draws of 40 bits are two different codes."""
    draws = {os.urandom(5) for _ in range(2000)}
    assert len({make_pairing_code(draw) for draw in draws}) == len(draws)


@given(st.text())
def test_only_whole_codes_are_codes(text: str) -> None:
    """A text is a code only if nothing but eight letters and digits is in it."""
    code = normalize_code(text)
    assert code is None or (len(code) == 8 and set(code) <= set(CODE_ALPHABET) and len(text) <= 16)
