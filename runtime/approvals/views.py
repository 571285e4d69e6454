"""Approvals and constraints as JSON values for control.sock, and as Markdown for chats. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from protocol.codec import Json
from protocol.ids import GroupId
from protocol.plain_text import escape
from runtime.approvals.cards import reach_text
from runtime.approvals.constraint_terms import USAGE, Constraint, constraint_text
from runtime.approvals.effect_text import cut_lines, effect_lines
from runtime.approvals.records import DOOR_KINDS, Approval, Decision, Remembered
from runtime.approvals.rules import decided_text, who_text
from runtime.approvals.scopes import zone_of
from runtime.store.constraint_rows import AddedConstraint

MAX_LISTED = 20


def view_approval(approval: Approval) -> dict[str, Json]:
    """Return what a list shows of one."""
    return {
        "approval": approval.approval_id,
        "kind": approval.kind,
        "group": approval.group_id,
        "task": approval.task_id,
        "state": approval.state,
        "summary": approval.summary,
        "who": approval.who if isinstance(approval.who, str) else list(approval.who),
        "quorum": approval.quorum,
        "votes": [{"by": vote.by, "yes": vote.is_yes, "at": vote.voted_at} for vote in approval.votes],
        "scopes": list(approval.scope_offers),
        "digest": approval.digest,
        "asked_at": approval.asked_at,
        "ends_at": approval.deadline_at,
        "ended_at": approval.ended_at,
        "decided_by": approval.decided_by,
        "because": approval.because or approval.reason,
    }


def view_whole(approval: Approval, *, is_full: bool) -> dict[str, Json]:
    """Return one with what it is about: as the card has it, or every line."""
    lines = effect_lines(approval.payload, approval.lines)
    shown = cut_lines(lines)
    return {
        **view_approval(approval),
        "lines": list(lines if is_full else shown.lines),
        "left_out": 0 if is_full else shown.left_out,
    }


def view_remembered(remembered: Remembered, summary: str) -> Json:
    """Return a decision that holds; `summary`: what was asked."""
    return {
        "decision": remembered.decision_id,
        "kind": remembered.kind,
        "group": remembered.group_id,
        "scope": remembered.scope,
        "yes": remembered.is_yes,
        "by": remembered.by,
        "approval": remembered.approval_id,
        "summary": summary,
        "decided_at": remembered.decided_at,
        "expires_at": remembered.expires_at,
    }


def view_decision(decision: Decision) -> Json:
    return {**view_approval(decision.approval), "is_final": decision.is_final, "missing": decision.missing}


def view_constraint(group_id: GroupId, constraint: Constraint, added: AddedConstraint | None) -> Json:
    return {
        "group": group_id,
        "constraint": constraint.constraint_id,
        "what": constraint.what,
        "pattern": constraint.pattern,
        "methods": list(constraint.methods),
        "then": constraint.then,
        "text": constraint_text(constraint),
        "added_by": None if added is None else added.added_by,
        "added_at": None if added is None else added.added_at,
    }


def decision_text(decision: Decision) -> str:
    """Say in a chat what somebody's word has done."""
    approval = decision.approval
    if not decision.is_final:
        return f"{approval.approval_id}: yes. {decision.missing} more must agree."
    if not approval.is_approved and approval.kind in DOOR_KINDS:
        return f"{approval.approval_id}: no. They are not answered, and nobody is asked about them again."
    if not approval.is_approved:
        return f"{approval.approval_id}: no. The same will not be asked again today."
    if decision.remembered is not None:
        return f"{approval.approval_id}: yes, and {reach_text(decision.remembered)}."
    return f"{approval.approval_id}: yes."


def list_text(waiting: Sequence[Approval], zone_name: str) -> str:
    """Say in a chat what waits for a decision."""
    if not waiting:
        return "Nothing waits for a decision."
    zone = zone_of(zone_name)
    lines = [
        f"**{each.approval_id}** {each.group_id or 'house'}, until "
        f"{datetime.fromisoformat(each.deadline_at).astimezone(zone):%m-%d %H:%M %Z}: {escape(each.summary)}"
        for each in waiting[:MAX_LISTED]
    ]
    if len(waiting) > MAX_LISTED:
        lines.append(f"And {len(waiting) - MAX_LISTED} more: `nightyard approvals`.")
    return "\n".join([*lines, "", "/approvals CODE shows one, /approve CODE and /deny CODE decide."])


def whole_text(approval: Approval) -> str:
    """Show in a chat what one is about, and how it stands."""
    shown = cut_lines(effect_lines(approval.payload, approval.lines))
    how = f"Waits; {who_text(approval)} decide." if approval.is_open else f"{decided_text(approval)}."
    lines = [f"**{approval.approval_id}** {escape(approval.summary)}", how]
    if shown.lines:
        lines += ["```", *shown.lines, "```"]
    if shown.left_out:
        lines.append(f"`nightyard approvals show {approval.approval_id}` has it whole.")
    return "\n".join(lines)


def constraints_text(group_id: GroupId, constraints: Sequence[Constraint], added: Collection[str]) -> str:
    """Say in a chat which constraints hold."""
    if not constraints:
        return f"No constraints hold for {group_id}. To add one: `{USAGE}`"
    lines = [
        f"`{each.constraint_id}`{'' if each.constraint_id in added else ' (file)'} {constraint_text(each)}"
        for each in constraints
    ]
    return "\n".join([f"Constraints of {group_id}:", *lines, "", "/constraint remove CODE lifts one that was added."])
