"""Which addresses may be dialled. Pure: the resolving and dialling is `upstream.py`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Reach = Literal["public", "private", "loopback", "never"]

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, GCP, Azure, OpenStack, DigitalOcean, Hetzner
        "169.254.170.2",  # ECS task credentials
        "169.254.170.23",  # EKS pod identity
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # GCP over IPv6
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure's wire server, in a public range
    )
)
"""Where clouds hand credentials to whoever asks: never dialled, whatever a grant says."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")
"""RFC 9637: younger than what `ipaddress` knows."""


def reach_of(address: Address) -> Reach:
    """Say how far an address reaches. An IPv4 address inside an IPv6 one decides for it."""
    if address in METADATA or address.is_multicast or address.is_unspecified:
        return "never"
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return "never" if reach_of(inner) != "public" else "public"
        if address not in _UNICAST and not address.is_loopback:
            return "private"  # also site-local, which `ipaddress` calls global, and all that nobody has given out yet
        if address in _DOCUMENTATION:
            return "private"
    if address.is_loopback:
        return "loopback"
    if isinstance(address, ipaddress.IPv4Address) and int(address) >= 0xF0000000:
        return "never"
    return "public" if address.is_global else "private"


def may_dial(address: Address, named: Iterable[Network], *, private_too: bool = False, is_own: bool = False) -> bool:
    """Whether an address may be dialled: public ones, and those that a grant or the owner's route names. `is_own`: it
    is this machine's, and counts as private, however public it is."""
    reach = reach_of(address)
    if reach == "never":
        return False
    if private_too or (reach == "public" and not is_own):
        return True
    return any(address.version == network.version and address in network for network in named)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
