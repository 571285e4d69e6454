"""How long the Slack channel waits for what. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long the channel waits for what, in seconds."""

    ping_s: float = 5.0
    """Between the socket's pings; one that answers none for four of them is dead."""
    connect_s: float = 20.0
    """For one step on the way to a socket that has said hello."""
    token_retry_s: float = 60.0
    """Between tries with tokens that Slack refuses, and with Socket Mode switched off."""
    longest_backoff_s: float = 30.0
    ready_s: float = 10.0
    """What a send waits for a connection before it fails."""
    send_s: float = 30.0
    show_s: float = 10.0
    """For what is only shown: a line, a mark, a piece of a growing answer."""
    upload_s: float = 600.0
    close_s: float = 3.0
    press_ack_s: float = 1.0
    """A press or a command is acknowledged by then, stored or not: Slack gives 3 s, and never sends it again."""
    names_s: float = 1.0
    """What an event waits for the names of those in it; then it goes without."""
    first_line_s: float = 2.0
    """Work that is done sooner shows no line of progress."""
    line_every_s: float = 3.0
    first_growth_s: float = 1.0
    growth_every_s: float = 1.2
    stream_every_s: float = 1.0
    status_every_s: float = 60.0
    """Slack takes a status away after two minutes."""
    short_gap_s: float = 3.0
    """Without a socket for longer, all conversations are read for what was missed, not only those that speak."""
    catch_up_again_s: float = 2.0
    """Between tries to read a conversation's history."""
    seen_every_s: float = 5.0
    """Between two writes of what was seen last."""
