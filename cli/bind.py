"""`bind`, `unbind`, `bindings`: which agents answer in which chats, and how."""

from __future__ import annotations

import json
from typing import Any

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table


@click.command()
@click.argument("chat")
@click.argument("group")
@click.option("--when", type=click.Choice(["always", "mention", "pattern", "sticky"]), help="What it answers.")
@click.option("--pattern", metavar="PATTERN", help="Also answer what this is found in (docs/people.md).")
@click.option("--sticky-minutes", type=int, metavar="N", help="How long it follows a thread after a mention (30).")
@click.option("--whom", metavar="WHOM", help="known; roles:admin,member; or persons:telegram:1,telegram:2.")
@click.option("--rest", type=click.Choice(["drop", "context"]), help="What becomes of the rest.")
@click.option("--session", type=click.Choice(["chat", "thread", "shared"]), help="Which conversation.")
@click.option("--mode", type=click.Choice(["steer", "follow_up", "collect", "interrupt"]), help="While it works.")
@click.option("--default", "is_default", is_flag=True, help="It answers what names no agent of this chat.")
@click.option("--many/--direct", "is_many", default=None, help="For a chat that nothing has come from yet.")
def bind(chat: str, group: str, whom: str | None, is_default: bool, is_many: bool | None, **settings: Any) -> None:
    """Give a chat an agent, or change how it answers there; what is not given stays as it is.

    CHAT is a chat's id (telegram:-100123), or the code of a chat that asks (`nightyard access log`).
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if whom is not None:
        given |= _whom(whom)
    if is_default:
        given["default"] = True
    if is_many is not None:
        given["kind"] = "many" if is_many else "direct"
    answer = ask("bind", {"chat": chat, "group": group, **given})
    click.echo(table([_row(answer)]))


def _whom(text: str) -> dict[str, Any]:
    kind, _, names = text.partition(":")
    listed = [name for name in names.split(",") if name]
    if kind not in ("known", "roles", "persons") or (kind == "known") == bool(listed):
        message = f"{clean_line(text)!r} says nobody: known, roles:ROLE,… or persons:PERSON,…"
        raise CliProblem(message, "./nightyard bind --help", NOT_UNDERSTOOD)
    return {"whom": kind, "whom_names": listed}


@click.command()
@click.argument("chat")
@click.argument("group", required=False)
def unbind(chat: str, group: str | None) -> None:
    """Take an agent from a chat; without GROUP, every agent."""
    ask("unbind", {"chat": chat, "group": group})
    told = f"{clean_line(group)} does not answer" if group else "No agent answers"
    click.echo(f"{told} in {clean_line(chat)} any more.")


@click.command()
@click.argument("group", required=False)
@click.option("--chat", metavar="CHAT", help="Only those that hold in this chat or thread.")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def bindings(group: str | None, chat: str | None, as_json: bool) -> None:
    """List which agents answer in which chats; with GROUP, only that agent's."""
    answer = ask("bindings", {"group": group, "chat": chat})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif answer["bindings"]:
        click.echo(table([_row(one) for one in answer["bindings"]]))
    else:
        click.echo("No chat has an agent there.")


def _row(one: dict[str, Any]) -> list[str]:
    when = {"pattern": f"pattern {one['pattern']}", "sticky": f"sticky {one['sticky_minutes']} min"}
    whom = one["whom"] if one["whom"] == "known" else f"{one['whom']} {','.join(one['whom_names'])}"
    return [
        one["chat"],
        one["group"] + ("" if one["default"] else " (not the default)"),
        when.get(one["when"], one["when"]),
        f"whom: {whom}",
        f"rest: {one['rest']}",
        f"session: {one['session']}",
        f"mode: {one['mode']}",
    ]
