"""What rooms ask people before an agent gets more than it has: packages, MCP servers. Pure; `Approvals.ask` asks it.

The card shows what would be there afterwards, whole; a yes is for exactly that, and lets it in once. Names of variables
are shown, values never: they do not come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from runtime.approvals.effect_text import inline
from runtime.approvals.records import NewApproval
from runtime.refusal import OperationRefused

DEADLINE_S = 3 * 86_400.0
MAX_PACKAGES = 20
MAX_ARGUMENTS = 50
MAX_WORD_CHARS = 1_000
MAX_REASON_CHARS = 500
PackageManager = Literal["apt", "pip", "npm"]


def package_question(
    group_id: GroupId,
    manager: PackageManager,
    packages: Sequence[str],
    *,
    reason: str = "",
    task_id: TaskId | None = None,
    key: str = "",
) -> NewApproval:
    """Return the question whether a group's image gets these packages; raise OperationRefused for too many."""
    named = tuple(dict.fromkeys(package.strip() for package in packages))
    _check("packages", named, MAX_PACKAGES)
    what = f"{len(named)} packages" if len(named) > 1 else f"the package {inline(named[0])}"
    payload: Json = {"manager": manager, "packages": list(named), "reason": reason[:MAX_REASON_CHARS]}
    summary = f"{group_id} would get {what} by {manager}, in an image of its own."
    return NewApproval(
        kind="package",
        group_id=group_id,
        payload=payload,
        summary=summary,
        task_id=task_id,
        deadline_s=DEADLINE_S,
        key=key,
    )


def mcp_question(
    group_id: GroupId,
    name: str,
    *,
    command: str = "",
    arguments: Sequence[str] = (),
    environment: Sequence[str] = (),
    url: str = "",
    key: str = "",
) -> NewApproval:
    """Return the question whether a group's agents may use an MCP server: a command in their container, or a `url` that
    the proxy reaches. `environment`: the names of its variables."""
    if bool(command) == bool(url):
        raise ValueError("an MCP server is a command or an address")
    _check("arguments", (command or url, *arguments), MAX_ARGUMENTS + 1)
    _check("variables", ("PATH", *environment), MAX_ARGUMENTS + 1)
    payload: dict[str, Json] = {"server": name}
    payload |= {"url": url} if url else {"command": command}
    payload |= {"arguments": list(arguments)} if arguments else {}
    payload |= {"environment": sorted(environment)} if environment else {}
    summary = f"The agents of {group_id} would use the MCP server {inline(name)}, {inline(url or command)}."
    return NewApproval(kind="mcp", group_id=group_id, payload=payload, summary=summary, deadline_s=DEADLINE_S, key=key)


def _check(what: str, words: Sequence[str], most: int) -> None:
    """Refuse what no person could look at."""
    if not words or not all(words) or len(words) > most or any(len(word) > MAX_WORD_CHARS for word in words):
        message = f"there are 1 to {most} {what} to decide on, of at most {MAX_WORD_CHARS} characters each"
        raise OperationRefused("cannot_ask", message)
