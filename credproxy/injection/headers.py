"""Headers that carry a credential: set, replaced, removed, listed. Pure."""

from __future__ import annotations

import base64

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import Basic, Cookie
from credproxy.vault.credential import Credential
from credproxy.wire.heads import Headers

_NO_COOKIE = frozenset('"(),;\\ ')
"""What RFC 6265 leaves out of a cookie's value, and what old servers split at."""


def without(headers: Headers, name: bytes) -> Headers:
    """Return the headers but those of a name. `x_key` is `x-key` to servers that hand headers on as variables."""
    return [
        header
        for header in headers
        if header[0] != name and (b"_" not in header[0] or header[0].replace(b"_", b"-") != name)
    ]


def with_header(headers: Headers, name: str, value: str) -> Headers:
    """Return the headers with exactly one of that name; raises InjectionFailed for a value that is no header's."""
    if not (value.isascii() and value.isprintable()):
        # A line break would end the header and begin another.
        raise InjectionFailed("credential_unfit", f"The credential cannot stand in the header {name}.")
    raw = name.encode("ascii")
    kept = without(headers, raw)
    kept.append((raw, value.encode("ascii")))
    return kept


def with_item(headers: Headers, name: str, item: str) -> Headers:
    """Return the headers with the item in the list of that name, once."""
    raw, wanted = name.encode("ascii"), item.encode("ascii")
    values = [value.strip() for found, value in headers if found == raw and value.strip()]
    items = [part.strip() for value in values for part in value.split(b",")]
    if wanted not in items:
        items.append(wanted)
    return [*without(headers, raw), (raw, b",".join(items))]


def fill(template: str, value: str) -> str:
    """Return the template with the value in its one hole."""
    before, _hole, after = template.partition("{}")
    return before + value + after


def basic_value(step: Basic, credential: Credential) -> str:
    """Return `Basic …`; raises InjectionFailed for a plain value without a user."""
    if step.username is None and "username" in credential.parts:
        pair = f"{credential.part('username').reveal()}:{credential.part('password').reveal()}"
    else:
        # A grant that names the user takes a secret of type `basic` for its password alone.
        part = "password" if "password" in credential.parts else "value"
        value = credential.part(part).reveal()
        pair = value if step.username is None else f"{step.username}:{value}"
        if step.username is None and ":" not in value:
            sentence = (
                f"The secret {credential.name} is neither of type basic nor `user:password`, "
                "and the grant names no user."
            )
            raise InjectionFailed("credential_unfit", sentence)
    return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")


def cookie_value(step: Cookie, credential: Credential) -> str:
    value = credential.value.reveal()
    if not _NO_COOKIE.isdisjoint(value):
        raise InjectionFailed("credential_unfit", f"The secret {credential.name} cannot stand in a cookie.")
    return f"{step.name}={value}"
