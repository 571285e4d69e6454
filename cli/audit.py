"""`nightyard audit`: what went out and what was refused: its rows, its sums by day, and whether they are whole."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, date, datetime, timedelta
from typing import cast

import click

from cli.audit_text import build_row, build_totals
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import table
from cli.style import DIM, RED, YELLOW, paint
from cli.vault_link import ask_proxy
from credproxy.admin_client.audit import (
    TOTALS_KEYS,
    AuditFilter,
    AuditRow,
    TotalsKey,
    read_log,
    read_totals,
)
from credproxy.admin_client.link import ProxyAdmin

LOOK_EVERY_S = 0.3
MOST_ROWS = 500
KINDS = (
    "end",
    "denied",
    "shadow",
    "approval",
    "secret",
    "policy",
    "freeze",
    "retention",
    "gap",
    "start",
    "stop",
    "unclean",
)
"""All but `begin`, which its `end` repeats."""
_COLOURS = {"bad": (RED,), "warn": (YELLOW,), "": ()}


@click.group()
def audit() -> None:
    """What went out and what was refused: rows, sums, and whether they are as they were written."""


@audit.command()
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(1, MOST_ROWS), help="How many rows.")
@click.option("-f", "--follow", is_flag=True, help="Go on showing what happens, until Ctrl-C.")
@click.option("--group", default="", help="Only this agent group's.")
@click.option("--task", default="", help="Only this task's.")
@click.option("--host", default="", help="Only to this host (host:port if it is not the usual one); .NAME: all below.")
@click.option("--secret", default="", help="Only with this key.")
@click.option("--denied", is_flag=True, help="Only what was refused.")
@click.option("--dry-run", "would_deny", is_flag=True, help="Only what a dry run let out that would be refused.")
@click.option("--begins", is_flag=True, help="Also the row from before each request went out.")
@click.option("--since", default="", metavar="TIME", help="UTC: 2026-11-21 or 2026-11-21T14:30.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def log(
    lines: int,
    follow: bool,
    group: str,
    task: str,
    host: str,
    secret: str,
    denied: bool,
    would_deny: bool,
    begins: bool,
    since: str,
    as_json: bool,
) -> None:
    """Show the audit's newest rows. Every request with its outcome, every refusal, every use of the vault."""
    chosen = AuditFilter(
        group=group,
        task=task,
        host=host.lower(),
        secret=secret,
        kinds=("denied",) if denied else ("begin",) if would_deny else () if begins else KINDS,
        note="would_deny" if would_deny else "",
        since=_read_time(since),
    )
    ask_proxy(lambda admin: _show(admin, chosen, lines, follow=follow, as_json=as_json))


async def _show(admin: ProxyAdmin, chosen: AuditFilter, lines: int, *, follow: bool, as_json: bool) -> None:
    page = await read_log(admin, chosen, limit=lines)
    _print(page.rows, as_json=as_json)
    if not page.rows and not follow and not as_json:
        click.echo("Nothing like that is in the audit.")
    while follow:
        await asyncio.sleep(LOOK_EVERY_S)
        page = await read_log(admin, chosen, after_seq=page.next_seq, limit=MOST_ROWS)
        _print(page.rows, as_json=as_json)


def _print(rows: tuple[AuditRow, ...], *, as_json: bool) -> None:
    for row in rows:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(row)))
            continue
        at, what, rest, mood = build_row(row)
        click.echo(f"{paint(at, DIM)}  {paint(f'{what:<9}', *_COLOURS[mood])}  {rest}")


def _read_time(since: str) -> str:
    if not since:
        return ""
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        mend = "--since 2026-11-21T14:30"
        raise CliProblem(f"{since!r} is no time", mend, NOT_UNDERSTOOD) from None
    return (at if at.tzinfo is None else at.astimezone(UTC)).replace(tzinfo=None).isoformat()


@audit.command()
@click.option("--by", type=click.Choice(TOTALS_KEYS), default="group", show_default=True, help="What to sum up by.")
@click.option("--days", default=1, show_default=True, type=click.IntRange(1, 4000), help="How many days up to today.")
@click.option("--day", "one_day", default="", metavar="DAY", help="One day instead, such as 2026-11-21 (UTC).")
@click.option("--group", default="", help="Only this agent group's.")
@click.option("--json", "as_json", is_flag=True, help="For programs: {traffic, models}.")
def totals(by: str, days: int, one_day: str, group: str, as_json: bool) -> None:
    """Show what days sum up to. Requests and bytes, model calls, tokens and money."""
    until = _read_day(one_day) if one_day else datetime.now(UTC).date()
    since = until if one_day else until - timedelta(days=days - 1)
    key = cast(TotalsKey, by)  # click has checked the choice
    found = ask_proxy(
        lambda admin: read_totals(admin, since=since.isoformat(), until=until.isoformat(), by=key, group=group)
    )
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2))
        return
    rows = build_totals(found, key)
    span = until.isoformat() if since == until else f"{since.isoformat()} to {until.isoformat()}"
    click.echo(f"{span} (UTC)" + ("" if len(rows) > 1 else ": nothing went out"))
    if len(rows) > 1:
        click.echo(table(rows))


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CliProblem(f"{text!r} is no day", "--day 2026-11-21", NOT_UNDERSTOOD) from None


@audit.command()
@click.option("--head", default="", metavar="ROW:HASH", help="A head as noted before: is it still in the chain?")
@click.option("--json", "as_json", is_flag=True, help="For programs: {entries, broken, first, head}.")
def verify(head: str, as_json: bool) -> None:
    """Check the audit's chain from its first row to its last. Needs no proxy."""
    from cli.verify import check_audit

    found = check_audit(head)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found["entries"] is None:
        click.echo("audit: nothing is written yet")
    elif not found["broken"]:
        first = f", from row {found['first']} on" if found["first"] > 1 else ""
        click.echo(f"audit: whole, {found['entries']} entries{first}")
        click.echo(f"head:  {found['head']}")
    if found["broken"]:
        raise CliProblem(
            f"{found['file']} was changed behind Nightyard's back, or the disk lost a part: {found['broken']}",
            "keep a copy as evidence, then restore the newest backup that verifies",
        )
