"""What of Slack's must be in no log: slack_sdk writes tickets, and what it was given, into its records."""

from __future__ import annotations

import re

from channels.sdk_log import REDACTED, tame_loggers

SDK_LOGGER = "slack_sdk"
_SECRET = re.compile(r"x(?:ox[a-z]|app)(?:\.xox[a-z])?-[A-Za-z0-9-]{6,}|(?<=[?&]ticket=)[^&\s'\"]+")


def redact(text: str) -> str:
    """Return the text without anything that looks like a token or a socket's ticket."""
    return _SECRET.sub(REDACTED, text)


def tame_sdk_logger() -> None:
    """Route the SDK's loggers through the redaction, the first line of each record. Idempotent."""
    tame_loggers([SDK_LOGGER], "slack", lambda text: redact(text).partition("\n")[0])
