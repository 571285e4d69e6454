"""The room of containers, wired: what each is made of, and which of them earlier hosts have left."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from credproxy.admin_client.injection import placeholder_variables
from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import DoorId, GroupId
from runtime.agent_link import LinkLimits
from runtime.config import Settings
from runtime.container_command import SpaceMount
from runtime.container_engine import ContainerEngine
from runtime.container_kinds import space_mounts
from runtime.containers import Containers, ContainersSetup
from runtime.home import Home
from runtime.host_state import HostState
from runtime.placeholder_variables import PlaceholderVariables
from runtime.store.store import Store
from services.host_setup import MB, ROOT, agent_image, home_id

HEARTBEAT_S = 5.0
HEARTBEATS_IN_SILENCE = 4
"""At least so many signs of life are missed before an agent is taken for hung, however short the owner's patience."""


def make_containers(
    home: Home, fork: Path, store: Store, engine: ContainerEngine, proxy: ProxyAdmin, state: HostState
) -> Containers:
    """Return the room."""

    async def known_doors() -> frozenset[DoorId]:
        return frozenset(row.door_id for row in await store.open_attempts() if row.door_id is not None)

    return Containers(
        _setup(home, state.settings.settings, state),
        engine,
        proxy,
        known_doors=known_doors,
        placeholders=PlaceholderVariables(fork, partial(placeholder_variables, proxy)).of,
    )


def _setup(home: Home, settings: Settings, state: HostState) -> ContainersSetup:
    """Return what the room goes by."""
    limits = settings.containers

    def spaces_of(group_id: GroupId) -> tuple[SpaceMount, ...]:
        group = state.groups.ready.get(group_id)
        return space_mounts(group, home) if group is not None else ()

    return ContainersSetup(
        home=home,
        home_id=home_id(home),
        repository=ROOT,
        image=agent_image(home),
        link=LinkLimits(
            heartbeat_s=min(HEARTBEAT_S, limits.silence_s / HEARTBEATS_IN_SILENCE),
            silence_s=limits.silence_s,
            host_absence_s=limits.host_absence_s,
            file_bytes=settings.attachments_mb * MB,
        ),
        spare_idle_s=limits.spare_idle_s,
        disk_bytes=limits.disk_mb * MB,
        spaces_of=spaces_of,
        free_disk_floor_mb=limits.disk_floor_mb,
        free_memory_floor_mb=limits.memory_floor_mb,
    )
