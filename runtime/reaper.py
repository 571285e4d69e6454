"""Removes what nobody owns: our home's containers that neither this host nor a row knows, and stale door folders.

It runs at the host's start and on a timer. What it finds is left by a host that was killed, or by an engine that was
away when something should have gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from credproxy.admin_client.link import ProxyError
from protocol.ids import DoorId
from runtime.agent_bundle import prune_bundles
from runtime.container_engine import ContainerEngine, FoundContainer
from runtime.container_session import ProxyDoors
from runtime.door import remove_door
from runtime.engine_errors import EngineError

log = logging.getLogger(__name__)

KnownDoors = Callable[[], Awaitable[frozenset[DoorId]]]
"""The doors of all attempts that have not ended, as the store knows them."""


class Reaper:
    """`live_doors`: those of this host's own containers; `current_bundles`: names of the bundles that new ones use."""

    def __init__(
        self,
        *,
        home_id: str,
        doors: Path,
        bundles: Path,
        engine: ContainerEngine,
        proxy: ProxyDoors,
        known_doors: KnownDoors,
        live_doors: Callable[[], frozenset[DoorId]],
        current_bundles: Callable[[], frozenset[str]],
        every_s: float,
    ) -> None:
        self._home_id = home_id
        self._doors = doors
        self._bundles = bundles
        self._engine = engine
        self._proxy = proxy
        self._known_doors = known_doors
        self._live_doors = live_doors
        self._current_bundles = current_bundles
        self._every_s = every_s

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            try:
                await self.sweep()
            except EngineError as error:
                log.debug("no sweep: %s", error, extra={"action": "sweep_failed"})
            await asyncio.sleep(self._every_s)

    async def sweep(self) -> int:
        """Remove what nobody owns and return how many containers that were. Raises EngineError."""
        found = await self._engine.list_containers(self._home_id)
        folders = await asyncio.to_thread(_list_folders, self._doors)
        # Read after the list: whoever came since is not in the list, whoever is in it has his row by now.
        known = await self._known_doors() | self._live_doors()
        removed = 0
        for container in found:
            if container.door_id not in known and not _is_compiling(container):
                await self._remove(container)
                removed += 1
        for door_id, folder in folders.items():
            if door_id not in known and door_id not in self._live_doors():
                await self._remove_folder(door_id, folder)
        current = self._current_bundles()
        if current:
            in_use = current | {container.bundle for container in found if container.door_id in known}
            await asyncio.to_thread(prune_bundles, self._bundles, in_use)
        return removed

    async def _remove(self, container: FoundContainer) -> None:
        await self._engine.remove(container.container_id)
        extra = {"action": "container_reaped", "door_id": container.door_id, "group_id": container.group_id}
        log.info("a container that nobody owned was removed", extra=extra)

    async def _remove_folder(self, door_id: DoorId, folder: Path) -> None:
        with suppress(ProxyError):
            await self._proxy.close_door(door_id)
        await asyncio.to_thread(remove_door, folder)


def _is_compiling(container: FoundContainer) -> bool:
    """One that compiles the agent's code right now; it is removed by who started it, or found stopped later."""
    return not container.door_id and container.is_running


def _list_folders(doors: Path) -> dict[DoorId, Path]:
    if not doors.is_dir():
        return {}
    return {DoorId(f"door_{folder.name}"): folder for folder in doors.iterdir() if folder.is_dir()}
