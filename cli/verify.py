"""`verify`: check that journal and audit are as they were written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import click

from cli.place import find_home
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line

NAMES = {"journal": "store.db", "audit": "audit.db"}
_HEAD = re.compile(r"[0-9]{1,15}:[0-9a-f]{64}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs: {journal, audit}, each {entries, broken}.")
def verify(as_json: bool) -> None:
    """Check the chains of journal and audit from their first entry to their last. Needs no host and no proxy."""
    home = find_home().path
    found = _check()
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for name in NAMES:
            click.echo(clean_line(f"{name}: {_outcome(found[name])}"))
    broken = [name for name in NAMES if found[name]["broken"]]
    if broken:
        files = " and ".join(str(home / NAMES[name]) for name in broken)
        raise CliProblem(
            f"{files} {'was' if len(broken) == 1 else 'were'} changed behind Nightyard's back, or the disk lost a part",
            f"keep a copy as evidence, then restore the newest backup of {home} that verifies",
        )


def _outcome(check: dict[str, Any]) -> str:
    if check["broken"]:
        return f"BROKEN (whole before it: {check['entries']}): {check['broken']}"
    return "nothing is written yet" if check["entries"] is None else f"whole, {check['entries']} entries"


def check_journal() -> dict[str, Any]:
    """Have the journal checked: `{entries, broken}`."""
    journal: dict[str, Any] = _check()["journal"]
    return journal


def check_audit(head: str = "") -> dict[str, Any]:
    """Have the audit alone checked; `head` is a row's number and hash, as it was noted before."""
    if head and _HEAD.fullmatch(head) is None:
        raise CliProblem(f"{head[:80]!r} is no head", "./nightyard audit verify, which tells one", NOT_UNDERSTOOD)
    return {"file": str(find_home().path / NAMES["audit"]), **_check("--audit", head)}


def _check(*arguments: str) -> dict[str, Any]:
    """Have the process that knows both files check them. Any: it is JSON, shown as it comes."""
    command = [sys.executable, "-P", "-m", "services.verify", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CliProblem(f"journal and audit could not be checked: {clean_line(last)}", "./nightyard status")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
