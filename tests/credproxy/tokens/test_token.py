"""How a token is spelled, shown and read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.tokens.token import MARK, digest_of, find_token_text, spell_token
from credproxy.wire.heads import Headers

ONE, OTHER = spell_token(b"1" * 32), spell_token(b"2" * 32)


def basic(pair: str) -> bytes:
    return b"Basic " + base64.b64encode(pair.encode())


@pytest.mark.parametrize(
    ("headers", "is_route", "found"),
    [
        ([(b"proxy-authorization", basic(f"nightyard:{ONE}"))], False, ONE),
        ([(b"proxy-authorization", basic(f"anybody:{ONE}"))], False, ONE),
        ([(b"proxy-authorization", basic(f"{ONE}:"))], False, ONE),
        ([(b"proxy-authorization", basic(ONE))], False, ONE),
        ([(b"proxy-authorization", f"bearer {ONE}".encode())], False, ONE),
        ([(b"proxy-authorization", basic(f"a:{ONE}")), (b"proxy-authorization", basic(f"b:{ONE}"))], False, ONE),
        ([(b"proxy-authorization", basic(f"a:{ONE}")), (b"proxy-authorization", basic(f"a:{OTHER}"))], False, ""),
        ([(b"authorization", f"Bearer {ONE}".encode())], False, ""),
        ([(b"x-api-key", ONE.encode())], False, ""),
        ([(b"authorization", f"Bearer {ONE}".encode())], True, ONE),
        ([(b"x-api-key", ONE.encode())], True, ONE),
        ([(b"x-api-key", b"sk-own"), (b"authorization", f"Bearer {ONE}".encode())], True, ONE),
        ([(b"x-api-key", OTHER.encode()), (b"authorization", f"Bearer {ONE}".encode())], True, ""),
        ([(b"proxy-authorization", basic(f"a:{ONE}")), (b"x-api-key", OTHER.encode())], True, ONE),
        ([], True, ""),
    ],
)
def test_a_token_is_read_where_it_may_be_shown(headers: Headers, is_route: bool, found: str) -> None:
    """In Proxy-Authorization always, as a model's key on the named routes alone; two different ones are none."""
    assert find_token_text(headers, is_route=is_route) == found


@given(st.lists(st.sampled_from([b"proxy-authorization", b"authorization", b"x-api-key"])), st.binary(max_size=80))
def test_no_header_breaks_the_reader(names: list[bytes], value: bytes) -> None:
    """Whatever a stranger sends, it is a token or none."""
    for scheme in (b"", b"Basic ", b"Bearer ", b"Basic " + base64.b64encode(value)):
        for is_route in (False, True):
            found = find_token_text([(name, scheme + value) for name in names], is_route=is_route)
            assert found == "" or found.startswith(MARK)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_token_fits_everywhere_and_is_its_own(one: bytes, other: bytes) -> None:
    """Letters and digits only, 56 of them; others have another hash."""
    text = spell_token(one)
    assert text.replace("_", "").isalnum() and len(text) == 56
    assert (digest_of(text) == digest_of(spell_token(other))) == (one == other)
