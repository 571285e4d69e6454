"""How long the Telegram client waits for what. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from channels.growth import GrowingPace
from channels.telegram.flood import PUBLISHED, Rates

DRAFT = GrowingPace(first_after_s=0.4, every_s=1.0, again_s=20.0)
"""Telegram's apps show a draft for 30 s."""
EDITED = GrowingPace(first_after_s=1.5, every_s=3.0)
"""A message that is edited; a group takes 20 a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long the client waits for what, in seconds."""

    poll_s: int = 50
    """What one getUpdates waits for news; Telegram's cap. 50 costs a quarter of the idle CPU of the SDK's default."""
    poll_slack_s: float = 40.0
    """A poll that says nothing for so long beyond `poll_s` is taken for dead."""
    unhealthy_s: float = 300.0
    """Polls that have done nothing but fail for so long have the client built anew, whole."""
    token_retry_s: float = 60.0
    """Between tries with a token that Telegram refuses."""
    longest_backoff_s: float = 30.0
    connect_s: float = 30.0
    ready_s: float = 10.0
    """What a send waits for a connection before it fails."""
    send_s: float = 30.0
    show_s: float = 5.0
    """For what is only shown: a line, a mark, a menu."""
    first_line_s: float = 2.0
    """Work that is done sooner shows no line of progress."""
    line_every_s: float = 3.0
    draft: GrowingPace = DRAFT
    """An answer that grows in a private chat."""
    growing: GrowingPace = EDITED
    """One that grows in a group."""
    typing_every_s: float = 4.0
    """Telegram shows it for 5 s, or until the bot's next message."""
    upload_s: float = 600.0
    close_s: float = 3.0
    rates: Rates = PUBLISHED
