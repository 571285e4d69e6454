"""`test`: the checks, then every test, the ones with a real container engine included; then what took how long."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence

import click

from cli.check import run_checks
from cli.engine_install import ensure_engine
from cli.image import ensure_image
from cli.place import ROOT
from cli.test_lanes import Lane, run_lanes
from cli.test_report import RunCounts, Stage, report_lines, together
from cli.up_progress import SetupFailed, step

LONG = "long"
WHOLE_HOUSE = ("chaos", "clients", "doors", "faults", "harness", "machines", "security", "services", "stories")
"""The folders of tests that start everything and mostly wait: they run beside the others."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--long", "is_long", is_flag=True, help="Also the long tests: a thousand kills, the largest sizes.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(is_long: bool, pytest_arguments: Sequence[str]) -> None:
    """Set up what the tests need and run them all. More arguments go to pytest, and then the checks are left out."""
    stages: list[Stage] = []
    counts: list[RunCounts] = []
    began = time.monotonic()
    try:
        with _stage("container engine", stages), step("the container engine") as progress:
            engine = ensure_engine("", _confirm, progress)
        click.echo(f"  container engine: {engine.detail}")
        with (
            _stage("agent image", stages),
            step("the agent image (once; half a minute to a few)") as progress,
        ):
            reference = ensure_image(ROOT, engine=engine.address, progress=progress)
        click.echo(f"  agent image: {reference}")
        if not pytest_arguments:
            stages.append(_check())
        for stage, counted in run_lanes(_lanes(is_long, pytest_arguments), engine.address):
            stages.append(stage)
            counts += [counted] if counted else []
    finally:
        click.echo("\n".join(report_lines(stages, together(counts), time.monotonic() - began)))
    sys.exit(0 if all(stage.is_well for stage in stages) else 1)


@contextlib.contextmanager
def _stage(name: str, stages: list[Stage]) -> Iterator[None]:
    """Take the time of a step of the set-up, which ends the run when it fails."""
    began = time.monotonic()
    try:
        yield
    except SetupFailed:
        stages.append(Stage(name=name, took_s=time.monotonic() - began, is_well=False))
        raise
    stages.append(Stage(name=name, took_s=time.monotonic() - began, is_well=True))


def _check() -> Stage:
    began = time.monotonic()
    failed = run_checks(ROOT)
    took_s = time.monotonic() - began
    return Stage(name="checks", took_s=took_s, is_well=not failed, detail=", ".join(failed))


def _lanes(is_long: bool, pytest_arguments: Sequence[str]) -> Sequence[Lane]:
    """Return two lanes of everything, or one of what was asked for."""
    among = () if is_long else ("-m", f"not {LONG}")
    if pytest_arguments:
        return [Lane(name="tests", arguments=(*among, *pytest_arguments))]
    folders = [f"tests/{name}" for name in WHOLE_HOUSE]
    return [
        Lane(name="tests", arguments=(*among, *(f"--ignore={folder}" for folder in folders))),
        Lane(name="whole house", arguments=(*among, *folders)),
    ]


def _confirm(question: str) -> bool:
    return click.confirm(question, default=True) if sys.stdin.isatty() else True
