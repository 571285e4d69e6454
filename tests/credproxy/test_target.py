"""One form for every target: tables of what is taken, and properties of whatever is."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.wire.target import (
    Target,
    TargetRefused,
    make_target,
    parse_absolute,
    parse_authority,
    parse_host,
    parse_ipv6,
    parse_path,
)

ODD = st.text(alphabet=st.sampled_from("/.%;\\ab25eEfFcC?#~ \t\0é"), max_size=30)


@given(st.text(max_size=60) | ODD)
def test_a_path_is_refused_or_canonical_for_good(text: str) -> None:
    """What is taken is a fixed point: read again, it is itself; it holds nothing that climbs or ends a line."""
    try:
        first = parse_path(text)
    except TargetRefused:
        return
    again = parse_path(first.path + (f"?{first.query}" if first.query is not None else ""))
    assert again == first
    assert first.path.startswith("/")
    assert not {"..", "."} & set(first.path.split("/"))
    assert not any(ord(character) <= 0x20 or ord(character) >= 0x7F or character in "\\#" for character in first.path)


@given(ODD)
def test_decoding_once_more_climbs_only_where_marked(text: str) -> None:
    """A server that decodes a second time finds dot segments only in a path marked ambiguous."""
    try:
        path = parse_path("/" + text)
    except TargetRefused:
        return
    decoded = path.path
    for _again in range(3):
        decoded = unquote(decoded)
        climbs = ".." in decoded.replace("\\", "/").split("/") or "//" in decoded or ";" in decoded
        assert path.is_ambiguous or not climbs


@given(st.text(max_size=40) | st.from_regex(r"[a-zA-Z0-9.:\[\]%-]{0,30}", fullmatch=True))
def test_a_host_is_refused_or_in_its_one_form(text: str) -> None:
    """What is taken is lower-case ASCII, reads as itself, and no address hides in it."""
    try:
        host = parse_host(text)
    except TargetRefused:
        return
    assert parse_host(host) == host
    assert host == host.lower()
    assert host.isascii()
    assert not host.endswith(".")
    if host.rpartition(".")[2].isdigit():
        assert str(ipaddress.IPv4Address(host)) == host


@given(st.ip_addresses(v=6))
def test_an_ipv6_literal_is_refused_or_short(address: ipaddress.IPv6Address) -> None:
    """Every spelling of an IPv6 address becomes the short one; those with IPv4 inside are refused."""
    try:
        text = parse_ipv6(address.exploded)
    except TargetRefused:
        assert address.ipv4_mapped or address.sixtofour or address.teredo
        return
    assert ipaddress.IPv6Address(text) == address


def test_what_tools_leave_unescaped_is_escaped() -> None:
    """Brackets and their like in a path, as Node, Go and curl send them, are judged and sent percent-encoded: a grant
    says them in that form."""
    path = parse_path('/app/[id]/{a}|b^c`"<>?x=[1]|2')
    assert (path.path, path.query) == ("/app/%5Bid%5D/%7Ba%7D%7Cb%5Ec%60%22%3C%3E", "x=[1]|2")
    assert not path.is_ambiguous
    with pytest.raises(TargetRefused):
        parse_path("/a\\[b]")


@pytest.mark.parametrize(
    ("text", "wire", "is_ambiguous"),
    [
        ("/", "/", False),
        ("/a/b/", "/a/b/", False),
        ("/a.b/.well-known/x..y", "/a.b/.well-known/x..y", False),
        ("/%41%7e%2d", "/A~-", False),
        ("/%c3%a9%20", "/%C3%A9%20", False),
        ("/@scope%2fname", "/@scope%2Fname", True),
        ("/a;b=c", "/a;b=c", True),
        ("/a//b", "/a//b", True),
        ("/%252e", "/%252e", True),
        ("/%2541", "/%2541", True),
        ("/100%25", "/100%25", False),
        ("/x?", "/x?", False),
        ("/x?a=%2e%2e/..//;[]", "/x?a=%2e%2e/..//;[]", False),
    ],
)
def test_paths_that_are_taken(text: str, wire: str, is_ambiguous: bool) -> None:
    """Unreserved escapes are written plainly; what must stay escaped stays so; the query is left as it is."""
    path = parse_path(text)
    assert path.path + ("" if path.query is None else f"?{path.query}") == wire
    assert path.is_ambiguous is is_ambiguous


def test_target_writes_itself_as_it_was_judged() -> None:
    """Authority and wire form come from the parsed parts alone."""
    target = parse_absolute("HTTP://Example.ORG.:80/a%62?x")
    assert (target.authority, target.wire, str(target)) == ("example.org", "/ab?x", "http://example.org/ab")
    v6 = make_target("https", parse_authority("[2001:DB8::0:1]:8443", default_port=443), parse_path("/"))
    assert v6.authority == "[2001:db8::1]:8443"
    assert Target(scheme="https", host="a", port=443, path="/").authority == "a"
