"""`usage` and `budget`: what models were used, what that cost, and what may be used yet today."""

from __future__ import annotations

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line

KEYS = ("group", "model", "person", "task", "day")


@click.command()
@click.option("--days", default=7, show_default=True, metavar="N", help="So many days (UTC), today among them.")
@click.option("--by", type=click.Choice(KEYS), default="group", show_default=True, help="What the sums are of.")
@click.option("--group", metavar="GROUP", help="Of this agent alone.")
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def usage(days: int, by: str, group: str | None, as_json: bool) -> None:
    """What models were used, what that cost, and today's budgets."""
    answer = ask("usage", {"days": days, "by": by, "group": group})
    if as_json:
        import json

        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    from cli.usage_screen import show_usage  # rich costs 60 ms

    show_usage(answer)


@click.command()
@click.argument("word", type=click.Choice(("raise", "wait", "stop")), required=False)
@click.argument("name", metavar="BUDGET", required=False)
@click.option("--json", "as_json", is_flag=True, help="The host's own answer, for programs (docs/control.md).")
def budget(word: str | None, name: str | None, as_json: bool) -> None:
    """Show today's budgets, or decide about one that is used up.

    BUDGET is an agent's name, `background:` and one, or `machine`. raise: as much again, until 00:00 UTC. wait: what
    waits goes on then. stop: what waits is ended.
    """
    import json

    if word is None:
        answer = ask("usage", {"days": 1})
        if as_json:
            click.echo(json.dumps(answer["budgets"], indent=2, ensure_ascii=False))
            return
        from cli.usage_screen import show_budgets

        show_budgets(answer)
        return
    if not name:
        raise CliProblem(f"budget {word} wants the name of a budget", "./nightyard budget", NOT_UNDERSTOOD)
    answer = ask("budget", {"budget": name, "word": word})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    from cli.usage_text import budget_name

    shown = f"the budget of {clean_line(budget_name(str(answer['budget'])))}"
    done = {
        "raise": f"{shown[0].upper()}{shown[1:]} is raised for today: as much again.",
        "wait": f"What waits for {shown} waits until 00:00 UTC.",
        "stop": f"What waited for {shown} is ended.",
    }
    click.echo(done[word])
