"""The approvals' verbs, as the host and the command line ask them: what waits, what it is, yes or no."""

from __future__ import annotations

from dataclasses import dataclass

from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import from_json
from protocol.ids import GroupId, TaskId

PAGE_LINES = 200
MAX_PAGES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingApproval:
    """One request that waits for a person."""

    approval_id: str
    group_id: GroupId
    task_id: TaskId
    target: str
    """METHOD and address, without the query."""
    method: str
    host: str
    """As the request names it, with its port where that is not the scheme's own."""
    digest: str
    """SHA-256 over all that would be sent: the same request has the same."""
    rule: str
    secret: str
    """The name of the key that will be added; empty: none."""
    body_bytes: int
    body_sha256: str
    asked_at: str
    """ISO 8601, UTC, as `ends_at`."""
    ends_at: str
    has_client: bool
    """False: whoever asked has given up waiting; what is decided counts when it asks the same again."""
    who: tuple[str, ...] = ()
    """Person keys of those who may decide; empty: whoever may operate the host."""
    constraint: str = ""
    """The host's constraint that asks for it; empty: the grant does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingApprovals:
    waiting: tuple[WaitingApproval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPage:
    lines: tuple[str, ...]
    has_more: bool


async def list_approvals(admin: ProxyAdmin) -> tuple[WaitingApproval, ...]:
    """Return what waits, the oldest first."""
    return from_json(WaitingApprovals, await admin.ask("approvals", {})).waiting


async def show_approval(admin: ProxyAdmin, approval_id: str, *, is_full: bool = False) -> tuple[str, ...]:
    """Return the request in lines fit for a terminal and a chat; `is_full`: however many they are."""
    lines: list[str] = []
    for _page in range(MAX_PAGES):
        arguments = {"approval_id": approval_id, "full": is_full, "from_line": len(lines)}
        page = from_json(ApprovalPage, await admin.ask("approval_show", arguments))
        lines += page.lines
        if not page.has_more:
            break
    return tuple(lines)


async def approve(admin: ProxyAdmin, approval_id: str, *, by: str | None = None) -> None:
    """Let the request out, once, as it was shown. `by`: a person's key; None: the owner at this machine. Refused
    `approval_unknown` where it does not wait any more, `approval_not_theirs`."""
    await admin.ask("approve", {"approval_id": approval_id, "by": by})


async def withdraw(admin: ProxyAdmin, approval_id: str) -> None:
    """Forget a held request that nobody wants decided any more, as if it had not been asked. Idempotent."""
    await admin.ask("approval_withdraw", {"approval_id": approval_id})


async def deny(admin: ProxyAdmin, approval_id: str, *, by: str | None = None, because: str = "") -> None:
    """Refuse it, and the same again until its deadline; the agent is told why. Refused as `approve`."""
    await admin.ask("deny", {"approval_id": approval_id, "by": by, "because": because or None})
