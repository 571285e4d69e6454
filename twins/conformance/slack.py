"""slack_sdk's own online tests of its web client, put to the twin in place of Slack.

The tests are in the SDK's repository (integration_tests/web), fetched by whoever runs this, never kept here. They are
run as they are, in a process of their own, and led to the twin by a proxy. What needs an Enterprise Grid, two
workspaces that share channels, or an app's configuration token is not asked for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from twins.conformance.redirect import serve_redirect
from twins.conformance.suite import Outcome, Suite, run_suite
from twins.discord.certificate import write_certificates
from twins.slack.seed import ANNA, GENERAL, RANDOM, channel_info
from twins.slack.server import SlackTwin
from twins.slack.world import BOT_USER_ID, Conversation

TESTS = "integration_tests/web"
LEFT_OUT = ("test_admin_", "test_app_manifest", "test_conversations_connect", "test_issue_1305")
"""File names that are not asked for: Enterprise Grid, configuration tokens, Slack Connect."""
OPTIONS = ("--continue-on-collection-errors", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:asyncio")
TEST_LEEWAY = 20.0
"""The tests were written for a server an ocean away; here they call faster than any tier. One wants to be limited."""
NAMED_CHANNEL = "C014KLZN9M0"
"""A channel that one test names by its id."""


async def run_web_tests(checkout: Path, python: str, only: str = "") -> Outcome:
    """Run the tests of a checkout, or those whose names match, against a fresh twin; raise OSError if it has none."""
    chosen = ["-k", only] if only else []
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
            surroundings = {
                "HTTPS_PROXY": proxy,
                "SSL_CERT_FILE": str(Path(scratch) / "ca.pem"),
                "SLACK_SDK_TEST_BOT_TOKEN": twin.world.tokens.of_kind("bot").value,
                "SLACK_SDK_TEST_USER_TOKEN": twin.world.tokens.of_user(ANNA).value,
                "SLACK_SDK_TEST_WEB_TEST_CHANNEL_ID": GENERAL,
                "SLACK_SDK_TEST_WEB_TEST_USER_ID": ANNA,
            }
            suite = Suite(
                python=python, checkout=checkout, asked=asked, options=[*OPTIONS, *chosen], surroundings=surroundings
            )
            return await run_suite(suite, Path(scratch))
