"""How long the Discord client waits for what. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long the client waits for what, in seconds."""

    haste: float = 1.0
    """How much faster than Discord's the server's clock goes: a twin's may."""
    connect_s: float = 30.0
    rebuild_after_s: float = 60.0
    """A gateway that is unwell for so long is given up, and the client built anew."""
    watch_every_s: float = 5.0
    heartbeat_slack_s: float = 10.0
    """What a heartbeat's answer may take beyond its time."""
    identify_pause_s: float = 5.0
    """Between two new sessions: Discord's own limit."""
    first_backoff_s: float = 1.0
    longest_backoff_s: float = 120.0
    """Discord takes 1000 new sessions a day from a bot, then it changes the token: so often is 720."""
    token_retry_s: float = 60.0
    """Between tries with a token that Discord refuses, or with an intent that is switched off."""
    intents_check_s: float = 300.0
    """While an intent is off that we could use: how often is asked whether it is on now."""
    shut_out_s: float = 900.0
    """What is waited after Cloudflare has shut this address out."""
    ready_s: float = 10.0
    """What a send waits for a connection before it fails."""
    guilds_s: float = 10.0
    """What is waited for the servers' lists after a new session, before messages missed are fetched."""
    send_s: float = 30.0
    show_s: float = 5.0
    """For what is only shown: a line, a mark, the growing answer."""
    upload_s: float = 600.0
    history_s: float = 30.0
    history_retry_s: float = 1.0
    """After a history that was not given; then twice as long each time."""
    hold_s: float = 60.0
    """What is said in a chat now waits at most so long for what was said there before."""
    gap_retry_s: float = 300.0
    """How often messages missed that could not be fetched are asked for again."""
    seen_every_s: float = 5.0
    """How often is written how far each chat is known."""
    first_line_s: float = 2.0
    line_every_s: float = 2.5
    growing_after_s: float = 0.7
    """Nothing is seen of an answer that is complete sooner."""
    growing_every_s: float = 1.2
    """Discord takes 5 edits in 5 s in a channel."""
    answer_within_s: float = 10.0
    """Work that has ended, and whose answer does not come in this time, has none."""
    typing_every_s: float = 9.0
    """Discord shows it for 10 s."""
    close_s: float = 3.0
