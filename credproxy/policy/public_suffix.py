"""Names below which strangers live: a wildcard over them would grant hosts that anybody can rent.

The well-known ones are in `public_suffixes.txt`; where the system has the whole list (https://publicsuffix.org,
Debian's package `publicsuffix`), that is asked too. Both are read for wildcards only, when a file of grants is written
and when it is read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

SYSTEM_LIST = Path("/usr/share/publicsuffix/public_suffix_list.dat")
OWN_LIST = Path(__file__).parent / "public_suffixes.txt"
_SECOND_LEVELS = frozenset((
    "ac", "co", "com", "edu", "gob", "gov", "go", "gouv", "gub", "govt", "ltd", "mil", "mod", "ne", "net", "nhs", "nic",
    "nom", "or", "org", "plc", "police", "sch",
))  # fmt: skip
"""Under a two-letter top level these are levels of their own: co.uk, com.au, or.jp, gob.mx."""


def refuse_wildcard(base: str, system_list: Path = SYSTEM_LIST) -> str:
    """Return why `*.base` may not be granted; empty if it may."""
    if _is_suffix(base, system_list):
        return f"everybody can have a name below {base}; name the hosts themselves"
    below = next((suffix for suffix in _own_suffixes() if suffix.endswith(f".{base}")), None)
    if below is not None:
        return f"it would also cover {below}, below which everybody can have a name; name the hosts themselves"
    return ""


@functools.lru_cache(maxsize=1024)
def _is_suffix(name: str, system_list: Path) -> bool:
    labels = name.split(".")
    if len(labels) < 2 or name in _own_suffixes() or _is_bucket_place(labels):
        return True
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVELS:
        return True
    return _is_in_list(name, _lines(system_list))


def _is_bucket_place(labels: list[str]) -> bool:
    """Amazon's regional names: s3.eu-west-1.amazonaws.com, s3-website-us-east-1.amazonaws.com, eu-west-1.elb…"""
    return labels[-2:] == ["amazonaws", "com"] and 2 < len(labels) <= 5


def _is_in_list(name: str, lines: Iterator[str]) -> bool:
    """Whether the list has the name as a suffix: as itself, or by `*.parent`, unless by `!name` it has not."""
    parent = name.partition(".")[2]
    found = False
    for line in lines:
        if line == f"!{name}":
            return False
        found = found or line == name or (line == f"*.{parent}" and parent != "")
    return found


@functools.cache
def _own_suffixes() -> tuple[str, ...]:
    return tuple(name for line in _lines(OWN_LIST) for name in line.split())


def _lines(path: Path) -> Iterator[str]:
    """Yield a list's rules, none where there is no such file."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                rule = line.strip()
                if rule and not rule.startswith(("//", "#")):
                    yield rule
    except (OSError, UnicodeDecodeError):
        return
