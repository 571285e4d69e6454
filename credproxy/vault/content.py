"""What is sealed of a value, as bytes: its parts, or where to read them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credproxy.vault.rows import SealedSecret, SealedValue, SecretValue, Source
from credproxy.vault.secret import BadValue, Secret
from credproxy.vault.types import TYPES, VALUE, check_parts

MAX_CACHE_S = 24 * 3600.0
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Given = str | Mapping[str, str] | Source
"""What a person gives as a value: the one text, the parts, or where to read them."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Content:
    """A value in clear, between being opened and being made into `Secret`s."""

    parts: Mapping[str, str]
    source: Source | None = None
    token_ends_at: float | None = None


def encode_content(content: Content) -> bytes:
    found: dict[str, Any] = {"parts": dict(content.parts)}
    if content.source is not None:
        source = content.source
        found["source"] = [source.kind, source.place, list(source.command), source.cache_s, source.field]
    if content.token_ends_at is not None:
        found["token_ends_at"] = content.token_ends_at
    return json.dumps(found, separators=(",", ":")).encode("ascii")


def decode_content(plain: bytes) -> Content:
    """Read what `encode_content` wrote: the seal says that nobody else did."""
    found = json.loads(plain)
    source = None
    if "source" in found:
        kind, place, command, cache_s, field = found["source"]
        source = Source(kind=kind, place=place, command=tuple(command), cache_s=cache_s, field=field)
    return Content(parts=found["parts"], source=source, token_ends_at=found.get("token_ends_at"))


def make_content(type_name: str, value: Given) -> Content:
    """Raises BadValue."""
    if isinstance(value, Source):
        check_source(value)
        if type_name not in TYPES:
            raise BadValue(f"there is no type {type_name[:40]!r}; the types are {', '.join(TYPES)}")
        return Content(parts={}, source=value)
    parts = {VALUE: value} if isinstance(value, str) else value
    check_parts(type_name, parts)
    return Content(parts=parts)


def make_content_alike(secret: SealedSecret, value: Given) -> Content:
    """Raises BadValue: all values of a secret come from one kind of place."""
    content = make_content(secret.type, value)
    kind = "vault" if content.source is None else content.source.kind
    if kind != secret.source:
        raise BadValue(f"the values of {secret.name} come from: {secret.source}; this one would come from: {kind}")
    return content


def open_content(secret: SealedSecret, value: SealedValue, content: Content) -> SecretValue:
    """Return a value as it is used."""
    parts = {
        part.name: Secret(secret.name, content.parts[part.name], has_lines=part.has_lines)
        for part in TYPES[secret.type].parts
        if part.name in content.parts
    }
    return SecretValue(
        name=secret.name,
        type=secret.type,
        label=value.label,
        version=value.version,
        parts=parts,
        source=content.source,
        token_ends_at=content.token_ends_at,
        value_id=value.value_id,
        revision=value.revision,
    )


def check_source(source: Source) -> None:
    """Raise BadValue unless a source says where to read."""
    words = " ".join((source.place, source.field, *source.command))
    if not words.replace("\n", " ").replace("\t", " ").isprintable():  # a command may be a script of several lines
        raise BadValue("where to read the value holds control characters")
    if source.kind == "command" and (not source.command or not source.command[0]):
        raise BadValue("the command is empty")
    if source.kind == "env" and _VARIABLE.fullmatch(source.place) is None:
        raise BadValue("the name of an environment variable is letters, digits and underscores")
    if source.kind == "file" and not source.place.startswith("/"):
        raise BadValue("the file's path must be a whole one, from / on: the proxy has a working folder of its own")
    if source.kind == "vault" or not 0 <= source.cache_s <= MAX_CACHE_S:
        raise BadValue(f"the cache time must be between 0 and {MAX_CACHE_S:.0f} seconds")
