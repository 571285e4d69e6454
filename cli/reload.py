"""Has a running host read groups and skills again after the command has changed them."""

from __future__ import annotations

import click

from cli.place import ask
from cli.problem import NOT_RUNNING, CliProblem
from cli.screen import clean_line


def tell_host() -> None:
    """Tell what a running host finds wrong; one that does not run will read them when it starts."""
    try:
        problems = ask("reload")["problems"]
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING:
            raise
        return
    for each in problems:
        click.echo(clean_line(each))
