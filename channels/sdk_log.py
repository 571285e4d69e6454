"""Keep the secrets of a platform out of every log: its SDK writes them into addresses, payloads and error texts.

An SDK's loggers are cut from the tree; what they say at WARNING and above is passed on under our own name, redacted,
tracebacks included. The host's log filter stands behind this; here the leak is closed where it begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

REDACTED = "[token]"


class _Forward(logging.Handler):
    def __init__(self, platform: str, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._log = logging.getLogger(f"channels.{platform}.sdk")
        self._action = {"action": f"{platform}_sdk"}
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        text = self._redact(self.format(record))
        # What an SDK retries by itself, or we do, it calls an error; to us it is a warning: `health()` says the rest.
        self._log.log(min(record.levelno, logging.WARNING), "%s: %s", record.name, text, extra=self._action)


def tame_loggers(names: Sequence[str], platform: str, redact: Callable[[str], str]) -> None:
    """Route the loggers of an SDK through the redaction. Idempotent."""
    for name in names:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        if not any(isinstance(handler, _Forward) for handler in logger.handlers):
            logger.addHandler(_Forward(platform, redact))
