"""Which platforms there are, and how a channel of each is made. A platform's code is loaded only when it is asked for.

The terminal is not built here: its chats come in over the control socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from channels.channel import Channel
from protocol.ids import ChannelId

PLATFORMS = ("telegram", "discord", "slack")
"""What a channel in nightyard.yaml may be, besides the terminal."""


class UnknownPlatform(Exception):
    """There is no such platform."""

    def __init__(self, platform: str) -> None:
        super().__init__(platform)
        self.platform = platform

    def __str__(self) -> str:
        return f"there is no platform `{self.platform}`; there is {', '.join(PLATFORMS)}"


def build_channel(
    channel_id: ChannelId,
    platform: str,
    fetch_secret: Callable[[], Awaitable[str]],
    url: str = "",
    kept: Path | None = None,
) -> Channel:
    """Return the channel, not yet connected. Call it inside the running event loop.

    `fetch_secret` gives the platform's token at each connection; what it raises, the channel shows in its health and
    tries again. `url` is the server's where it is not the platform's own; `kept` a file that is the channel's alone.
    """
    if platform == "telegram":
        from channels.telegram.channel import TelegramChannel

        return TelegramChannel(channel_id, fetch_secret, url, kept=kept)
    if platform == "discord":
        from channels.discord.channel import DiscordChannel

        return DiscordChannel(channel_id, fetch_secret, url, kept=kept)
    if platform == "slack":
        from channels.slack.channel import SlackChannel

        return SlackChannel(channel_id, fetch_secret, url, kept=kept)
    raise UnknownPlatform(platform)
