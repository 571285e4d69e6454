"""`python -m twins.conformance ptb --checkout PATH`: put a suite to its twin, and fail if fewer pass than ever did."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from twins.conformance.ptb import SELECTION, run_online_tests
from twins.conformance.slack import run_web_tests
from twins.conformance.slack_reference import compare_methods
from twins.conformance.slack_samples import compare_payloads
from twins.conformance.suite import Outcome
from twins.conformance.tdlib import read_goldens

COUNTS = Path(__file__).parent.with_name("conformance.json")
SUITES = ("ptb", "tdlib", "slack", "slack-samples", "slack-reference", "discord")


def main() -> None:
    parser = argparse.ArgumentParser(prog="twins.conformance", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument(
        "--checkout", "--spec", type=Path, required=True, help="Where the suite's repository was fetched to."
    )
    parser.add_argument("--python", default=sys.executable, help="An interpreter that has what the suite needs.")
    parser.add_argument("--only", default="", help="Only tests whose names match, as pytest's -k; changes no count.")
    parser.add_argument("--keep", default="", help="The suite's version: keep the count, if none passes less.")
    arguments = parser.parse_args()
    outcome = asyncio.run(_run(arguments))
    for name, why in sorted(outcome.failed.items()):
        print(f"failed  {name}: {why}")
    print(f"{outcome.passed} passed, {len(outcome.failed)} failed, {outcome.skipped} skipped")
    if not arguments.only:
        sys.exit(_judged(arguments.suite, outcome, arguments.keep))


async def _run(arguments: argparse.Namespace) -> Outcome:
    checkout = arguments.checkout.resolve()
    match arguments.suite:
        case "ptb":
            return await run_online_tests(checkout, arguments.python, arguments.only)
        case "tdlib":
            return _compare_goldens(checkout)
        case "discord":
            from twins.conformance.discord import check_payloads  # late: it brings discord.py

            return await check_payloads(checkout)
        case "slack-samples":
            return await compare_payloads(checkout)
        case "slack-reference":
            return await compare_methods(checkout)
        case _:
            return await run_web_tests(checkout, arguments.python, arguments.only)


def _compare_goldens(checkout: Path) -> Outcome:
    goldens = list(read_goldens(checkout))
    failed = {f"{golden.mode} {golden.text!r}": why for golden in goldens if (why := golden.difference())}
    return Outcome(passed=len(goldens) - len(failed), failed=failed, skipped=0)


def _judged(suite: str, outcome: Outcome, version: str) -> int:
    """Return 1 if fewer pass than the file says; with a version, keep the new count in it."""
    kept: dict[str, Any] = json.loads(COUNTS.read_text("utf-8")) if COUNTS.exists() else {}
    before = kept.get(suite, {}).get("passed", 0)
    if outcome.passed < before:
        print(f"{before} passed before: this count may only grow", file=sys.stderr)
        return 1
    if version:
        counts = {"version": version, "passed": outcome.passed, "failed": len(outcome.failed)}
        selection = {
            "ptb": SELECTION,
            "tdlib": "check_parse_html, check_parse_markdown",
            "slack": "integration_tests/web",
            "slack-samples": "kinds of payloads of twins/conformance/slack_walk.py",
            "slack-reference": "the methods of twins/slack/methods/table.py",
            "discord": "kinds of payloads of twins/conformance/discord_walk.py",
        }
        kept[suite] = {**counts, "skipped": outcome.skipped, "selection": selection[suite]}
        COUNTS.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")
    return 0


main()
