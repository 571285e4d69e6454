"""Who may decide, when a decision is one, when somebody is reminded. Pure.

The rules of `Approvals`, and the ones that its state machine is tested by: nobody decides twice, nobody decides who may
not, nothing is decided after its deadline, and what is decided is what was shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocol.codec import Json, to_json
from runtime.approvals.records import CLI, Approval, Who
from runtime.people.codes import CODE_ALPHABET, CODE_CHARS, normalize_code
from runtime.people.roles import reaches
from runtime.store.records import Role

MAX_WAITING_IN_GROUP = 20
"""What a person can still look at. A flood of cards must not wear them out."""
MAX_PAYLOAD_CHARS = 2_000_000
LEAST_DEADLINE_S, MOST_DEADLINE_S = 10.0, 30 * 86_400.0
MAX_QUORUM = 10
MAX_BECAUSE_CHARS = 300
MAX_REMINDERS = 2
REMINDER_PARTS = (0.5, 0.85)
"""Of the time between the question and its deadline."""
LEAST_REMINDED = timedelta(minutes=10)
"""A question with less time than this needs no reminder."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This word does not count; `code` for programs, `message` for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A yes that is not enough yet."""

    missing: int


@dataclass(frozen=True, slots=True)
class Ended:
    is_approved: bool


def digest_of(kind: str, group_id: str | None, payload: Json) -> str:
    """Return SHA-256 in hex over exactly what is decided."""
    text = json.dumps([kind, group_id or "", to_json(payload)], ensure_ascii=True, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def make_approval_id(random_bytes: bytes) -> str:
    """Return a code from at least 5 random bytes: `7K3M9QXA`. A short-lived name, not a secret: rights are checked."""
    bits = int.from_bytes(random_bytes[:5], "big")
    return "".join(CODE_ALPHABET[bits >> shift & 31] for shift in range(0, 5 * CODE_CHARS, 5))


def normal_id(text: str) -> str:
    """Return the code that somebody typed, whatever its case; look-alikes do not matter."""
    return normalize_code(text) or text


def may_decide(who: Who, by: str, role: Role | None, identities: Collection[str] = ()) -> bool:
    """Return whether this person's word counts. `identities`: all keys that are the same person."""
    if by == CLI:
        return True
    if isinstance(who, tuple):
        return role is not None and not {by, *identities}.isdisjoint(who)
    return role is not None and reaches(role, who)


def judge_vote(
    approval: Approval, by: str, voter: str, role: Role | None, identities: Collection[str], *, is_yes: bool, now: str
) -> Refused | Counted | Ended:
    """Return what somebody's word does. `now` and the deadline are the store's texts, which sort as times."""
    if not may_decide(approval.who, by, role, identities):
        return Refused("approval_not_theirs", f"{approval.approval_id} is not yours to decide: {who_text(approval)}")
    if not approval.is_open:
        return Refused("approval_decided", decided_text(approval))
    if approval.deadline_at <= now:
        return Refused("approval_expired", f"{approval.approval_id} ran out at {approval.deadline_at[:16]} UTC")
    if not is_yes:
        return Ended(is_approved=False)
    if any(vote.voter == voter for vote in approval.votes):
        missing = approval.quorum - len(approval.votes)
        return Refused("approval_voted", f"you have said yes to {approval.approval_id}; {missing} more must agree")
    missing = approval.quorum - len(approval.votes) - 1
    return Counted(missing) if missing > 0 else Ended(is_approved=True)


def who_text(approval: Approval) -> str:
    """Say who may decide."""
    if isinstance(approval.who, tuple):
        return f"only {', '.join(approval.who)} may"
    return {"owner": "owners may", "admin": "admins and owners may", "member": "members of this house may"}[
        approval.who
    ]


def decided_text(approval: Approval) -> str:
    """Say who decided what, and when."""
    name, at = approval.approval_id, (approval.ended_at or "")[:16].replace("T", " ")
    if approval.state == "expired":
        return f"{name} ran out at {at} UTC, and nobody had decided"
    if approval.state == "withdrawn":
        return f"{name} was withdrawn at {at} UTC: {approval.reason or 'nobody waits for it any more'}"
    by = approval.decided_by or approval.reason or "an earlier decision"
    return f"{name} was {approval.state} by {by} at {at} UTC"


def next_reminder(asked_at: datetime, deadline_at: datetime, reminders: int) -> datetime | None:
    """Return when those asked are reminded next, None for never."""
    if reminders >= MAX_REMINDERS or deadline_at - asked_at < LEAST_REMINDED:
        return None
    return asked_at + (deadline_at - asked_at) * REMINDER_PARTS[reminders]
