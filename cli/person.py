"""`person`: who may speak to agents, as what, under which ids, and how much."""

from __future__ import annotations

import json
from typing import Any

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table

ROLES = ("owner", "admin", "member", "guest")
LIMITS = {
    "per_minute": "messages a minute",
    "per_hour": "messages an hour",
    "per_day": "messages in 24 hours",
    "model_calls_per_day": "model calls today (UTC)",
    "cost_usd_per_day": "US dollars today (UTC)",
}


@click.group()
def person() -> None:
    """See who may speak to agents, let people in, give roles and limits, link ids.

    PERSON is an id as lists give it: telegram:12345.
    """


@person.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def list_people(as_json: bool) -> None:
    """List everybody who is known, and who asks to be let in."""
    answer = ask("person_list")
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    people, requests = answer["people"], [one for one in answer["requests"] if one["state"] == "pending"]
    if people:
        click.echo(table([_row(one) for one in people]))
    else:
        click.echo("Nobody is known yet: ./nightyard pair makes a code for you.")
    for one in requests:
        name, code = clean_line(one["name"]), clean_line(one["code"])
        click.echo(f"{name or 'Somebody'} ({clean_line(one['person'])}) asks to be let in:")
        click.echo(f"  ./nightyard person approve {code}")


def _row(one: dict[str, Any]) -> list[str]:
    roles = [one["role"], *(f"{role} of {group}" for group, role in one["roles"].items())]
    return [one["person"], one["name"], ", ".join(roles), ", ".join(one["identities"])]


@person.command()
@click.argument("person")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def show(person: str, as_json: bool) -> None:
    """Show one person: roles, ids, limits and what they have used."""
    answer = ask("person_show", {"person": person})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    rows = [["person", answer["person"]], ["name", answer["name"] or "–"], ["everywhere", answer["role"]]]
    rows += [[f"with {group}", role] for group, role in answer["roles"].items()]
    rows += [["also", identity] for identity in answer["identities"]]
    limits = answer["limits"] or {}
    for name, what in LIMITS.items():
        limit = limits.get(name)
        rows.append(["used", f"{answer['used'][name]} {what}{'' if limit is None else f', of {limit:g}'}"])
    rows.append(["since", f"{answer['added_at'][:10]}, by {answer['added_by']}"])
    click.echo(table(rows))


@person.command()
@click.argument("who")
@click.option("--role", type=click.Choice(ROLES), help="As what; otherwise the first one as owner, others as member.")
@click.option("--group", metavar="GROUP", help="The agent they talk to; otherwise the one of their channel.")
def approve(who: str, role: str | None, group: str | None) -> None:
    """Let somebody in, by the code that they were shown or by their id. What they wrote is answered then."""
    tell_approved(ask("person_approve", {"who": who, "role": role, "group": group}))


def tell_approved(answer: dict[str, Any]) -> None:
    """Say who was let in, as what."""
    where = f" of {clean_line(answer['group'])}" if answer["group"] else ""
    click.echo(f"{clean_line(answer['person'])} is in, as {answer['role']}{where}. They have been told.")


@person.command()
@click.argument("person")
@click.argument("role", type=click.Choice([*ROLES, "none"]))
@click.option("--group", metavar="GROUP", help="With this agent only; the role `none` ends that.")
def role(person: str, role: str, group: str | None) -> None:
    """Make somebody known an owner, admin, member or guest."""
    answer = ask("person_role", {"person": person, "role": None if role == "none" else role, "group": group})
    where = f" with {clean_line(group)}" if group else ""
    click.echo(f"{clean_line(answer['person'])} is {answer['role']}{where} now.")


@person.command()
@click.argument("person")
@click.argument("identity")
def link(person: str, identity: str) -> None:
    """Make IDENTITY another id of PERSON: one person from then on, with PERSON's rights and limits."""
    answer = ask("person_link", {"person": person, "identity": identity})
    click.echo(f"{clean_line(identity)} is {clean_line(answer['person'])} from now on.")


@person.command()
@click.argument("identity")
def unlink(identity: str) -> None:
    """Make a linked id nobody known again."""
    ask("person_unlink", {"person": identity})
    click.echo(f"{clean_line(identity)} is nobody known any more.")


@person.command()
@click.argument("person")
def remove(person: str) -> None:
    """Take every right from somebody, under all their ids. What they said stays."""
    answer = ask("person_remove", {"person": person})
    click.echo(f"{clean_line(answer['person'])} may not speak to agents any more.")


@person.command()
@click.argument("person")
@click.option("--per-minute", type=click.IntRange(min=0), metavar="N", help="Messages to agents in a minute.")
@click.option("--per-hour", type=click.IntRange(min=0), metavar="N", help="Messages to agents in an hour.")
@click.option("--per-day", type=click.IntRange(min=0), metavar="N", help="Messages to agents in 24 hours.")
@click.option("--model-calls-per-day", type=click.IntRange(min=0), metavar="N", help="Model calls in a day (UTC).")
@click.option("--cost-usd-per-day", type=click.FloatRange(min=0), metavar="USD", help="Money in a day (UTC).")
@click.option("--usual", is_flag=True, help="No limits of their own any more: those of the agents hold.")
def limit(person: str, usual: bool, **limits: float | None) -> None:
    """Give somebody limits of their own; those that are not given stay as they are."""
    given = {name: value for name, value in limits.items() if value is not None}
    if bool(given) == usual:
        raise CliProblem("limit wants a limit, or --usual", "./nightyard person limit --help", NOT_UNDERSTOOD)
    answer = ask("person_limit", {"person": person, "clear": usual, **given})
    told = ", ".join(f"{name} {value:g}" for name, value in (answer["limits"] or {}).items() if value is not None)
    click.echo(f"{clean_line(answer['person'])}: {told or 'the usual limits'}")
