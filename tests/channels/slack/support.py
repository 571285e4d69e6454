"""What the tests of the Slack channel stand on: short times, the twin's tokens, and how a person reads a message."""

from __future__ import annotations

from typing import Any

from channels.slack.timings import Timings
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN

SECRET = f"{BOT_TOKEN} {APP_TOKEN}"
QUICK = Timings(
    ping_s=0.2,
    connect_s=5.0,
    token_retry_s=0.05,
    longest_backoff_s=0.05,
    ready_s=2.0,
    send_s=5.0,
    show_s=5.0,
    press_ack_s=0.5,
    first_line_s=0.0,
    line_every_s=0.05,
    first_growth_s=0.0,
    growth_every_s=0.05,
    stream_every_s=0.05,
    catch_up_again_s=0.05,
    seen_every_s=0.05,
)


def read_text(message: dict[str, Any]) -> str:
    """Return the words of a message of the twin's as a person reads them: of its blocks, as Slack's apps show them."""
    blocks = message["raw"].get("blocks") or []
    found = [_block_text(block) for block in blocks if block["type"] in ("rich_text", "markdown")]
    return "\n".join(found) if found else str(message["text"])


def _block_text(block: dict[str, Any]) -> str:
    if block["type"] == "markdown":
        return str(block["text"])
    return "\n\n".join("".join(_element_text(e) for e in part["elements"]) for part in block["elements"])


def _element_text(element: dict[str, Any]) -> str:
    return str(element.get("text") or element.get("url") or "")
