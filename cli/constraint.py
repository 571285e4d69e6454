"""`constraint`: what an agent must always ask about first, or may never do."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.screen import clean_line, table


@click.group(invoke_without_command=True)
@click.pass_context
def constraint(context: click.Context) -> None:
    """What an agent must always ask about first, or may never do."""
    if context.invoked_subcommand is None:
        context.invoke(list_constraints)


@constraint.command("list")
@click.argument("group", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_constraints(group: str | None = None, as_json: bool = False) -> None:
    """Show the constraints that hold, of one agent or of all."""
    found = ask("constraint_list", {"group": group})["constraints"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("No constraints hold.")
    else:
        rows = [
            [str(one["group"]), str(one["constraint"]), str(one["text"]), str(one["added_by"] or "file")]
            for one in found
        ]
        click.echo(table(rows))


@constraint.command("add")
@click.argument("group")
@click.argument("terms", nargs=-1, required=True)
def add(group: str, terms: tuple[str, ...]) -> None:
    """Have a constraint hold for an agent, from its next task on.

    TERMS: `host mail.example.org POST ask owner 1h`, `command "git push" deny`, `tool send_file`, `destination family`.
    """
    text = " ".join(f'"{term}"' if " " in term else term for term in terms)
    made = ask("constraint_add", {"group": group, "terms": text})
    click.echo(f"{clean_line(str(made['constraint']))} holds for {clean_line(group)} from the next task on.")


@constraint.command("remove")
@click.argument("group")
@click.argument("code")
def remove(group: str, code: str) -> None:
    """Lift a constraint that was added; one of group.yaml is taken out of the file."""
    ask("constraint_remove", {"group": group, "constraint": code})
    click.echo(f"{clean_line(code)} does not hold any more.")
