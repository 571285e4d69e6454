"""`schedule`: tasks at times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean, clean_line, cut, table
from cli.style import DIM, YELLOW, paint

_json = click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")


@click.group()
def schedule() -> None:
    """Make and look after schedules: tasks once, at cron times, or every so often. docs/schedules.md tells all."""


@schedule.command()
@click.argument("text")
@click.option(
    "--every", metavar="WORDS", help="`day 08:00`, `weekday 8:30am`, `mon,thu 08:00`, `month 1 08:00`, `15 min`."
)
@click.option("--cron", metavar="EXPRESSION", help="Five fields, e.g. `0 8 * * 1-5`.")
@click.option("--at", metavar="TIME", help="Once: `2026-12-01 09:00`, `18:00`, `tomorrow 9:00`, `friday 17:00`.")
@click.option("--in", "in_", metavar="SPAN", help="Once: `20 min`, `1h30m`.")
@click.option("--group", metavar="GROUP", help="The agent; otherwise the terminal's.")
@click.option("--chat", metavar="CHAT", help="Where the answers go (`nightyard group show GROUP` lists chats).")
@click.option(
    "--zone", metavar="ZONE", help="Whose clocks count, e.g. Europe/Berlin; otherwise `time_zone` of the settings."
)
@click.option("--name", metavar="NAME", help="What lists call it.")
@click.option("--jitter", metavar="SPAN", help="Start up to so much later, differently each time.")
@click.option("--missed", type=click.Choice(["once", "skip", "all"]), help="Times that went by: one run, none, each.")
@click.option("--overlap", type=click.Choice(["skip", "queue"]), help="A time that comes while a run works.")
@click.option("--session", type=click.Choice(["chat", "own", "none"]), help="Whose conversation the runs join.")
@click.option("--retries", metavar="N", help="Try a failed run again, 0 to 4 times.")
@click.option("--limit", "limits", metavar="KEY=N", multiple=True, help="As in group.yaml, e.g. cost_usd=0.50.")
@click.option(
    "--pre-check", "pre_check", metavar="FILE", type=click.Path(path_type=Path), help="A shell script that decides."
)
@_json
def add(
    text: str,
    every: str | None,
    cron: str | None,
    at: str | None,
    in_: str | None,
    limits: tuple[str, ...],
    pre_check: Path | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Have an agent do TEXT at times. Give one of --every, --cron, --at, --in."""
    group, chat = options.pop("group"), options.pop("chat")
    answer = ask(
        "schedule_add",
        {
            "when": _when(every, cron, at, in_),
            "text": text,
            "group": group,
            "chat": chat,
            "pre_check": _read(pre_check) if pre_check is not None else "",
            "options": {name: value for name, value in options.items() if value is not None},
            "limits": dict(_limit(limit) for limit in limits),
        },
    )
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    click.echo(f"Schedule {answer['schedule']}: {clean_line(answer['when'])}, first {answer['next_due_local']}.")
    if answer["chat"] is None:
        click.echo(paint("Its answers go nowhere: --chat names a chat.", DIM))


@schedule.command("list")
@click.option("--group", metavar="GROUP", help="Of one agent only.")
@click.option("--chat", metavar="CHAT", help="Of one chat only.")
@_json
def list_schedules(group: str | None, chat: str | None, as_json: bool) -> None:
    """List the schedules."""
    answer = ask("schedule_list", {"group": group, "chat": chat})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif answer["schedules"]:
        click.echo(table([_row(one) for one in answer["schedules"]]))
    else:
        click.echo('There are no schedules. One is made by: nightyard schedule add "TEXT" --every "day 08:00"')


@schedule.command()
@click.argument("number", type=int)
@_json
def show(number: int, as_json: bool) -> None:
    """Show one schedule with its text."""
    answer = ask("schedule_show", {"schedule": number})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    rows = [["schedule", str(number)], ["state", _state(answer)], ["agent", answer["group"]]]
    rows += [["when", answer["when"]], ["answers go to", answer["chat"] or "nobody"]]
    rows += [["missed", answer["missed"]], ["overlap", answer["overlap"]], ["session", answer["session"]]]
    rows += [["jitter", f"{answer['jitter_s']} s"]] if answer["jitter_s"] else []
    rows += [["retries", str(answer["retries"])]] if answer["retries"] else []
    rows += [["limit", f"{key} {value:g}"] for key, value in answer["limits"].items()]
    rows += [["made by", f"{answer['made_by']}, {answer['made_at'][:16].replace('T', ' ')} UTC"]]
    rows += [["last run", run["line"]] for run in answer["runs"]]
    click.echo(table(rows))
    click.echo(f"\n{clean(answer['text'])}")
    if answer["pre_check"]:
        click.echo(f"\npre-check:\n{clean(answer['pre_check'])}")


