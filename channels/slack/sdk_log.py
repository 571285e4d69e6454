"""Keep the tokens out of every log: slack_sdk writes addresses with tickets, and what it was given, into its records.

Its loggers are cut from the tree; what they say at WARNING and above is passed on under our own name, redacted,
tracebacks included. The host's log filter stands behind this; here the leak is closed where it begins.
"""

from __future__ import annotations

import logging
import re

log = logging.getLogger("channels.slack.sdk")

SDK_LOGGER = "slack_sdk"
REDACTED = "[token]"
_SECRET = re.compile(r"x(?:ox[a-z]|app)(?:\.xox[a-z])?-[A-Za-z0-9-]{6,}|(?<=[?&]ticket=)[^&\s'\"]+")


def redact(text: str) -> str:
    """Return the text without anything that looks like a token or a socket's ticket."""
    return _SECRET.sub(REDACTED, text)


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = redact(self.format(record)).partition("\n")[0]
        # What the SDK calls an error is retried by us; `health()` says the rest.
        log.log(min(record.levelno, logging.WARNING), "%s: %s", record.name, text, extra={"action": "slack_sdk"})


def tame_sdk_logger() -> None:
    """Route the SDK's loggers through the redaction. Idempotent."""
    logger = logging.getLogger(SDK_LOGGER)
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    if not any(isinstance(handler, _Forward) for handler in logger.handlers):
        logger.addHandler(_Forward())
