"""The Discord channel does what every channel must do."""

from __future__ import annotations

from tests.channels.conformance import Conformance
from tests.channels.conformance_support import Platform
from tests.channels.discord.platform import DiscordPlatform


class TestDiscord(Conformance):
    @property
    def platform(self) -> Platform:  # type: ignore[override]  # each test has a twin of its own
        return self._platform

    def setup_method(self) -> None:
        self._platform = DiscordPlatform()
