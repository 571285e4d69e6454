"""Why the machine has no room for another container just now, as whoever asked for one is told."""

from __future__ import annotations

from runtime.admission import decide_admission, load_room
from runtime.container_session import CannotStart
from runtime.container_start import ContainersSetup


def find_shortage(setup: ContainersSetup, *, starting_mb: int, times: int = 1) -> CannotStart | None:
    """Return what is short, None if there is room; `times` the floors of the settings.

    Containers that start have not taken their memory yet: `starting_mb` are reserved for them.
    """
    no_room = decide_admission(
        load_room(setup.home.path),
        reserved_mb=starting_mb,
        memory_floor_mb=times * setup.free_memory_floor_mb,
        disk_floor_mb=times * setup.free_disk_floor_mb,
    )
    if no_room is None:
        return None
    if no_room.code == "no_memory":
        return CannotStart(code="no_memory", message=no_room.message, mend=no_room.mend)
    return CannotStart(code="disk_floor", message=no_room.message, mend=no_room.mend)
