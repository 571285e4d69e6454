"""From what was asked for to the grants that would allow it: narrow, but not a line for each page. Pure.

Reading is proposed by folders, writing by exact paths. A path that can be granted only with its whole host is not
proposed: what an agent asks for must not choose how much it gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cli.grants_edit import Wish
from credproxy.admin_client.policy import Seen
from credproxy.policy.path_glob import is_glob

READING = ("GET", "HEAD", "OPTIONS")
FEW_PATHS = 3
FEW_FOLDERS = 6
USUAL_PORTS = {"https": 443, "http": 80}


@dataclass(slots=True)
class _Use:
    """What was seen of one kind (reading or writing) at one place."""

    methods: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    times: int = 0


def is_nameable(seen: Seen) -> bool:
    """Whether a grant can name what was asked for, and that alone: a star would be a wildcard, and what servers read in
    two ways fits only a whole host."""
    parts = urlsplit(seen.url)
    path = parts.path or "/"
    is_plain = is_glob(path) and "*" not in path and ";" not in path and "%2F" not in path and "%25" not in path
    return parts.scheme in USUAL_PORTS and bool(parts.hostname) and is_plain


def propose(seen: Iterable[Seen]) -> list[Wish]:
    """Return the grants that would allow what was seen and is nameable, those most asked for first."""
    uses: dict[tuple[str, str, int | None, bool], _Use] = {}
    for each in filter(is_nameable, seen):
        parts = urlsplit(each.url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = parts.port if parts.port not in (None, USUAL_PORTS[parts.scheme]) else None
        is_reading = each.method in (*READING, "CONNECT")
        use = uses.setdefault((parts.scheme, host, port, is_reading), _Use())
        use.times += each.times
        if each.method != "CONNECT":  # a tunnel that was refused: what it was for is not known
            use.methods.add(each.method)
            use.paths.add(parts.path or "/")
    ordered = sorted(uses.items(), key=lambda item: -item[1].times)
    return [wish for place, use in ordered for wish in _wishes(place, use)]


def _wishes(place: tuple[str, str, int | None, bool], use: _Use) -> Iterator[Wish]:
    scheme, host, port, is_reading = place
    methods = tuple(sorted(use.methods)) or ("GET", "HEAD")
    yield Wish(host=host, scheme=scheme, port=port, methods=methods, paths=_globs(use.paths, is_reading=is_reading))


def _globs(paths: set[str], *, is_reading: bool) -> tuple[str, ...]:
    """Return few enough paths to be read by a person; none where reading went all over the host."""
    if not is_reading or len(paths) <= FEW_PATHS:
        return tuple(sorted(paths))
    folders = {"/" + path.split("/")[1] for path in paths}
    if "/" in folders or len(folders) > FEW_FOLDERS:
        return ()
    return tuple(sorted(f"{folder}/**" for folder in folders))
