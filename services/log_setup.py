"""Logging for every process: stderr and a capped file, one line a fact, whatever looks like a secret taken out.

A record's `action` and the ids given as `extra` are written behind its text. The journal, not the log, is the record
of what happened; the log says how.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

FILE_BYTES = 4 << 20
FILES_KEPT = 3
MAX_LINE_CHARS = 8_000
REMOVED = "[removed]"

SECRET_SHAPES = re.compile(
    r"""
      (?P<bot>(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,})                      # Telegram: also inside its URLs, after /bot
    | (?P<key>\b(?:sk|pk|rk)-[A-Za-z0-9_-]{12,})                       # OpenAI, Anthropic and their like
    | (?P<token>\b(?:xox[a-z]-|xapp-|gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{10,})  # Slack, GitHub, GitLab
    | (?P<discord>(?<![\w.-])[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,45}(?![\w-]))  # Discord
    | (?P<hook>(?:webhooks|interactions)/\d{15,20}/[A-Za-z0-9_.-]{30,})  # Discord: who has these addresses may speak
    | (?<=[?&]ticket=)[^\s&'"]+                                       # Slack: of a socket's address
    | (?P<cloud>\b(?:AKIA|ASIA)[A-Z0-9]{16}\b | \bAIza[A-Za-z0-9_-]{30,})
    | (?P<jwt>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)
    | (?<=\bbearer\s)[^\s'",;]+ | (?<=\bbasic\s)[A-Za-z0-9+/=]{8,}
    | (?<=x-api-key:\s)\S+ | (?<=api[_-]key=)[^\s&'"]+ | (?<=token=)[^\s&'"]+ | (?<=password=)[^\s&'"]+
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                                  # user and password in a URL
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Shapes of secrets. A net under the rule that no secret is ever given to a log, not a licence to try."""

_KNOWN: set[str] = set()
"""Secrets that this process was given: its channels' tokens. They are taken out whatever their shape."""
_SHORTEST_KNOWN = 8

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "action"}


def scrub(text: str) -> str:
    """Return the text without what looks like a secret, or is one that this process was given."""
    for secret in tuple(_KNOWN):  # other threads log, too
        text = text.replace(secret, REMOVED)
    return SECRET_SHAPES.sub(REMOVED, text)


def hide(secret: str) -> str:
    """Have a secret that was just given to this process, and each part of it between spaces, never reach a log from now
    on; return it."""
    _KNOWN.update(part for part in (secret, *secret.split()) if len(part) >= _SHORTEST_KNOWN)
    return secret


class LineFormatter(logging.Formatter):
    """`time level logger: text action=… key=…`, scrubbed as a whole, traceback included, and capped."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        parts = [f"{moment}Z {record.levelname:<7} {record.name}: {record.getMessage()}"]
        facts = {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if action := getattr(record, "action", ""):
            facts = {"action": action, **facts}
        parts += [f"{key}={_one_line(value)}" for key, value in facts.items()]
        line = _one_line(" ".join(parts))
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return scrub(line)[:MAX_LINE_CHARS]


class PrivateFileHandler(logging.handlers.RotatingFileHandler):
    """A rotating file that only its owner may read; each file is made so, not only the first."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding=self.encoding, errors=self.errors)


def set_up_logging(folder: Path, process: str, *, level: int = logging.INFO, file_bytes: int = FILE_BYTES) -> None:
    """Write this process's log to stderr and to `<folder>/<process>.log` (0600, 4 MiB, three kept before it)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{process}.log"
    to_file = PrivateFileHandler(
        path, maxBytes=file_bytes, backupCount=FILES_KEPT, encoding="utf-8", errors="backslashreplace"
    )
    handlers: list[logging.Handler] = [to_file, logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    # These say at INFO, or at DEBUG, what they send where; the URL of Telegram's API holds the token.
    for noisy in ("httpx", "httpcore", "urllib3", "docker", "asyncio", "telegram", "discord", "slack_sdk", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _one_line(value: object) -> str:
    return str(value).replace("\n", "\\n").replace("\r", "\\r")
