"""The room of shared folders, wired: what owners are told of them. Tasks come to it by their desk."""

from __future__ import annotations

from pathlib import Path

from runtime.control.spaces import space_verbs
from runtime.host_state import HostState
from runtime.spaces.desk import SpaceDesk
from runtime.spaces.room import Spaces
from runtime.store.store import Store
from services.room import Room


def spaces_room(fork: Path, spaces: Spaces, store: Store, state: HostState) -> Room:
    """Return the room."""
    return Room(verbs=space_verbs(SpaceDesk(fork, state.home, spaces, store, lambda: state.groups)))
