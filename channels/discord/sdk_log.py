"""What of Discord's must be in no log: discord.py's debug records hold whole payloads, and IDENTIFY has the token."""

from __future__ import annotations

import re

from channels.sdk_log import REDACTED, tame_loggers

SDK_LOGGERS = ("discord", "aiohttp")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{17,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{20,}")
_INTERACTION = re.compile(r"(?<=/)[A-Za-z0-9_-]{60,}")
"""An interaction's own token, which stands in addresses."""


def redact(text: str) -> str:
    """Return the text without anything that looks like a bot's token or an interaction's."""
    return _INTERACTION.sub(REDACTED, _TOKEN.sub(REDACTED, text))


def tame_sdk_loggers() -> None:
    """Route the loggers of the SDK through the redaction. Idempotent."""
    tame_loggers(SDK_LOGGERS, "discord", redact)
