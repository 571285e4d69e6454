"""The picture at the end of a test run."""

from __future__ import annotations

from cli.place import ROOT
from cli.test import WHOLE_HOUSE
from cli.test_report import Stage, parse_junit, report_lines, together

JUNIT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="5">
<testcase classname="tests.cli.test_a" name="test_one" time="1.5"/>
<testcase classname="tests.cli.test_a" name="test_two[x]" time="2.0"><failure message="no">trace</failure></testcase>
<testcase classname="tests.chaos.test_b" name="test_three" time="60.0"><error message="setup">trace</error></testcase>
<testcase classname="tests.chaos.test_b" name="test_four" time="0"><skipped message="why"/></testcase>
<testcase classname="tests.chaos.test_b" name="test_five" time="0.1"/>
</testsuite></testsuites>"""


def test_each_stage_has_its_time_and_what_failed_is_named() -> None:
    """Somebody who reads only the end knows where to look."""
    counts = parse_junit(JUNIT)
    assert counts is not None
    stages = [
        Stage(name="container engine", took_s=8.2, is_well=True),
        Stage(name="checks", took_s=20.0, is_well=False, detail="types"),
        Stage(name="tests", took_s=64.0, is_well=False, detail=counts.words()),
    ]
    lines = report_lines(stages, counts, 92.4)
    text = "\n".join(lines)
    assert "container engine       8 s  ok" in text
    assert "checks                20 s  FAILED types" in text
    assert "not passed: tests/cli/test_a.py::test_two[x]" in text
    assert "not passed: tests/chaos/test_b.py::test_three" in text
    assert "slowest files: tests/chaos/test_b.py 60 s, tests/cli/test_a.py 4 s" in text
    assert lines[-1] == "  together 92 s: failed in: checks, tests, 1 failed, 1 errors, 2 passed, 1 skipped"


def test_a_run_without_a_fault_says_so_last() -> None:
    """The last line is the verdict."""
    stages = [Stage(name="tests", took_s=3.0, is_well=True)]
    assert report_lines(stages, None, 3.0)[-1] == "  together 3 s: all is well"


def test_what_a_crashed_run_has_left_is_no_count() -> None:
    """Half a file, or an empty one, is not taken for a result."""
    assert parse_junit("") is None
    assert parse_junit(JUNIT[:200]) is None


def test_many_failures_are_counted_and_not_all_listed() -> None:
    """A broken machine does not push everything else off the screen."""
    case = '<testcase classname="tests.x" name="t{}" time="0"><failure/></testcase>'
    counts = parse_junit(f"<testsuite>{''.join(case.format(number) for number in range(30))}</testsuite>")
    lines = report_lines([], counts, 1.0)
    assert sum("not passed:" in line for line in lines) == 20
    assert "  and 10 more" in lines


def test_lanes_side_by_side_are_one_run() -> None:
    """Their tests are counted together, and what failed in either is named."""
    counts = parse_junit(JUNIT)
    assert counts is not None
    both = together([counts, counts])
    assert both is not None
    assert both.words() == "2 failed, 2 errors, 4 passed, 2 skipped"
    assert len(both.not_passed) == 4
    assert both.seconds_by_file["tests/cli/test_a.py"] == 7.0
    assert together([]) is None


def test_the_folders_that_run_beside_the_others_are_there() -> None:
    """A name that is wrong would end the second lane before its first test."""
    assert [name for name in WHOLE_HOUSE if not (ROOT / "tests" / name).is_dir()] == []
