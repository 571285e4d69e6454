"""The policy's verbs, as the command line asks them: why, dry runs, and the grants that these propose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import ShapeError, from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What would become of a request, by everything that the proxy knows."""

    method: str
    target: str
    is_allowed: bool
    code: str = ""
    sentence: str = ""
    grant_with: str = ""
    rule: str = ""
    """`group:line` of its grants.yaml, `route:NAME`, or `dry-run`."""
    secret: str = ""
    secret_state: str = ""
    """Empty: there is one and it can be used, or none is needed; else what is wrong with it."""
    injected: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    used_today: tuple[str, ...] = ()
    is_frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """One group's dry run, on or ended."""

    group: str
    since: str
    """ISO 8601, UTC."""
    until: str
    is_on: bool
    let_out: int = 0
    """Requests that would have been denied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a group asked for and would have been denied, or was."""

    method: str
    url: str
    """Without the query."""
    code: str
    times: int


async def why(admin: ProxyAdmin, group: str, url: str, method: str, effects: str) -> Why:
    arguments = {"group": group, "url": url, "method": method, "effects": effects}
    return from_json(Why, await admin.ask("policy_why", arguments))


async def begin_dry_run(admin: ProxyAdmin, group: str, seconds: float) -> DryRun:
    """Let a group's denials be taken down only, for so long; 0 ends it at once."""
    return from_json(DryRun, await admin.ask("dry_run_begin", {"group": group, "seconds": seconds}))


async def dry_runs(admin: ProxyAdmin) -> tuple[DryRun, ...]:
    """Return every group's last dry run."""
    return tuple(from_json(DryRun, item) for item in _items(await admin.ask("dry_run_list", {}), "dry_runs"))


async def seen(admin: ProxyAdmin, group: str, *, denied: bool) -> tuple[Seen, ...]:
    """Return what the group's last dry run let out; or, `denied`, what it was refused in the last seven days."""
    answer = await admin.ask("policy_seen", {"group": group, "denied": denied})
    return tuple(from_json(Seen, item) for item in _items(answer, "seen"))


def _items(value: object, key: str) -> list[Any]:
    items = value.get(key) if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise ShapeError(key, "is missing from the proxy's answer")
    return items
