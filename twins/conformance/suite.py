"""Running somebody else's tests where they lie, and what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

LONGEST_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    passed: int
    failed: Mapping[str, str]
    """Test → the first line of why."""
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Tests of a checkout, for the pytest of an interpreter that has what they need."""

    python: str
    checkout: Path
    asked: Sequence[str]
    options: Sequence[str]
    surroundings: Mapping[str, str]


async def run_suite(suite: Suite, scratch: Path) -> Outcome:
    """Run the tests in a process of their own; raise TimeoutError, or OSError if they did not even begin."""
    report = scratch / "report.xml"
    command = [suite.python, "-m", "pytest", *suite.asked, "-q", f"--junitxml={report}", *suite.options]
    surroundings = {"PATH": os.environ.get("PATH", ""), "HOME": str(scratch), **suite.surroundings}
    with (scratch / "out.txt").open("wb") as out:
        tests = await asyncio.create_subprocess_exec(*command, cwd=suite.checkout, env=surroundings, stdout=out)
        try:
            async with asyncio.timeout(LONGEST_S):
                await tests.wait()
        finally:
            if tests.returncode is None:
                tests.kill()
                await tests.wait()
    if not report.exists():
        raise OSError(f"the tests did not begin: {(scratch / 'out.txt').read_text('utf-8', 'replace')[-2000:]}")
    return read_report(report)


def read_report(report: Path) -> Outcome:
    """Return what a JUnit file says, of a test that was run again its last run; what was expected to fail counts as
    skipped."""
    failed: dict[str, str] = {}
    passed: set[str] = set()
    skipped: set[str] = set()
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        failed.pop(name, None)
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        if wrong is not None:
            failed[name] = next(iter((wrong.get("message") or "").strip().splitlines()), "")[:300]
        elif case.find("skipped") is not None:
            skipped.add(name)
        else:
            passed.add(name)
    return Outcome(passed=len(passed - set(failed)), failed=failed, skipped=len(skipped - passed))
