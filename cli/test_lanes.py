"""Runs pytest in lanes side by side: what starts a whole house and waits, and everything else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from cli.place import ROOT
from cli.test_report import RunCounts, Stage, parse_junit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One run of pytest: its name in the report, and its arguments."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    lane: Lane
    process: subprocess.Popen[bytes]
    report: Path
    output: Path | None
    """Where it writes while another lane has the screen."""


def run_lanes(lanes: Sequence[Lane], engine: str) -> list[tuple[Stage, RunCounts | None]]:
    """Run them all at once and return how each went, in their order; blocks, for minutes.

    The first has the screen; what the others print follows when they have ended.
    """
    # A shell has what it starts in the background ignore it, and the tests press Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.time()
    ended: list[tuple[Stage, RunCounts | None]] = []
    with tempfile.TemporaryDirectory(prefix="nightyard-test-") as folder, ExitStack() as open_processes:
        running = [_start(lane, Path(folder), engine, is_shown=lane is lanes[0]) for lane in lanes]
        for run in running:
            open_processes.enter_context(run.process)
        for run in running:
            if run.output and run.process.poll() is None:
                click.echo(f"  {run.lane.name}: goes on; its output follows …")
            code = _wait(run.process)
            ended_at = run.report.stat().st_mtime if run.report.exists() else time.time()
            took_s = ended_at - began
            if run.output:
                click.echo(f"\n== {run.lane.name}\n{run.output.read_text('utf-8', 'replace')}")
            counts = parse_junit(run.report.read_text("utf-8")) if run.report.exists() else None
            said = counts.words() if counts else f"pytest ended with {code}"
            ended.append((Stage(name=run.lane.name, took_s=took_s, is_well=code == 0, detail=said), counts))
    return ended


def _start(lane: Lane, folder: Path, engine: str, *, is_shown: bool) -> _Running:
    report = folder / f"{lane.name.replace(' ', '_')}.xml"
    output = None if is_shown else report.with_suffix(".txt")
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *lane.arguments]
    with ExitStack() as files:
        written = None if output is None else files.enter_context(output.open("wb"))
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(engine), stdout=written, stderr=subprocess.STDOUT if written else None
        )
    return _Running(lane=lane, process=process, report=report, output=output)


def _environment(engine: str) -> Mapping[str, str]:
    environment = {**os.environ, "DOCKER_HOST": engine, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONSAFEPATH", None)
    for name in ("NIGHTYARD_HOME", "NIGHTYARD_FORK"):
        environment.pop(name, None)  # no test may ever touch a real installation
    return environment


def _wait(tests: subprocess.Popen[bytes]) -> int:
    """Wait for a lane; Ctrl-C reaches it too, and it gets the time to take down what it has started."""
    while True:
        try:
            return tests.wait()
        except KeyboardInterrupt:
            click.echo("  the tests take down what they have started …", err=True)
