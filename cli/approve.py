"""`approvals`, `approve`, `deny`: what waits for a person's word, and the word.

The host is asked; while it is down the credential proxy is, for the requests that it holds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from cli.place import ask
from cli.problem import NOT_RUNNING, CliProblem
from cli.screen import clean, clean_line
from cli.status_text import span
from cli.style import BOLD, DIM, paint

T = TypeVar("T")

INDENT = "    "
SCOPES = ("exact", "command", "folder", "host", "tool", "chat")
FOR_GOOD = "9999-"
"""How the time begins at which a decision for good ends (`runtime/approvals/scopes.py`)."""
TIMES = ("once", "hour", "day", "tonight", "week", "always")


@click.command()
@click.argument("words", nargs=-1, metavar="[list|show] [APPROVAL]")
@click.option("--full", is_flag=True, help="All of each, however long.")
@click.option("--ended", is_flag=True, help="Also what was decided last, and what is remembered.")
@click.option("--forget", type=int, metavar="NUMBER", help="Let a remembered decision hold no more.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def approvals(words: tuple[str, ...], full: bool, ended: bool, forget: int | None, as_json: bool) -> None:
    """What waits for your yes or no, with all that would happen.

    APPROVAL is a code as this list gives it: then only that one is shown, as it waits or as it was decided.
    """
    named = words[1:] if words[:1] in (("list",), ("show",)) else words
    if len(named) > 1 or (words[:1] == ("show",) and not named):
        raise CliProblem("name one approval", "./nightyard approvals")
    if forget is not None:
        _forget(forget)
    elif named:
        _show_one(named[0], full=full or words[:1] == ("show",), as_json=as_json)
    else:
        _list(full=full, ended=ended, as_json=as_json)


@click.command()
@click.argument("approval", required=False)
@click.option("--scope", type=click.Choice(SCOPES), default="exact", help="How far your yes reaches.")
@click.option("--until", type=click.Choice(TIMES), help="How long it is remembered; not at all, if you say nothing.")
@click.option("--text", metavar="TEXT", help="For an output that waits for review: say this instead.")
@click.argument("choice", nargs=-1)
def approve(approval: str | None, scope: str, until: str | None, text: str | None, choice: tuple[str, ...]) -> None:
    """Let something go that waits, once, exactly as `nightyard approvals` shows it.

    Without APPROVAL: shows what waits, one after another, and asks. CHOICE: for a chat, which agent (`main`, `new
    NAME`); for a person, in as what, to which agent (`member main`).
    """
    if approval is not None:
        _decide(approval, is_yes=True, scope=scope, until=until, text=text, choice=" ".join(choice))
        return
    if not sys.stdin.isatty():
        raise CliProblem("say what to let go", "./nightyard approvals")

    def by_proxy() -> None:
        from cli.held_requests import go_through

        go_through(_ask_about)

    _or_proxy(_go_through, by_proxy)


def _go_through() -> None:
    waiting = ask("approval_list")["waiting"]
    if not waiting:
        click.echo("Nothing waits for approval.")
    for one in waiting:
        _show(ask("approval_show", {"approval": one["approval"]}))
        _ask_about(str(one["approval"]))


def _ask_about(approval: str) -> None:
    answer = click.prompt("Let it go?", type=click.Choice(("yes", "no", "later")), default="later")
    if answer != "later":
        try:
            _decide(approval, is_yes=answer == "yes")
        except CliProblem as problem:
            click.echo(problem.message, err=True)


@click.command()
@click.argument("approval")
@click.option("--because", default="", metavar="TEXT", help="Why not; the agent is told.")
@click.option("--scope", type=click.Choice(SCOPES), default="exact", help="How far your no reaches.")
@click.option("--until", type=click.Choice(TIMES), help="How long it holds; a day, if you say nothing.")
def deny(approval: str, because: str, scope: str, until: str | None) -> None:
    """Refuse something that waits, and the same again for a day."""
    _decide(approval, is_yes=False, scope=scope, until=until, because=because)


def _decide(
    approval: str, *, is_yes: bool, scope: str = "exact", until: str | None = None, text: str | None = None,
    because: str = "", choice: str = "",
) -> None:  # fmt: skip
    def by_host() -> str:
        arguments: dict[str, str | None] = {"approval": approval, "scope": scope, "until": until, "text": text}
        arguments |= {"because": because, "choice": choice}
        answer = ask("approval_approve" if is_yes else "approval_deny", arguments)
        name = clean_line(str(answer["approval"]))
        if not answer["is_final"]:
            return f"{name}: yes. {answer['missing']} more must agree."
        return f"{name}: {'yes' if is_yes else 'no'}."

    def by_proxy() -> str:
        from cli.held_requests import decide

        return decide(approval, is_yes=is_yes, because=because)

    click.echo(_or_proxy(by_host, by_proxy))


def _list(*, full: bool, ended: bool, as_json: bool) -> None:
    def by_proxy() -> None:
        from cli.held_requests import show_all

        show_all(full=full, as_json=as_json)

    answer = _or_proxy(lambda: ask("approval_list", {"ended": ended}), lambda: by_proxy())
    if answer is None:
        return
    if as_json:
        click.echo(json.dumps(answer if ended else answer["waiting"], indent=2))
        return
    if not answer["waiting"]:
        click.echo("Nothing waits for approval.")
    for one in answer["waiting"]:
        _show(ask("approval_show", {"approval": one["approval"], "full": full}))
    for one in answer["ended"]:
        click.echo(_ended_line(one))
    for one in answer["remembered"] if ended else ():
        click.echo(_remembered_line(one))


def _show_one(approval: str, *, full: bool, as_json: bool) -> None:
    def by_proxy() -> None:
        from cli.held_requests import show_one

        show_one(approval, full=full, as_json=as_json)

    answer = _or_proxy(lambda: ask("approval_show", {"approval": approval, "full": full}), lambda: by_proxy())
    if answer is None:
        return
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        _show(answer)


def _show(one: dict[str, Any]) -> None:
    """Any: the host's JSON."""
    name = clean_line(str(one["approval"]))
    about = f"{one['group'] or 'house'}, {one['task'] or 'no task'}, {one['kind']}"
    if one["state"] == "waiting":
        left_s = (datetime.fromisoformat(one["ends_at"]) - datetime.now(UTC)).total_seconds()
        about += f", {span(left_s)} left"
        votes = sum(bool(vote["yes"]) for vote in one["votes"])
        about += f", {votes} of {one['quorum']} agree" if one["quorum"] > 1 else ""
    click.echo(f"{paint(name, BOLD)}  {clean_line(about)}")
    click.echo(INDENT + _plain(one["summary"]))
    for line in one["lines"]:
        click.echo(INDENT + clean(str(line)))
    if one["left_out"]:
        click.echo(paint(f"{INDENT}({one['left_out']} more lines; ./nightyard approvals show {name})", DIM))
    if one["state"] == "waiting":
        click.echo(paint(f"{INDENT}./nightyard approve {name}   or   ./nightyard deny {name}", DIM))
    else:
        click.echo(INDENT + _ended_line(one))


