"""Keep the bot's token out of every log: discord.py's debug records hold whole payloads, and IDENTIFY has the token.

Its loggers are cut from the tree; what they say at WARNING and above is passed on under our own name, redacted,
tracebacks included. The host's log filter stands behind this; here the leak is closed where it begins.
"""

from __future__ import annotations

import logging
import re

log = logging.getLogger("channels.discord.sdk")

SDK_LOGGERS = ("discord", "aiohttp")
REDACTED = "[token]"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{17,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{20,}")
_INTERACTION = re.compile(r"(?<=/)[A-Za-z0-9_-]{60,}")
"""An interaction's own token, which stands in addresses."""


def redact(text: str) -> str:
    """Return the text without anything that looks like a bot's token or an interaction's."""
    return _INTERACTION.sub(REDACTED, _TOKEN.sub(REDACTED, text))


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = redact(self.format(record))
        # What discord.py retries by itself it calls an error; to us it is a warning, and `health()` says the rest.
        log.log(min(record.levelno, logging.WARNING), "%s: %s", record.name, text, extra={"action": "discord_sdk"})


def tame_sdk_loggers() -> None:
    """Route the loggers of the SDK through the redaction. Idempotent."""
    for name in SDK_LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        if not any(isinstance(handler, _Forward) for handler in logger.handlers):
            logger.addHandler(_Forward())
