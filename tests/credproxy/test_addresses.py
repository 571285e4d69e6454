"""Which addresses may be dialled."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.wire.addresses import METADATA, may_dial, reach_of


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"])
def test_public_addresses_may_be_dialled(text: str) -> None:
    """What the whole internet may reach, a grant may reach; an embedded public address counts as itself."""
    assert may_dial(ipaddress.ip_address(text), ())


def test_named_networks_open_what_they_name() -> None:
    """A private address opens by name, its neighbour does not, metadata never does."""
    named = (ipaddress.ip_network("192.168.1.0/30"), ipaddress.ip_network("169.254.0.0/16"))
    assert may_dial(ipaddress.ip_address("192.168.1.2"), named)
    assert not may_dial(ipaddress.ip_address("192.168.1.9"), named)
    assert not may_dial(ipaddress.ip_address("169.254.169.254"), named)
    assert not any(may_dial(address, (), private_too=True) for address in METADATA)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_is_no_way_around(address: ipaddress.IPv4Address) -> None:
    """Mapped, NAT64 and 6to4 forms reach at most as far as the address inside."""
    number = int(address)
    for outer in (
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
    ):
        assert may_dial(outer, ()) <= may_dial(address, ())


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Nothing reserved, link-local, multicast or unspecified is public."""
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_loopback:
        assert reach_of(address) != "public"


@pytest.mark.parametrize(
    "text", ["fec0::1", "3fff::1", "5f00::1", "4000::1", "100::1", "::ffff:0:7f00:1", "64:ff9b:1::1", "e000::1"]
)
def test_what_nobody_was_given_is_not_public(text: str) -> None:
    """IPv6 is public where addresses are given out, and nowhere else: site-local is not, whatever libraries say."""
    assert reach_of(ipaddress.ip_address(text)) == "private"
