"""Requests that the credential proxy holds, shown and decided while the host is down. With the host up it is asked.

Imported when it is needed: it brings asyncio along.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime

import click

from cli.problem import CliProblem
from cli.screen import clean, clean_line
from cli.status_text import span
from cli.style import BOLD, DIM, paint
from cli.vault_link import ask_proxy
from credproxy.admin_client.approvals import WaitingApproval, list_approvals, show_approval
from credproxy.admin_client.approvals import approve as say_yes
from credproxy.admin_client.approvals import deny as say_no
from credproxy.admin_client.link import ProxyAdmin

INDENT = "    "
NOTHING_HELD = "Nothing waits for approval at the proxy; the host is not running."
HOST_IS_DOWN = "The host is not running; what follows is held by the credential proxy."


def show_all(*, full: bool, as_json: bool) -> None:
    """Show what the proxy holds."""
    _show(ask_proxy(list_approvals), full=full, as_json=as_json)


def show_one(approval: str, *, full: bool, as_json: bool) -> None:
    """Show one that the proxy holds, by the proxy's own name for it."""
    waiting = tuple(one for one in ask_proxy(list_approvals) if one.approval_id == approval)
    if not waiting:
        raise CliProblem(f"the proxy holds nothing as {approval[:40]!r}, and the host is not running", "./nightyard up")
    _show(waiting, full=full, as_json=as_json)


def go_through(ask_about: Callable[[str], None]) -> None:
    """Show what the proxy holds, one after another, and ask about each."""
    waiting = ask_proxy(list_approvals)
    click.echo(HOST_IS_DOWN if waiting else NOTHING_HELD)
    for one in waiting:
        _show_held(one, full=False)
        ask_about(one.approval_id)


def decide(approval: str, *, is_yes: bool, because: str) -> str:
    """Tell the proxy; return what to say."""
    if is_yes:
        ask_proxy(lambda admin: say_yes(admin, approval))
        return f"{approval} goes out."
    ask_proxy(lambda admin: say_no(admin, approval, because=because))
    return f"{approval} is refused."


def _show(waiting: tuple[WaitingApproval, ...], *, full: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in waiting], indent=2))
        return
    click.echo(HOST_IS_DOWN if waiting else NOTHING_HELD)
    for one in waiting:
        _show_held(one, full=full)


def _show_held(one: WaitingApproval, *, full: bool) -> None:
    approval_id = one.approval_id

    async def show(admin: ProxyAdmin) -> tuple[str, ...]:
        return await show_approval(admin, approval_id, is_full=full)

    try:
        lines = ask_proxy(show)
    except CliProblem:
        lines = ("(decided or run out in the meantime)",)
    left_s = (datetime.fromisoformat(one.ends_at) - datetime.now(UTC)).total_seconds()
    gone = "" if one.has_client else "; the agent's program waits no longer, your word counts if it asks again"
    about = clean_line(f"{one.group_id}, {one.task_id}, {span(left_s)} left{gone}")
    click.echo(f"{paint(approval_id, BOLD)}  {about}")
    for line in lines:
        click.echo(INDENT + clean(line))
    click.echo(paint(f"{INDENT}./nightyard approve {approval_id}   or   ./nightyard deny {approval_id}", DIM))
