"""Requests and credentials for tests of injections."""

from __future__ import annotations

from collections.abc import Sequence

from credproxy.injection.kinds import Injection
from credproxy.injection.outgoing import Outgoing, inject
from credproxy.vault.credential import Credential
from credproxy.vault.secret import Secret
from credproxy.wire.target import Target, parse_path

NOW = 1_700_000_000.0


def credential(value: str | None = "tok-en", **parts: str) -> Credential:
    """A secret `key` with a value, and with these parts."""
    given = parts if value is None else {"value": value, **parts}
    return Credential("key", "current", {name: Secret("key", text) for name, text in given.items()})


def request(
    wire: str = "/",
    *,
    method: str = "GET",
    host: str = "api.example.org",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes | None = b"",
    received: Sequence[tuple[bytes, bytes]] = (),
) -> Outgoing:
    path = parse_path(wire)
    target = Target(
        scheme="https", host=host, port=443, path=path.path, query=path.query, is_ambiguous=path.is_ambiguous
    )
    return Outgoing(method, target, [(b"host", host.encode()), *headers], body, received)


def sent_headers(injection: Injection, of: Outgoing | None = None, who: Credential | None = None) -> dict[str, str]:
    """Return the headers that go out; a name that is there twice fails the test."""
    sent = inject(of or request(), injection, who or credential(), now=NOW).headers
    names = [name for name, _value in sent]
    assert len(set(names)) == len(names), names
    return {name.decode(): value.decode() for name, value in sent}
