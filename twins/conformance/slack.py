"""slack_sdk's own online tests of its web client, put to the twin in place of Slack.

The tests are in the SDK's repository (integration_tests/web), fetched by whoever runs this, never kept here. They are
run as they are, in a process of their own, and led to the twin by a proxy. What needs an Enterprise Grid, two
workspaces that share channels, or an app's configuration token is not asked for.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from twins.conformance.redirect import serve_redirect
from twins.discord.certificate import write_certificates
from twins.slack.seed import ANNA, GENERAL, RANDOM, channel_info
from twins.slack.server import SlackTwin
from twins.slack.world import BOT_USER_ID, Conversation

TESTS = "integration_tests/web"
LEFT_OUT = ("test_admin_", "test_app_manifest", "test_conversations_connect", "test_issue_1305")
"""File names that are not asked for: Enterprise Grid, configuration tokens, Slack Connect."""
LONGEST_S = 600.0
TEST_LEEWAY = 20.0
"""The tests were written for a server an ocean away; here they call faster than any tier. One wants to be limited."""
NAMED_CHANNEL = "C014KLZN9M0"
"""A channel that one test names by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    passed: int
    failed: Mapping[str, str]
    """Test → the last line of why."""
    skipped: int


async def run_web_tests(checkout: Path) -> Outcome:
    """Run the tests of a checkout against a fresh twin; raise OSError for a checkout that has none."""
    files = sorted(file.name for file in (checkout / TESTS).iterdir() if file.name.startswith("test_"))
    asked = [f"{TESTS}/{name}" for name in files if not name.startswith(LEFT_OUT)]
    twin = SlackTwin()
    twin.rate_limits.leeway = TEST_LEEWAY
    twin.world.conversations[RANDOM].members.append(BOT_USER_ID)
    info = channel_info(twin.world, NAMED_CHANNEL, "named", ANNA)
    twin.world.add(Conversation(info=info, members=[ANNA, BOT_USER_ID]))
    with tempfile.TemporaryDirectory() as scratch:
        certificate = write_certificates(Path(scratch), hosts=("slack.com", "*.slack.com"))
        async with twin.serve() as address, serve_redirect(address, certificate) as proxy:
            report = Path(scratch) / "report.xml"
            surroundings = {
                "PATH": os.environ.get("PATH", ""),
                "HOME": scratch,
                "HTTPS_PROXY": proxy,
                "SSL_CERT_FILE": str(Path(scratch) / "ca.pem"),
                "SLACK_SDK_TEST_BOT_TOKEN": twin.world.tokens.of_kind("bot").value,
                "SLACK_SDK_TEST_USER_TOKEN": twin.world.tokens.of_user(ANNA).value,
                "SLACK_SDK_TEST_WEB_TEST_CHANNEL_ID": GENERAL,
                "SLACK_SDK_TEST_WEB_TEST_USER_ID": ANNA,
            }
            options = ["-q", "--continue-on-collection-errors", f"--junitxml={report}", "-o", "addopts="]
            without = ["-p", "no:cacheprovider", "-p", "no:asyncio"]  # their loops are their own
            command = [sys.executable, "-m", "pytest", *asked, *options, *without]
            nothing = asyncio.subprocess.DEVNULL
            tests = await asyncio.create_subprocess_exec(*command, cwd=checkout, env=surroundings, stdout=nothing)
            async with asyncio.timeout(LONGEST_S):
                await tests.wait()
        return _read(report)


def _read(report: Path) -> Outcome:
    failed: dict[str, str] = {}
    passed = skipped = 0
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('integration_tests.web.')}.{case.get('name')}"
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        if wrong is not None:
            failed[name] = (wrong.get("message") or "").strip().splitlines()[0][:200]
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return Outcome(passed=passed, failed=failed, skipped=skipped)
