"""What the tests of the Discord channel stand on."""

from __future__ import annotations

from channels.discord.timings import Timings
from tests.channels.conformance_support import Json
from tests.channels.markdown.readers import read_discord

QUICK = Timings(
    haste=20.0,
    connect_s=5.0,
    rebuild_after_s=0.5,
    watch_every_s=0.05,
    heartbeat_slack_s=0.3,
    identify_pause_s=0.05,
    first_backoff_s=0.02,
    longest_backoff_s=0.2,
    token_retry_s=0.1,
    intents_check_s=0.2,
    shut_out_s=0.5,
    ready_s=3.0,
    guilds_s=1.0,
    send_s=5.0,
    history_s=3.0,
    history_retry_s=0.05,
    hold_s=3.0,
    gap_retry_s=0.3,
    seen_every_s=0.2,
    first_line_s=0.05,
    line_every_s=0.05,
    growing_after_s=0.05,
    growing_every_s=0.1,
    answer_within_s=0.5,
    close_s=0.3,
)


def reads(message: Json) -> str:
    """Return the words that a person reads in a message of the twin's."""
    return read_discord(str(message["text"])).replace("\u200b", "")
