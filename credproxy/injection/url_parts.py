"""Credentials in the address: a query parameter, a hole in the path. Pure."""

from __future__ import annotations

import re
import urllib.parse
from functools import lru_cache

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import PathHole
from credproxy.wire.target import Target

_HOLDS_SEPARATOR = re.compile(r"(?i);|%3b")
_SEGMENT_SAFE = "-._~!$&'()*+,=:@"


def without_parameter(query: str | None, name: str) -> str | None:
    """Return the query without any parameter that some server reads as `name`.

    Servers differ: case, `name[]`, `name.x`, a space before, `;` as a second separator. All are taken for the same;
    where only a server that splits at `;` would see the name, the request is refused.
    """
    if query is None:
        return None
    wanted = _plain_name(name)
    kept = [piece for piece in query.split("&") if _plain_name(piece.partition("=")[0]) != wanted]
    for piece in kept:
        if _HOLDS_SEPARATOR.search(piece) and any(
            _plain_name(part.partition("=")[0]) == wanted for part in urllib.parse.unquote_plus(piece).split(";")
        ):
            raise InjectionFailed("request_unfit", f"The query may be read as giving {name} twice, because of a `;`.")
    return "&".join(kept) if kept else None


def with_parameter(query: str | None, name: str, value: str) -> str:
    """Return the query with exactly one parameter of that name."""
    rest = without_parameter(query, name)
    ours = f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(value, safe='')}"
    return f"{rest}&{ours}" if rest else ours


def fill_hole(target: Target, hole: PathHole, value: str) -> str:
    """Return the path with the value in the hole of the first template that fits; raises InjectionFailed."""
    if target.is_ambiguous:
        raise InjectionFailed("request_unfit", "A path that servers read in two ways gets no credential.")
    if "/" in value or "\\" in value or value in (".", ".."):
        raise InjectionFailed("credential_unfit", "The credential holds what cannot stand in one part of a path.")
    for template in hole.templates:
        found = _hole_pattern(template).fullmatch(target.path)
        if found is not None:
            return found[1] + urllib.parse.quote(value, safe=_SEGMENT_SAFE) + found[2]
    forms = " or ".join(hole.templates)
    raise InjectionFailed("request_unfit", f"The path has no place for the credential: it must be like {forms}.")


def _plain_name(name: str) -> str:
    decoded = urllib.parse.unquote_plus(name).partition("\0")[0].lstrip().partition("[")[0]
    return decoded.lower().replace(".", "_").replace(" ", "_").replace("-", "_")


@lru_cache(maxsize=256)
def _hole_pattern(template: str) -> re.Pattern[str]:
    stem, below = (template[:-3], r"(?:/.*)?") if template.endswith("/**") else (template, "")
    before, _hole, after = stem.partition("{}")
    return re.compile(f"({re.escape(before)})[^/]+?({re.escape(after)}{below})")
