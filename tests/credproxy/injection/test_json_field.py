"""A credential in a JSON body: the field changes, and not a byte beside it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.json_field import PIECE_CHARS, parse_pointer, with_field
from credproxy.injection.kinds import JsonField
from credproxy.injection.outgoing import inject
from tests.credproxy.injection.requests import NOW, credential, request

JSON = [(b"content-type", b"application/json; charset=utf-8")]


@pytest.mark.parametrize(
    ("body", "pointer", "sent"),
    [
        ('{"q": 1.10, "api_key": "dummy" , "z":[1]}', "/api_key", '{"q": 1.10, "api_key": "ours" , "z":[1]}'),
        ('{"api_key":{"a":[1,{}]},"b":2}', "/api_key", '{"api_key":"ours","b":2}'),
        ('{ "q": 1e400 }', "/api_key", '{"api_key":"ours", "q": 1e400 }'),
        ("{ }", "/api_key", '{"api_key":"ours" }'),
        ('{"a": [0, {"t": null}]}', "/a/1/t", '{"a": [0, {"t": "ours"}]}'),
        ('{"a": {"b": {}}}', "/a/b/c", '{"a": {"b": {"c":"ours"}}}'),
        ('[ "x", "dummy" ]', "/1", '[ "x", "ours" ]'),
        ('{"a/b": 1, "m~n": 2}', "/a~1b", '{"a/b": "ours", "m~n": 2}'),
        ('{"k\\u0065y": 1}', "/key", '{"k\\u0065y": "ours"}'),
        ('{"é": "ü", "key": 123456789012345678901234567890}', "/key", '{"é": "ü", "key": "ours"}'),
    ],
)
def test_only_the_field_changes(body: str, pointer: str, sent: str) -> None:
    """Numbers, spaces, order and escapes of the rest are the agent's, byte for byte."""
    assert with_field(JSON, body.encode(), pointer, "ours").decode() == sent


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not plain JSON"),
        (b"key=1", "not plain JSON"),
        (b'{"key": NaN}', "not plain JSON"),
        (b'{"key": 1, "key": 2}', "repeats a key"),
        (b'{"a": {"x": 1, "x": 2}, "key": 1}', "repeats a key"),
        (b'\xef\xbb\xbf{"key": 1}', "not plain JSON"),
        (b'{"key": "\xff"}', "not plain JSON"),
        (b'{"key": 1} x', "not plain JSON"),
        (b'"text"', "nothing at /key"),
        (b"[1]", "nothing at /key"),
        (b"[" * 100_000, "not plain JSON"),
    ],
)
def test_a_body_that_two_readers_may_read_differently_is_not_sent(body: bytes, reason: str) -> None:
    """Repeated keys, odd encodings, what is no JSON, no place for the field: told, not sent."""
    with pytest.raises(InjectionFailed, match=reason) as failed:
        with_field(JSON, body, "/key", "canary")
    assert failed.value.code == "request_unfit"
    assert "canary" not in str(failed.value)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [*JSON, (b"content-encoding", b"gzip")],
    ],
)
def test_a_body_that_does_not_say_that_it_is_json_is_not_touched(headers: list[tuple[bytes, bytes]]) -> None:
    """Nor a compressed one."""
    with pytest.raises(InjectionFailed):
        with_field(headers, b'{"key": 1}', "/key", "v")


