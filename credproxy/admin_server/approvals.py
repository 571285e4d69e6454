"""Verbs about approvals: what waits for a person, shown in full, and the person's word."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Mapping
from typing import Any

from credproxy.admin_client.approvals import PAGE_LINES, ApprovalPage, WaitingApproval, WaitingApprovals
from credproxy.admin_server.verb import AdminRefused, Verb, read_maybe_text, read_text
from credproxy.approvals.approvals import OWNER, ApprovalUnknown, Hold, NotTheirs
from credproxy.pipeline.proxy import CredentialProxy
from protocol.codec import ShapeError, to_json

MAX_BECAUSE_CHARS = 300


class ApprovalsVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {
            "approvals": self._approvals,
            "approval_show": self._show,
            "approve": self._approve,
            "deny": self._deny,
            "approval_withdraw": self._withdraw,
        }

    async def _approvals(self, _arguments: Mapping[str, Any]) -> object:
        return to_json(WaitingApprovals(waiting=tuple(map(_view, self._proxy.approvals.waiting(time.time())))))

    async def _show(self, arguments: Mapping[str, Any]) -> object:
        from_line = arguments.get("from_line", 0)
        if type(from_line) is not int or from_line < 0:
            raise ShapeError("from_line", "expected a line's number")
        try:
            hold = self._proxy.approvals.find(read_text(arguments, "approval_id"), time.time())
        except ApprovalUnknown as unknown:
            raise _unknown(unknown) from None
        lines = await asyncio.to_thread(_summary, hold, is_full=arguments.get("full") is True)
        end = from_line + PAGE_LINES
        return to_json(ApprovalPage(lines=lines[from_line:end], has_more=len(lines) > end))

    async def _approve(self, arguments: Mapping[str, Any]) -> object:
        approval_id, by = read_text(arguments, "approval_id"), read_maybe_text(arguments, "by") or OWNER
        try:
            await self._proxy.approvals.approve(approval_id, by, time.time())
        except ApprovalUnknown as unknown:
            raise _unknown(unknown) from None
        except NotTheirs as refusal:
            raise AdminRefused("approval_not_theirs", str(refusal)) from None
        return {}

    async def _withdraw(self, arguments: Mapping[str, Any]) -> object:
        self._proxy.approvals.withdraw(read_text(arguments, "approval_id"))
        return {}

    async def _deny(self, arguments: Mapping[str, Any]) -> object:
        approval_id, by = read_text(arguments, "approval_id"), read_maybe_text(arguments, "by") or OWNER
        because = (read_maybe_text(arguments, "because") or "")[:MAX_BECAUSE_CHARS]
        try:
            await self._proxy.approvals.deny(approval_id, by, time.time(), because=because)
        except ApprovalUnknown as unknown:
            raise _unknown(unknown) from None
        except NotTheirs as refusal:
            raise AdminRefused("approval_not_theirs", str(refusal)) from None
        return {}


def _summary(hold: Hold, *, is_full: bool) -> tuple[str, ...]:
    """Imported only now: many a proxy never holds a request."""
    from credproxy.approvals.summary import summarise

    return summarise(hold.request, is_full=is_full)


def _unknown(unknown: ApprovalUnknown) -> AdminRefused:
    return AdminRefused("approval_unknown", str(unknown), "nightyard approvals")


def _view(hold: Hold) -> WaitingApproval:
    request = hold.request
    return WaitingApproval(
        approval_id=hold.approval_id,
        group_id=request.group_id,
        task_id=request.task_id,
        target=request.shown_target,
        method=request.method,
        host=request.target.authority,
        digest=hold.digest,
        constraint=hold.constraint,
        rule=request.rule,
        secret=request.secret,
        body_bytes=len(request.body),
        body_sha256=hold.body_sha256,
        asked_at=_iso(hold.asked_at),
        ends_at=_iso(hold.ends_at),
        has_client=hold.has_client,
        who=hold.who,
    )


def _iso(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds")
