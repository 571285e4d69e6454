"""How far a decision reaches and how long it holds: this command, this folder, this host, until tonight. Pure.

A reach is read from the payload that was decided, never from what an agent says about it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from protocol.codec import Json
from runtime.approvals.records import ScopeWord, Until
from runtime.approvals.rules import digest_of
from runtime.refusal import OperationRefused

FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
_SPANS: Mapping[Until, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
SCOPE_WORDS: tuple[ScopeWord, ...] = get_args(ScopeWord)
UNTIL_WORDS: tuple[Until, ...] = get_args(Until)


def keys_of(kind: str, group_id: str | None, payload: Json) -> dict[ScopeWord, str]:
    """Return what each reach of this payload covers, the narrowest first."""
    reaches: dict[ScopeWord, str] = {"exact": digest_of(kind, group_id, payload)}
    if not isinstance(payload, dict):
        return reaches
    arguments = payload.get("arguments")
    named: dict[str, Any] = arguments if isinstance(arguments, dict) else {}
    tool, host, method = payload.get("tool"), payload.get("host"), payload.get("method")
    if isinstance(command := named.get("command"), str) and command.strip():
        reaches["command"] = f"{tool} {command.strip()}"
    if isinstance(path := named.get("path"), str) and path and "paths" not in named:
        reaches["folder"] = f"{tool} {posixpath.dirname(posixpath.normpath(posixpath.join('/workspace', path)))}"
    if isinstance(host, str) and isinstance(method, str):
        reaches["host"] = f"{method} {host}"
    if isinstance(tool, str):
        reaches["tool"] = tool
    if kind == "send" and isinstance(chat := payload.get("chat"), str):
        reaches["chat"] = chat
    return reaches


def expires_at(until: Until, now: datetime, zone_name: str) -> datetime | None:
    """Return when a decision stops to hold; None: it is not remembered at all."""
    if until == "once":
        return None
    if until == "always":
        return FOR_EVER
    if until == "tonight":
        local = now.astimezone(zone_of(zone_name))
        return (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    return now + _SPANS[until]


def zone_of(name: str) -> tzinfo:
    """Return a time zone; UTC for a name that the settings check complains of."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # ValueError: a name that is no path, such as `../x`
        return UTC


def parse_scope(words: str) -> tuple[ScopeWord | None, Until | None]:
    """Return the reach and the time that somebody typed in any order; raise OperationRefused for another word."""
    reach: ScopeWord | None = None
    until: Until | None = None
    for word in words.lower().replace(",", " ").split():
        if word in ("this", "for", "until"):
            continue
        if reach is None and (found := next((each for each in SCOPE_WORDS if each == word), None)):
            reach = found
        elif until is None and (time := next((each for each in UNTIL_WORDS if each == word), None)):
            until = time
        else:
            known = ", ".join([*SCOPE_WORDS, *UNTIL_WORDS])
            raise OperationRefused("scope_unknown", f"{word[:40]!r} is no reach and no time (known: {known})")
    return reach, until
