"""`task`: hand in work from a file, and see what became of what was handed in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table
from cli.task_wait import exit_code_of, wait_for
from protocol.codec import ShapeError, from_json
from protocol.task import Limits
from protocol.tasks import Submit

KEYS = tuple(Submit.__annotations__)
LIMITS = tuple(Limits.__annotations__)


@click.group()
def task() -> None:
    """Hand in work from a file, and see what became of it (docs/programs.md)."""


@task.command("run")
@click.argument("spec", type=click.Path())
@click.option("--key", metavar="KEY", help="Idempotency key: the same one again is the same task.")
@click.option("--no-wait", is_flag=True, help="Print what was submitted, and do not wait for its end.")
@click.option("--timeout", "timeout_s", type=float, metavar="SECONDS", help="Wait no longer; the task goes on.")
def run(spec: str, key: str | None, no_wait: bool, timeout_s: float | None) -> None:
    """Hand in the task that SPEC (JSON; - for standard input) describes, wait, and print its envelope as JSON.

    Exit codes: 0 it did what was asked, 1 it failed or was refused, 4 not ended in time.
    """
    given = _read_spec(spec)
    if key is not None:
        given["idempotency_key"] = key
    submitted = ask("task_submit", given)
    if no_wait:
        _print(submitted)
        return
    envelope = wait_for(submitted["submission"], timeout_s)
    _print(envelope)
    sys.exit(exit_code_of(envelope))


@task.command("list")
@click.option("--program", default="", metavar="NAME", help="Of this program alone.")
@click.option("--limit", default=20, show_default=True, metavar="N")
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def list_tasks(program: str, limit: int, as_json: bool) -> None:
    """What programs and this command have handed in, the newest first."""
    answer = ask("task_list", {"program": program, "limit": limit})
    if as_json:
        _print(answer)
        return
    if not answer["tasks"]:
        click.echo("Nothing has been handed in.")
        return
    rows = [
        [
            each["submission"],
            each["submitted_at"][:19],
            each["program"],
            each["group"],
            f"{each['state']} {each['code']}".strip(),
        ]
        for each in answer["tasks"]
    ]
    click.echo(table([["submission", "submitted (UTC)", "by", "agent", "state"], *rows]))


@task.command("show")
@click.argument("submission")
@click.option("--wait", is_flag=True, help="Wait for its end.")
def show(submission: str, wait: bool) -> None:
    """The envelope of a submission (sub_… or task_…), as JSON. Exit code as of `task run`."""
    envelope = wait_for(submission) if wait else ask("task_result", {"submission": submission})
    _print(envelope)
    sys.exit(exit_code_of(envelope))


@task.command("cancel")
@click.argument("submission")
@click.option("--reason", default="", help="Goes into its result.")
def cancel(submission: str, reason: str) -> None:
    """End a submission, waiting or running."""
    envelope = ask("task_cancel", {"submission": submission, "reason": reason})
    click.echo(f"{clean_line(submission)}: {envelope['state']}")


@task.command("events")
@click.argument("submission")
@click.option("--cursor", default=0, metavar="N", help="What happened after this one.")
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def events(submission: str, cursor: int, as_json: bool) -> None:
    """What happened to a submission, in order."""
    answer = ask("task_events", {"submission": submission, "cursor": cursor})
    if as_json:
        _print(answer)
        return
    for event in answer["events"]:
        click.echo(f"{event['cursor']:>8}  {event['at'][:23]}  {event['kind']}")


def _read_spec(spec: str) -> dict[str, Any]:
    """Return the spec's object; CliProblem for what is none, with its key."""
    try:
        text = sys.stdin.read() if spec == "-" else Path(spec).read_text("utf-8")
        value = json.loads(text, object_pairs_hook=_object)
    except OSError as error:
        raise CliProblem(f"{spec} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CliProblem(f"{spec} is not JSON: {error}", exit_code=NOT_UNDERSTOOD) from error
    if not isinstance(value, dict):
        raise CliProblem(f"{spec} is not a JSON object", exit_code=NOT_UNDERSTOOD)
    _check_keys(value, KEYS, f"{spec}: ", "a task")
    if isinstance(value.get("limits"), dict):
        _check_keys(value["limits"], LIMITS, f"{spec}: limits: ", "limits")
    try:
        from_json(Submit, value, spec)
    except ShapeError as error:
        raise CliProblem(str(error), exit_code=NOT_UNDERSTOOD) from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a spec; ValueError for a key that stands in it twice, since one would be ignored."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:40]!r} stands twice in one object")
        found[name] = value
    return found


def _check_keys(value: dict[str, Any], known: tuple[str, ...], where: str, what: str) -> None:
    unknown = sorted(set(value) - set(known))
    if unknown:
        message = f"{where}{unknown[0][:40]!r} is not a key of {what} (known: {', '.join(known)})"
        raise CliProblem(message, exit_code=NOT_UNDERSTOOD)


def _print(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
