"""Where the browser may be sent. Pure.

The open web is the proxy's to decide. What is decided here is what never gets there: other schemes, and the container's
own ports. A port is reached only where the agent opens it itself, from a window of its own (`browser.py`); pages of the
web cannot reach any.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from protocol.record import Record

MAX_ADDRESS_CHARS = 8_000
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class BadAddress(ValueError):
    """An address that is not opened; the message says why."""


class Address(Record):
    """Where to."""

    url: str
    local_port: int = 0
    """The container's own port that it leads to; 0: the web."""


def read_address(words: str, forwarder_port: int) -> Address:
    """Return what the model's words name; raise BadAddress. `forwarder_port` is the way out, and no page."""
    url = words.strip()
    if "://" not in url and not url.lower().startswith(("javascript:", "data:", "about:", "view-source:", "blob:")):
        url = f"https://{url}"
    if len(url) > MAX_ADDRESS_CHARS or any(mark.isspace() or not mark.isprintable() for mark in url):
        raise BadAddress(f"the url must have at most {MAX_ADDRESS_CHARS} characters, and no space")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise BadAddress(f"the url is none: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise BadAddress("the url must begin with https:// or http://; read files with the file tools")
    if not host:
        raise BadAddress("the url names no host")
    if parts.username or parts.password:
        raise BadAddress("the url must hold no user and no password")
    if not _is_local(host):
        return Address(url=url)
    port = port or _DEFAULT_PORTS[parts.scheme]
    if port == forwarder_port:
        raise BadAddress(f"port {port} is the way to the proxy, and no page")
    return Address(url=url, local_port=port)


def build_bypass(local_port: int) -> str:
    """Return which addresses a window does not ask the proxy for: none, or one port of the container's own."""
    # Without `<-loopback>` Chromium would reach every port of 127.0.0.1 by itself.
    return ";".join(["<-loopback>", *(f"{host}:{local_port}" for host in LOOPBACK[:3] if local_port)])


def _is_local(host: str) -> bool:
    return host in LOOPBACK or host.endswith(".localhost")
