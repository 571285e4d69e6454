"""Reads named statements out of the SQL files under sql/, a file a room. Pure.

A statement begins with `-- name: <name>`; comment lines under it say what it is for; it ends with a semicolon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NAME = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


def parse_queries(text: str) -> Mapping[str, str]:
    """Return the statements by name; raise ValueError for one without a name, a comment or an end, or named twice."""
    head, *parts = _NAME.split(text)
    if any(line.strip() and not line.startswith("--") for line in head.splitlines()):
        raise ValueError("a statement stands before the first name")
    queries: dict[str, str] = {}
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        if name in queries:
            raise ValueError(f"two statements are named {name}")
        queries[name] = _statement(name, part)
    return queries


def join_queries(texts: Iterable[str]) -> Mapping[str, str]:
    """Return the statements of several files; raise ValueError as `parse_queries`, also for a name in two of them."""
    joined: dict[str, str] = {}
    for text in texts:
        queries = parse_queries(text)
        if twice := joined.keys() & queries:
            raise ValueError(f"two statements are named {min(twice)}")
        joined |= queries
    return joined


def _statement(name: str, part: str) -> str:
    lines = [line for line in part.splitlines() if line.strip()]
    comments = [line for line in lines if line.startswith("--")]
    sql = "\n".join(line for line in lines if not line.startswith("--"))
    if not comments:
        raise ValueError(f"{name} has no comment")
    if sql.count(";") != 1 or not sql.endswith(";"):
        raise ValueError(f"{name} is not one statement that ends with a semicolon")
    return sql
