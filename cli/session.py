"""`session`: a chat's conversations: listed, taken up again, summed up, written out."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from cli.place import ask
from cli.problem import CliProblem
from cli.screen import clean_line, table

_agent = click.option("--group", metavar="GROUP", help="The agent, where the chat has several.")
_json = click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")


@click.group()
def session() -> None:
    """Conversations: list them, go on with an earlier one, sum one up, write one out."""


@session.command("list")
@click.argument("chat")
@_agent
@_json
def list_(chat: str, group: str | None, as_json: bool) -> None:
    """The conversations of CHAT (terminal:main, telegram:12345), newest first."""
    answer = ask("session_list", {"chat": chat, "group": group})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    rows = [
        [
            str(number),
            clean_line(each["session"]),
            f"{each['last_at'][:16].replace('T', ' ')}",
            str(each["messages"]),
            "current" if each["is_current"] else clean_line(f"{each['ended_by']}{', archived' * each['is_archived']}"),
            clean_line(each["first_words"]),
        ]
        for number, each in enumerate(answer["sessions"], 1)
    ]
    if not rows:
        click.echo("There is no conversation in that chat yet.")
        return
    click.echo(table([["", "SESSION", "LAST USED (UTC)", "MESSAGES", "STATE", "BEGINS"], *rows]))


@session.command()
@click.argument("chat")
@click.argument("reference")
@_agent
def resume(chat: str, reference: str, group: str | None) -> None:
    """Have CHAT go on with an earlier conversation: its id, or its number in `session list`."""
    answer = ask("session_resume", {"chat": chat, "session": reference, "group": group})
    click.echo(f"{clean_line(chat)} goes on with “{clean_line(answer['first_words'])}”.")


@session.command()
@click.argument("chat")
@_agent
def compact(chat: str, group: str | None) -> None:
    """Sum up the current conversation of CHAT; costs one model call. The chat is told when it is done."""
    answer = ask("session_compact", {"chat": chat, "group": group})
    click.echo(f"Summing up {answer['turns']} turns; that is one model call. Nothing is deleted.")


@session.command()
@click.argument("what")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write; otherwise standard output.")
@_agent
def export(what: str, output: Path | None, group: str | None) -> None:
    """Write a conversation as Markdown. WHAT: a session's id (session_…), or a chat for its current one."""
    named = {"session": what} if what.startswith("session_") else {"chat": what, "group": group}
    source = Path(ask("session_export", named)["file"])
    try:
        if output is None:
            with source.open(encoding="utf-8") as file:
                shutil.copyfileobj(file, sys.stdout)
            return
        shutil.copyfile(source, output)
    except OSError as error:
        raise CliProblem(f"the conversation could not be written: {error}", "choose another file with -o") from error
    click.echo(f"Written to {output}.")
