"""What of Telegram's must be in no log: its SDK and httpx write the token into addresses and error texts."""

from __future__ import annotations

import re

from channels.sdk_log import REDACTED, tame_loggers

SDK_LOGGERS = ("telegram", "httpx", "httpcore")
_TOKEN = re.compile(r"\d{3,}(?::|%3A)[A-Za-z0-9_-]{20,}", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text without anything that looks like a bot token."""
    return _TOKEN.sub(REDACTED, text)


def tame_sdk_loggers() -> None:
    """Route the loggers of the SDK through the redaction. Idempotent."""
    tame_loggers(SDK_LOGGERS, "telegram", redact)
