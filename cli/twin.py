"""`twin`: run a twin alone, for trying things and for other programs' tests."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import click

from cli.place import ROOT
from cli.problem import CliProblem


@click.group()
def twin() -> None:
    """Run a platform's or a model's twin alone."""


def _run(module: str, arguments: tuple[str, ...]) -> None:
    sys.argv = [f"./nightyard {module.replace('twins.', 'twin ')}", *arguments]
    runpy.run_module(module, run_name="__main__")


@twin.command()
@click.argument("name")
@click.option("--openapi", type=click.Path(path_type=Path), metavar="FILE", help="The service's description, in JSON.")
def new(name: str, openapi: Path | None) -> None:
    """Begin a twin of another service: a folder that runs, a test that passes (docs/writing-a-twin.md)."""
    from cli.twin_new import write_twin

    for path in write_twin(ROOT, name, openapi):
        click.echo(f"  {path}")
    click.echo(f"Run it: ./nightyard twin run {name}   test it: ./nightyard test tests/twins/test_{name}.py")
    click.echo("What to write next, and how to know that it is right: docs/writing-a-twin.md")


@twin.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(name: str, arguments: tuple[str, ...]) -> None:
    """Run any twin by its name."""
    known = sorted(path.parent.name for path in (ROOT / "twins").glob("*/__main__.py"))
    if name not in known:
        raise CliProblem(f"there is no twin {name[:40]!r} (known: {', '.join(known)})", f"./nightyard twin new {name}")
    _run(f"twins.{name}", arguments)


@twin.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def telegram(arguments: tuple[str, ...]) -> None:
    """Run the Telegram twin; `--help` lists its own options (docs/telegram.md)."""
    _run("twins.telegram", arguments)


@twin.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def discord(arguments: tuple[str, ...]) -> None:
    """Run the Discord twin; `--help` lists its own options (docs/discord.md)."""
    _run("twins.discord", arguments)


@twin.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def slack(arguments: tuple[str, ...]) -> None:
    """Run the Slack twin; `--help` lists its own options (docs/slack.md)."""
    _run("twins.slack", arguments)


@twin.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def models(arguments: tuple[str, ...]) -> None:
    """Run the model twin; `--help` lists its own options."""
    _run("twins.models", arguments)