def _ended_line(one: dict[str, Any]) -> str:
    by = f" by {one['decided_by']}" if one["decided_by"] else ""
    because = f": {one['because']}" if one["because"] else ""
    return clean_line(f"{one['approval']}  {one['state']}{by} at {_when(one['ended_at'])}{because}")


def _remembered_line(one: dict[str, Any]) -> str:
    word = "yes" if one["yes"] else "no"
    until = "for good" if one["expires_at"].startswith(FOR_GOOD) else f"until {_when(one['expires_at'])}"
    about = f"{one['group'] or 'house'}, {one['kind']}, {one['scope']}: {word} by {one['by']}, {until}"
    return "\n".join(
        (
            clean_line(f"{one['decision']}  {about} ({one['approval']})"),
            INDENT + _plain(one["summary"]),
            paint(f"{INDENT}./nightyard approvals --forget {one['decision']}   takes it back", DIM),
        )
    )


def _when(instant: str) -> str:
    return f"{instant[:16].replace('T', ' ')} UTC"


def _plain(summary: str) -> str:
    """Return what a card says in Markdown as a terminal shows it."""
    return clean_line(summary.replace("`", ""))


def _forget(decision: int) -> None:
    if not ask("approval_forget", {"decision": decision})["forgotten"]:
        raise CliProblem(f"no decision {decision} is remembered", "./nightyard approvals --ended")
    click.echo(f"{decision} does not hold any more.")


def _or_proxy(by_host: Callable[[], T], by_proxy: Callable[[], T]) -> T:
    """Ask the host; where it is not running, the proxy."""
    try:
        return by_host()
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING:
            raise
        return by_proxy()
