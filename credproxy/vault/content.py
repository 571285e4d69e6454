"""What is sealed of a value, as bytes: its parts, or where to read them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credproxy.vault.rows import Source


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
