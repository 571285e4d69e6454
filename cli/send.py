"""`send`: ask an agent one thing from a script, and print what it answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean
from cli.task_wait import NOT_YET, exit_code_of, wait_for


@click.command()
@click.argument("group")
@click.argument("text", required=False)
@click.option("--file", "files", multiple=True, type=click.Path(), help="A file that goes with it; may be repeated.")
@click.option("--no-wait", is_flag=True, help="Print the submission's id at once, and do not wait for the answer.")
@click.option("--json", "as_json", is_flag=True, help="The result's envelope, for programs (docs/programs.md).")
@click.option("--timeout", "timeout_s", type=float, metavar="SECONDS", help="Wait no longer; what was asked goes on.")
def send(
    group: str, text: str | None, files: tuple[str, ...], no_wait: bool, as_json: bool, timeout_s: float | None
) -> None:
    """Ask an agent one thing, wait, and print its answer: a conversation of its own, from this terminal or a script.

    Without TEXT it is read from standard input. Exit codes: 0 answered, 1 it failed, 4 not answered in time.
    """
    said = _text(text)
    if not said.strip():
        raise CliProblem("there is nothing to send", f'./nightyard send {group} "text"', NOT_UNDERSTOOD)
    paths = [str(Path(file).expanduser().absolute()) for file in files]
    submitted = ask("send", {"group": group, "text": said, "files": paths})
    if no_wait:
        click.echo(json.dumps(submitted, indent=2, ensure_ascii=False) if as_json else submitted["submission"])
        return
    envelope = wait_for(submitted["submission"], timeout_s)
    _show(envelope, as_json=as_json)
    sys.exit(exit_code_of(envelope))


_STATES = {
    "queued": "waits for its turn, or its agent is held back: ./nightyard status",
    "running": "is at work, and goes on",
    "suspended": "waits for a person, or for money: ./nightyard approvals",
}


def _text(text: str | None) -> str:
    if text is not None:
        return text
    if sys.stdin.isatty():
        return ""
    return sys.stdin.read()


def _show(envelope: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(envelope, indent=2, ensure_ascii=False))
        return
    if exit_code_of(envelope) == NOT_YET:
        name, state = envelope["submission"], _STATES.get(envelope["state"], envelope["state"])
        click.echo(
            f"nightyard: not answered in time: {name} {state}\n  mend: ./nightyard task show {name} --wait", err=True
        )
        return
    result = envelope.get("result") or {}
    if result.get("text"):
        click.echo(clean(result["text"]) if sys.stdout.isatty() else result["text"])
    elif result.get("reason"):
        click.echo(clean(result["reason"]), err=result.get("status") == "failed")
