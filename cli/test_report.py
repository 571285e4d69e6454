"""What a test run shows at its end: each stage with its time, what failed where, which files took longest. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

SHOWN_FAILURES = 20
SHOWN_FILES = 5
OUTCOMES = ("failed", "errors", "passed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One part of the run."""

    name: str
    took_s: float
    is_well: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """What pytest's own report holds of a run."""

    outcomes: Counter[str]
    not_passed: tuple[str, ...]
    seconds_by_file: Mapping[str, float]

    def words(self) -> str:
        """Return the counts as pytest says them; empty when no test ran."""
        return ", ".join(f"{self.outcomes[name]} {name}" for name in OUTCOMES if self.outcomes[name])


def parse_junit(text: str) -> RunCounts | None:
    """Return what a JUnit file of pytest's tells; None when it is not one, as after a crash of pytest."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    outcomes, seconds, not_passed = Counter[str](), defaultdict[str, float](float), list[str]()
    for case in root.iter("testcase"):
        place = case.get("classname", "").replace(".", "/") + ".py"
        seconds[place] += float(case.get("time", 0))
        kinds = {child.tag for child in case}
        for tag, name in (("failure", "failed"), ("error", "errors"), ("skipped", "skipped")):
            outcomes[name] += tag in kinds
        if not kinds & {"failure", "error", "skipped"}:
            outcomes["passed"] += 1
        if kinds & {"failure", "error"}:
            not_passed.append(f"{place}::{case.get('name', '')}")
    return RunCounts(outcomes=outcomes, not_passed=tuple(not_passed), seconds_by_file=seconds)


def together(runs: Sequence[RunCounts]) -> RunCounts | None:
    """Return several runs as one; None if there is none. A file that ran in both has the time of both."""
    if not runs:
        return None
    seconds: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        for place, took_s in run.seconds_by_file.items():
            seconds[place] += took_s
    return RunCounts(
        outcomes=sum((run.outcomes for run in runs), Counter[str]()),
        not_passed=tuple(name for run in runs for name in run.not_passed),
        seconds_by_file=seconds,
    )


def report_lines(stages: Sequence[Stage], counts: RunCounts | None, took_s: float) -> list[str]:
    """Return the picture of a run that took so long; its last line is the verdict. Stages may have run side by side."""
    lines = ["", f"  {'stage':<18} {'took':>7}"]
    for stage in stages:
        verdict = " ".join(word for word in ("ok" if stage.is_well else "FAILED", stage.detail) if word)
        lines.append(f"  {stage.name:<18} {stage.took_s:>5.0f} s  {verdict}")
    if counts and counts.outcomes:
        slowest = sorted(counts.seconds_by_file.items(), key=lambda item: -item[1])[:SHOWN_FILES]
        lines.append("  slowest files: " + ", ".join(f"{place} {took_s:.0f} s" for place, took_s in slowest))
        lines += [f"  not passed: {name}" for name in counts.not_passed[:SHOWN_FAILURES]]
        if len(counts.not_passed) > SHOWN_FAILURES:
            lines.append(f"  and {len(counts.not_passed) - SHOWN_FAILURES} more")
    failed = [stage.name for stage in stages if not stage.is_well]
    verdict = f"failed in: {', '.join(failed)}" if failed else "all is well"
    tested = f", {counts.words()}" if counts and counts.words() else ""
    return [*lines, f"  together {took_s:.0f} s: {verdict}{tested}"]
