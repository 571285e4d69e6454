"""Requests that the credential proxy holds: people are asked in their chats, and their word goes back to the proxy.

The proxy knows a held request for a while and forgets it when it restarts; what was asked and decided is kept here, by
the digest of exactly what would be sent. So the same request gets the same answer when it comes again, of a later
attempt or after a restart of either process.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime

from credproxy.admin_client.approvals import WaitingApproval, approve, deny, list_approvals, show_approval, withdraw
from credproxy.admin_client.link import ProxyAdmin, ProxyError, ProxyRefused
from protocol.ids import PersonKey
from protocol.proxy_admin import ProxyEvent
from runtime.approvals.approvals import Approvals
from runtime.approvals.constraint_terms import Constraint
from runtime.approvals.effect_text import inline
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import CLI, Approval, NewApproval, Who
from runtime.approvals.rules import LEAST_DEADLINE_S
from runtime.refusal import OperationRefused

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""When the proxy is asked again that could not be asked."""
SLOW_REREAD_S = 120.0
"""What waits at the proxy is looked at again at least so often, in case an event was lost."""
MAX_LINES = 2_000
"""Of one request on its card's file; `nightyard approvals show` has no more either: the digest is over all of it."""


class EgressApprovals:
    """Has people decide on what the proxy holds."""

    def __init__(self, admin: ProxyAdmin, approvals: Approvals, book: PolicyBook) -> None:
        self._admin = admin
        self._approvals = approvals
        self._book = book
        self._awake = asyncio.Event()
        self._awake.set()
        self._one_at_a_time = asyncio.Lock()
        """Held while what waits is listed and answered: else one yes could reach two equal requests."""
        approvals.subscribe("egress", self.decided)

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once."""
        if event.kind == "approval_wanted":
            self._awake.set()

    async def run(self) -> None:
        """Ask people about what waits at the proxy until cancelled; at the start, about what waited before it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SLOW_REREAD_S):
                    await self._awake.wait()
            self._awake.clear()
            try:
                await self._ask_about_all()
            except ProxyError as error:
                log.warning("what the proxy holds is not known: %s", error, extra={"action": "holds_unknown"})
                self._awake.set()
                await asyncio.sleep(RETRY_S)

    async def decided(self, approval: Approval) -> None:
        """Carry a decision to the proxy, if the request still waits there; else it is told when it comes again. Raises
        ProxyError where the proxy is away: then it is told again."""
        async with self._one_at_a_time:
            for held in await list_approvals(self._admin):
                if held.digest == _digest(approval):
                    self._awake.set()  # two of the same may wait: one yes lets one out, the other is asked about
                    if not approval.is_approved or await self._approvals.use(approval.approval_id):
                        await self._carry(approval, held)
                    return

    async def _ask_about_all(self) -> None:
        async with self._one_at_a_time:
            for held in await list_approvals(self._admin):
                try:
                    await self._ask_about(held)
                except OperationRefused as refused:
                    extra = {"action": "hold_not_asked", "group_id": held.group_id, "task_id": held.task_id}
                    log.warning("nobody is asked about a held request: %s", refused, extra=extra)
                except ProxyRefused as refused:
                    log.info("a held request is gone: %s", refused, extra={"action": "hold_gone"})

    async def _ask_about(self, held: WaitingApproval) -> None:
        """Ask about a request, or say at once what was decided about the same: a yes is used by asking."""
        lines = await show_approval(self._admin, held.approval_id, is_full=True)
        approval = await self._approvals.ask(self._question(held, lines))
        if not approval.is_open:
            await self._carry(approval, held)

    def _question(self, held: WaitingApproval, lines: tuple[str, ...]) -> NewApproval:
        constraint = self._book.find(held.group_id, held.constraint) if held.constraint else None
        who: Who = tuple(PersonKey(key) for key in held.who) or (constraint.who if constraint else "owner")
        left_s = (datetime.fromisoformat(held.ends_at) - datetime.now(UTC)).total_seconds()
        key = f"with your key {inline(held.secret)}" if held.secret else "without a key"
        why = f"the constraint {held.constraint}" if held.constraint else f"the grant {held.rule}"
        return NewApproval(
            kind="egress",
            group_id=held.group_id,
            task_id=held.task_id,
            payload={
                "method": held.method,
                "host": held.host,
                "target": held.target,
                "key": held.secret,
                "rule": held.rule,
                "digest": held.digest,
            },
            summary=f"It would send {inline(held.target)}, {key}; {why} asks first.",
            who=who,
            quorum=_quorum(constraint, who),
            deadline_s=max(left_s, LEAST_DEADLINE_S),
            scope_offers=("host",),
            lines=lines if len(lines) <= MAX_LINES else (*lines[:MAX_LINES], f"({len(lines) - MAX_LINES} more lines)"),
            origin=held.approval_id,
        )

    async def _carry(self, approval: Approval, held: WaitingApproval) -> None:
        """Tell the proxy what was decided."""
        by = _proxy_name(approval, held)
        try:
            if approval.is_approved:
                await approve(self._admin, held.approval_id, by=by)
            elif approval.state == "denied":
                await deny(self._admin, held.approval_id, by=by, because=approval.because or approval.reason)
            else:
                await withdraw(self._admin, held.approval_id)
        except ProxyRefused as refused:
            # It ran out, or was decided on the machine, in this very moment.
            extra = {"action": "hold_gone", "approval_id": approval.approval_id}
            log.info("a decision came too late for the proxy: %s", refused, extra=extra)


def _quorum(constraint: Constraint | None, who: Who) -> int:
    """Return how many must agree: as the constraint says, of the persons that the grant names if it names any."""
    wanted = constraint.quorum if constraint is not None else 1
    return wanted if isinstance(who, str) else min(wanted, len(who))


def _digest(approval: Approval) -> str:
    payload = approval.payload
    return str(payload.get("digest", "")) if isinstance(payload, dict) else ""


def _proxy_name(approval: Approval, held: WaitingApproval) -> str | None:
    """Return who decided as the proxy writes it down: it checks a grant's own list once more. None: at the machine."""
    by = approval.decided_by
    if not by or by == CLI or by.startswith("terminal:"):
        return None
    if held.who and by not in held.who:
        return next((key for key in held.who if any(vote.voter == key for vote in approval.votes)), held.who[0])
    return by