@schedule.command()
@click.argument("number", type=int)
def pause(number: int) -> None:
    """Hold a schedule until it is resumed."""
    ask("schedule_pause", {"schedule": number})
    click.echo(f"Schedule {number} is paused: nightyard schedule resume {number}")


@schedule.command()
@click.argument("number", type=int)
def resume(number: int) -> None:
    """Let a paused schedule go on; what went by meanwhile is not made up for."""
    answer = ask("schedule_resume", {"schedule": number})
    click.echo(f"Schedule {number} goes on, next {answer['next_due_local']}.")


@schedule.command()
@click.argument("number", type=int)
def remove(number: int) -> None:
    """End a schedule for good; a run that works is stopped."""
    ask("schedule_remove", {"schedule": number})
    click.echo(f"Schedule {number} is removed.")


@schedule.command("run")
@click.argument("number", type=int)
def run_now(number: int) -> None:
    """Run a schedule now, whatever its times are."""
    ask("schedule_run", {"schedule": number})
    click.echo(f"Schedule {number} runs now: nightyard schedule history {number}")


@schedule.command()
@click.argument("number", type=int)
@click.option("-n", "--number", "limit", default=10, show_default=True, help="How many runs, newest first, at most 50.")
@_json
def history(number: int, limit: int, as_json: bool) -> None:
    """What became of a schedule's times."""
    answer = ask("schedule_history", {"schedule": number, "limit": limit})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    for run in answer["runs"]:
        line = clean_line(run["line"])
        click.echo(paint(line, YELLOW) if run["state"] == "failed" else line)
    if not answer["runs"]:
        click.echo(f"It has not run yet; {_state(answer)}.")


@schedule.command()
@click.argument("person")
@click.argument("name", required=False)
def zone(person: str, name: str | None) -> None:
    """Say by which clocks PERSON lives, e.g. Europe/Berlin; without NAME, show it."""
    answer = ask("schedule_zone", {"person": person, "zone": name or ""})
    click.echo(f"Times that {clean_line(answer['person'])} writes are those of {clean_line(answer['zone'])}.")


def _when(every: str | None, cron: str | None, at: str | None, in_: str | None) -> str:
    given = [word for word in (every, cron, at, in_) if word is not None]
    if len(given) != 1:
        message = f"{'none' if not given else 'more than one'} of --every, --cron, --at, --in was given"
        raise CliProblem(message, 'nightyard schedule add "Good morning" --every "day 08:00"', NOT_UNDERSTOOD)
    if every is not None:
        return f"every {every}"
    if cron is not None:
        return f'cron "{cron}"'
    if in_ is not None:
        return f"in {in_}"
    words = str(at)
    if words.split(" ")[0].lower() in ("today", "tomorrow"):
        return words
    return f"at {words}" if re.match(r"\d{1,2}(:|\s*[ap]m)", words, re.IGNORECASE) else f"on {words}"


def _limit(text: str) -> tuple[str, str]:
    key, equals, amount = text.partition("=")
    if not equals:
        raise CliProblem(f"a limit is KEY=N, not {clean_line(text)!r}", "--limit cost_usd=0.50", NOT_UNDERSTOOD)
    return key, amount


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliProblem(f"{path} cannot be read: {error}", f"ls -l {path}") from error


def _row(one: dict[str, Any]) -> list[str]:
    failing = f"failed {one['failures']}×" if one["failures"] else ""
    return [str(one["schedule"]), one["group"], _state(one), one["when"], cut(clean_line(one["name"]), 50), failing]


def _state(one: dict[str, Any]) -> str:
    return f"next {one['next_due_local']}" if one["state"] == "active" and one["next_due_local"] else str(one["state"])
