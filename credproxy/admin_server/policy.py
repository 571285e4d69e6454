"""Verbs about policy: why a request would be answered as it would be, dry runs, and what was or would be denied."""

from __future__ import annotations

import datetime
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from credproxy.admin_client.policy import DryRun, Seen, Why
from credproxy.admin_server.verb import AdminRefused, Verb, read_text
from credproxy.audit.entry import AuditEntry
from credproxy.audit.jobs import AuditFailed
from credproxy.pipeline.entry import read_entry
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.denials import GRANTABLE
from credproxy.policy.dry_runs import MAX_S
from credproxy.policy.verdict import Allow, Ask, Quota
from credproxy.wire.target import TargetRefused
from protocol.codec import ShapeError, to_json
from protocol.ids import GroupId, is_group_id
from protocol.task import Effects

MAX_SEEN = 500
SEEN_S = 7 * 86400.0

_LET_OUT = """
SELECT target, substr(note, 12), count(*) FROM entries
WHERE kind = 'begin' AND group_id = ? AND at >= ? AND note GLOB 'would_deny *'
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?
"""
_DENIED = """
SELECT target, detail, count(*) FROM entries
WHERE kind = 'denied' AND group_id = ? AND at >= ?
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?
"""


class PolicyVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {
            "policy_why": self._why,
            "policy_seen": self._seen,
            "dry_run_begin": self._dry_run_begin,
            "dry_run_list": self._dry_run_list,
        }

    async def _why(self, arguments: Mapping[str, Any]) -> object:
        from credproxy.policy.explain import explain  # asked for now and then, by a person

        group_id, method = _read_group(arguments), read_text(arguments, "method")
        await self._proxy.take_up_policy()
        ask = self._read_ask(method, read_text(arguments, "url"))
        now = time.time()
        told, verdict = explain(ask, group_id, self._proxy.policy, now, effects=_read_effects(arguments))
        quota = verdict.quota if isinstance(verdict, Allow) else None
        return to_json(
            Why(
                method=told.method,
                target=told.target,
                is_allowed=told.is_allowed,
                code=told.code,
                sentence=told.sentence,
                grant_with=told.grant_with,
                rule=told.rule,
                secret=told.secret,
                secret_state=self._secret_state(told.secret),
                injected=told.injected,
                conditions=told.conditions,
                used_today=() if quota is None else self._used_today(quota, now),
                is_frozen=self._proxy.is_frozen,
            )
        )

    def _read_ask(self, method: str, url: str) -> Ask:
        from credproxy.policy.explain import parse_url

        try:
            if url.startswith("/m/"):
                entry = read_entry(method, url, "proxy", None, self._proxy.policy)
                if isinstance(entry, Ask):
                    return entry
            return Ask(method=method, target=parse_url(url))
        except TargetRefused as refusal:
            message = f"no agent could ask for {url[:200]!r}: {refusal.reason}"
            raise AdminRefused("bad_request", message) from None

    def _secret_state(self, name: str) -> str:
        if not name:
            return ""
        row = self._proxy.vault.find(name)
        if row is None:
            return "it is not in the vault"
        return "it is a channel's token, which is never put into requests" if row.kind == "channel" else ""

    def _used_today(self, quota: Quota, now: float) -> tuple[str, ...]:
        requests, answer_bytes, url_chars = self._proxy.quotas.used_today(quota, now)
        lines = []
        if quota.daily is not None:
            lines.append(f"{requests} of {quota.daily} requests")
        if quota.daily_bytes is not None:
            lines.append(f"{answer_bytes >> 20} of {quota.daily_bytes >> 20} MB of answers")
        if quota.daily_url_chars is not None:
            lines.append(f"{url_chars} of {quota.daily_url_chars} characters of addresses")
        return tuple(lines)

    async def _dry_run_begin(self, arguments: Mapping[str, Any]) -> object:
        group_id, seconds, now = _read_group(arguments), _read_seconds(arguments), time.time()
        dry_runs = self._proxy.dry_runs
        before = dry_runs.span(group_id)
        is_on = before is not None and before[1] > now
        if seconds == 0 and not is_on:
            raise AdminRefused("no_dry_run", f"no dry run of the group {group_id} is on")
        until = now + seconds
        since = max(before[0], until - MAX_S) if before is not None and is_on else now
        dry_runs.set(group_id, since, until)
        name, value = dry_runs.mark(group_id)
        detail = f"dry run until {_iso(until)}" if seconds else "dry run ended"
        try:
            await self._proxy.audit.set_mark(name, value, AuditEntry(kind="policy", group_id=group_id, detail=detail))
        except AuditFailed:
            dry_runs.set(group_id, *(before or (now, now)))  # what is not on record is not on
            raise
        await self._proxy.take_up_policy()
        return to_json(await self._dry_run(group_id))

    async def _dry_run_list(self, _arguments: Mapping[str, Any]) -> object:
        return {"dry_runs": [to_json(await self._dry_run(group_id)) for group_id in self._proxy.dry_runs.spans()]}

    async def _dry_run(self, group_id: GroupId) -> DryRun:
        since, until = self._proxy.dry_runs.spans()[group_id]
        rows = await self._read(_LET_OUT, group_id, since)
        return DryRun(
            group=group_id,
            since=_iso(since),
            until=_iso(until),
            is_on=until > time.time(),
            let_out=sum(times for _target, _code, times in rows),
        )

    async def _seen(self, arguments: Mapping[str, Any]) -> object:
        group_id = _read_group(arguments)
        span = self._proxy.dry_runs.span(group_id)
        if arguments.get("denied") is True:
            rows = await self._read(_DENIED, group_id, time.time() - SEEN_S)
        elif span is None:
            raise AdminRefused(
                "no_dry_run",
                f"the group {group_id} has had no dry run",
                f"nightyard policy dry-run {group_id} --for 1h",
            )
        else:
            rows = await self._read(_LET_OUT, group_id, span[0])
        seen = [
            Seen(method=target.partition(" ")[0], url=target.partition(" ")[2], code=code, times=times)
            for target, note, times in rows
            if (code := note.partition(";")[0]) in GRANTABLE
        ]
        return {"seen": [to_json(each) for each in seen]}

    async def _read(self, query: str, group_id: GroupId, since: float) -> list[tuple[str, str, int]]:
        def read(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
            return connection.execute(query, (group_id, _iso(since), MAX_SEEN)).fetchall()

        return await self._proxy.audit.read(read)


def _read_group(arguments: Mapping[str, Any]) -> GroupId:
    group = read_text(arguments, "group")
    if not is_group_id(group):
        raise ShapeError("group", "expected a group's name")
    return GroupId(group)


def _read_seconds(arguments: Mapping[str, Any]) -> float:
    seconds = arguments.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_S:
        raise ShapeError("seconds", f"expected a number from 0 to {MAX_S:g}")
    return float(seconds)


def _read_effects(arguments: Mapping[str, Any]) -> Effects:
    try:
        return Effects(arguments.get("effects", "live"))
    except ValueError:
        raise ShapeError("effects", "expected live, shadow or twin") from None


def _iso(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")
