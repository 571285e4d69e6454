"""`approvals`, `approve`, `deny`: requests that wait for a person's word, and the word."""

from __future__ import annotations

import dataclasses
import json
import sys
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


@click.command()
@click.argument("approval", required=False)
@click.option("--full", is_flag=True, help="All of each request, however long.")
@click.option("--json", "as_json", is_flag=True, help="For programs: what waits, without what it says.")
def approvals(approval: str | None, full: bool, as_json: bool) -> None:
    """Requests of agents that wait for your yes or no, with all that they would send.

    APPROVAL is an id as this list gives it: then only that one is shown.
    """
    waiting = [one for one in ask_proxy(list_approvals) if approval in (None, one.approval_id)]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in waiting], indent=2))
        return
    if approval is not None and not waiting:
        raise CliProblem(f"nothing waits for approval as {approval[:40]!r}", "./nightyard approvals")
    if not waiting:
        click.echo("Nothing waits for approval.")
    for one in waiting:
        _show(one, is_full=full)
        click.echo(
            paint(f"{INDENT}./nightyard approve {one.approval_id}   or   ./nightyard deny {one.approval_id}", DIM)
        )


@click.command()
@click.argument("approval", required=False)
def approve(approval: str | None) -> None:
    """Let a waiting request out, once, exactly as `nightyard approvals` shows it.

    Without APPROVAL: shows what waits, one after another, and asks.
    """
    if approval is not None:
        ask_proxy(lambda admin: say_yes(admin, approval))
        click.echo(f"{approval} goes out.")
        return
    if not sys.stdin.isatty():
        raise CliProblem("say which request to let out", "./nightyard approvals")
    waiting = ask_proxy(list_approvals)
    if not waiting:
        click.echo("Nothing waits for approval.")
    for one in waiting:
        _show(one, is_full=False)
        _ask_about(one.approval_id)


@click.command()
@click.argument("approval")
@click.option("--because", default="", metavar="TEXT", help="Why not; the agent is told.")
def deny(approval: str, because: str) -> None:
    """Refuse a waiting request, and the same again until its deadline."""
    ask_proxy(lambda admin: say_no(admin, approval, because=because))
    click.echo(f"{approval} is refused.")


def _show(one: WaitingApproval, *, is_full: bool) -> None:
    approval_id = one.approval_id

    async def show(admin: ProxyAdmin) -> tuple[str, ...]:
        return await show_approval(admin, approval_id, is_full=is_full)

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


def _ask_about(approval_id: str) -> None:
    answer = click.prompt("Let it out?", type=click.Choice(("yes", "no", "later")), default="later")
    try:
        if answer == "yes":
            ask_proxy(lambda admin: say_yes(admin, approval_id))
        elif answer == "no":
            ask_proxy(lambda admin: say_no(admin, approval_id))
    except CliProblem as problem:
        click.echo(problem.message, err=True)
