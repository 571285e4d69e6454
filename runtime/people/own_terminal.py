"""The owner's chat at this machine: there from the first start on, so that they can be told something before they ever
open it. What is said in it while no terminal looks is shown to the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from protocol.ids import ChannelId, GroupId
from runtime.config import TERMINAL
from runtime.group import Groups
from runtime.insist import insist
from runtime.store import people_rows
from runtime.store.store import Store


class OwnTerminal:
    """Keeps the chat `terminal:AGENT` of the agent that the settings give the terminal."""

    def __init__(
        self, store: Store, groups: Callable[[], Groups], usual_group: Callable[[ChannelId], GroupId | None]
    ) -> None:
        self._store = store
        self._groups = groups
        self._usual_group = usual_group
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look at the settings again."""
        self._awake.set()

    async def run(self) -> None:
        """Keep the chat until cancelled."""
        while True:
            self._awake.clear()
            group_id = self._usual_group(ChannelId(TERMINAL))
            if group_id is not None and group_id in self._groups().person_limits:
                await insist(partial(self._store.write, people_rows.open_terminal, group_id), "the owner's terminal")
            await self._awake.wait()
