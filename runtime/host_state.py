"""What the running host goes by: settings, groups, channels, and whether it is on its way out. `HostDesk` of
operations.py and `Surroundings` of task_desk.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from channels.channel import Channel
from credproxy.admin_client.link import ProxyError
from protocol.ids import ChannelId, GroupId
from runtime.approvals.records import CLI
from runtime.channel_house import ChannelHouse
from runtime.config import ParsedSettings
from runtime.group import Groups
from runtime.group_reading import load_groups, settings_problems
from runtime.home import Home
from runtime.settings_file import load_settings

log = logging.getLogger(__name__)


class PolicyReader(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that reads settings of its own."""

    async def reload(self) -> tuple[str, ...]:
        """Return what is wrong with routes and grants; raise ProxyError."""


class HostState:
    """Settings and groups as last read; `reload` reads them again."""

    def __init__(
        self,
        home: Home,
        fork: Path,
        channel_house: ChannelHouse,
        policy: PolicyReader,
        *,
        platforms: Collection[str] | None = None,
    ) -> None:
        """`platforms`: those that there is a channel for; None: not looked at."""
        self._home = home
        self._fork = fork
        self._house = channel_house
        self._policy = policy
        self._platforms = platforms
        self._started_at = datetime.now(UTC).isoformat()
        self._settings = load_settings(fork, platforms)
        self._groups = load_groups(fork, self._settings)
        self._house.want(self._settings)
        self._on_reload: list[Callable[[], None]] = []
        self.reloaded_by: tuple[str, GroupId | None] = (CLI, None)
        """Who had it read again last, and which group alone they had changed."""
        self.shutdown = asyncio.Event()
        """Set when the host is to end with its agents."""
        self._log_problems()

    @property
    def home(self) -> Home:
        return self._home

    @property
    def settings(self) -> ParsedSettings:
        return self._settings

    @property
    def groups(self) -> Groups:
        return self._groups

    @property
    def channels(self) -> Mapping[ChannelId, Channel]:
        return self._house.channels

    @property
    def started_at(self) -> str:
        return self._started_at

    @property
    def is_stopping(self) -> bool:
        return self.shutdown.is_set()

    def when_reloaded(self, call: Callable[[], None]) -> None:
        """Have `call` called after each reload."""
        self._on_reload.append(call)

    async def reload(self, by: str = CLI, made: GroupId | None = None) -> tuple[str, ...]:
        """Read settings and groups again and have everything follow; return what is wrong, here and at the proxy.
        `made`: the group that `by` made, which is all that they have changed."""
        settings = load_settings(self._fork, self._platforms)
        groups = load_groups(self._fork, settings)
        self._settings, self._groups = settings, groups
        self._house.want(settings)
        self._log_problems()
        problems = [str(problem) for problem in settings_problems(settings, groups)]
        try:
            problems += await self._policy.reload()
        except ProxyError as error:
            problems.append(f"routes and grants were not read again: {error}")
        self.reloaded_by = (by, made)
        for call in self._on_reload:
            call()
        return tuple(problems)

    def usual_group(self, channel_id: ChannelId) -> GroupId | None:
        """Return the group that a channel's settings name."""
        channel = self._settings.settings.channels.get(channel_id)
        return GroupId(channel.group) if channel is not None else None

    def begin_shutdown(self) -> None:
        """Have the host end, with its agents, in two steps. Returns at once."""
        self.shutdown.set()

    def _log_problems(self) -> None:
        for problem in self._settings.problems:
            log.error("%s", problem, extra={"action": "settings_wrong"})
        for group_id, problems in self._groups.suspended.items():
            for problem in problems:
                log.error("%s is suspended: %s", group_id, problem, extra={"action": "group_suspended"})