def test_the_length_is_that_of_the_body_that_goes_out() -> None:
    """Whether it was said or the body came in chunks."""
    for framing in ((b"content-length", b"2"), (b"transfer-encoding", b"chunked")):
        of = request(method="POST", headers=[*JSON, framing], body=b"{}")
        sent = inject(of, JsonField(pointer="/key"), credential("ours"), now=NOW)
        assert sent.body == b'{"key":"ours"}'
        lengths = [header for header in sent.headers if header[0] in (b"content-length", b"transfer-encoding")]
        assert lengths == [(b"content-length", b"14")]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    body=st.dictionaries(st.text(max_size=5), _values, max_size=4),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1),
    indent=st.sampled_from((None, 1)),
    is_ascii=st.booleans(),
)
def test_what_is_read_again_differs_in_the_field_alone(
    body: dict[str, object], value: str, indent: int | None, is_ascii: bool
) -> None:
    """For any body and any value."""
    text = json.dumps(body, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return
    assert json.loads(with_field(JSON, text, "/key", value)) == {**body, "key": value}


_LARGE = "x" * PIECE_CHARS


@pytest.mark.parametrize(
    "before",
    [
        f'["{_LARGE}", {{"a": ["{_LARGE}", 1]}}, []]',
        "[" + '{"a": [1, "two"]}, ' * 9_000 + "null]",
        "[" + ' 1.5e3 ,-0, true,\t[ ], {}, "x\\n" , ' * 3_000 + "0]",
        "{" + ",".join(f'"{number}": {{}}' for number in range(9_000)) + "}",
        "[" * 20 + f'"{_LARGE}"' + "]" * 20,
    ],
)
def test_large_bodies_are_read_as_small_ones(before: str) -> None:
    """What is read piece by piece is changed in the same place, whether the field is there or not."""
    for said, sent in (('{"key": 1}', '{"key": "ours"}'), ("{}", '{"key":"ours"}')):
        body = f'{{"before": {before}, "auth": {said}, "after": {before}}}'
        changed = with_field(JSON, body.encode(), "/auth/key", "ours").decode()
        assert changed == f'{{"before": {before}, "auth": {sent}, "after": {before}}}'


@pytest.mark.parametrize(
    "member",
    ["01", "1.", "+1", "NaN", "tru", '"\x01"', "1 2", "", "{1: 2}", '{"a" 1}', '{"a": 1, "a": 2}', "[1,]", '{"a": 1,}'],
)
def test_large_bodies_are_read_as_strictly(member: str) -> None:
    """Wherever in a large body it stands, what is no plain JSON is not sent."""
    for begin, end in (("[1, ", ", 1]"), ("[1, ", "]"), ('{"a": ', "}"), ("[[], [0, ", "], []]")):
        for body in (f'{{"x": ["{_LARGE}", {begin}{member}{end}]}}', f'{{"x": {begin}"{_LARGE}", {member}{end}}}'):
            with pytest.raises(InjectionFailed, match="not plain JSON"):
                with_field(JSON, body.encode(), "/key", "ours")


_MANY = ", ".join('{"a": [1, {"b": "},{"}], "c": 2}' for _ in range(3_000))
_KEYS = ", ".join(f'"k{number}": [{number}, "],["]' for number in range(4_000))


@pytest.mark.parametrize(
    "member", ["", "1 2", "[1", "1]", '{"a": 1}, ,{"a": 1}', '{"a": 1}}, {{"a": 1}', "1], [2", "{}], [{}", '"a": 1']
)
def test_members_that_are_read_many_at_a_time_are_read_as_strictly(member: str) -> None:
    """A list that would be one only if it were cut elsewhere is none."""
    for body in (f'{{"x": [{_MANY}, {member}, {_MANY}]}}', f'{{"x": [{_MANY}, {_MANY}, {member}]}}'):
        with pytest.raises(InjectionFailed, match="not plain JSON"):
            with_field(JSON, body.encode(), "/key", "ours")


def test_keys_are_compared_across_all_of_an_object() -> None:
    """However far apart they stand; and the field is found wherever it stands among them."""
    for repeated in ("k0", "k1999", "k3999"):
        with pytest.raises(InjectionFailed, match="repeats a key"):
            with_field(JSON, f'{{{_KEYS}, "{repeated}": 1}}'.encode(), "/key", "ours")
        body = f'{{{_KEYS}, "z": {{{_KEYS}, "k": {{"{repeated}": 1, "x": {{{_KEYS}, "{repeated}": 2}}}}}}}}'
        with pytest.raises(InjectionFailed, match="repeats a key"):
            with_field(JSON, body.encode(), "/key", "ours")
    for found in (0, 777, 1500, 3999):
        body = f"{{{_KEYS}}}".replace(f'"k{found}": [{found}, "],["]', '"key": "theirs"')
        changed = with_field(JSON, body.encode(), "/key", "ours").decode()
        assert changed == body.replace("theirs", "ours")


@pytest.mark.parametrize("pointer", ["", "key", "key/a", "/a~2b", "/a~"])
def test_what_is_no_pointer_is_none(pointer: str) -> None:
    """The whole body is no field either."""
    assert parse_pointer(pointer) is None
