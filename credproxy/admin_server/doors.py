"""Verbs about doors and leases: what the host says of its containers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from credproxy.admin_server.verb import AdminRefused, Verb, read_text
from credproxy.pipeline.door import Doors
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import DoorId
from protocol.task import Lease


class DoorsVerbs:
    def __init__(self, proxy: CredentialProxy, doors: Doors) -> None:
        self._proxy = proxy
        self._doors = doors

    def table(self) -> dict[str, Verb]:
        return {
            "open_door": self._open_door,
            "close_door": self._close_door,
            "grant": self._grant,
            "release": self._release,
            "end": self._end,
        }

    async def _open_door(self, arguments: Mapping[str, Any]) -> object:
        uid = arguments.get("uid")
        if uid is not None and (type(uid) is not int or not 0 <= uid < 1 << 31):
            raise ShapeError("uid", "expected a user's number")
        lease = from_json(Lease, arguments["lease"], "lease") if arguments.get("lease") is not None else None
        door_id, path = DoorId(read_text(arguments, "door_id")), Path(read_text(arguments, "path"))
        await self._doors.open(door_id, path, uid, lease, is_held=_is_held(arguments))
        return {}

    async def _close_door(self, arguments: Mapping[str, Any]) -> object:
        self._doors.close(DoorId(read_text(arguments, "door_id")))
        return {}

    async def _grant(self, arguments: Mapping[str, Any]) -> object:
        lease = from_json(Lease, arguments.get("lease"), "lease")
        await self._proxy.grant(self._door(arguments), lease, is_held=_is_held(arguments))
        return {}

    async def _release(self, arguments: Mapping[str, Any]) -> object:
        """Let what waits at a door with a held lease go on."""
        door, attempt_id = self._door(arguments), read_text(arguments, "attempt_id")
        if door.lease is None or door.lease.attempt_id != attempt_id:
            raise AdminRefused("lease_unknown", f"the door {door.door_id} has no lease of {attempt_id[:60]}")
        door.hold.put(False)
        await asyncio.sleep(0)  # what waited goes out before it is answered here
        return {}

    async def _end(self, arguments: Mapping[str, Any]) -> object:
        door = self._proxy.doors.get(DoorId(read_text(arguments, "door_id")))
        return {"usage": {} if door is None else to_json(self._proxy.end(door))}

    def _door(self, arguments: Mapping[str, Any]) -> DoorState:
        door_id = read_text(arguments, "door_id")
        door = self._proxy.doors.get(DoorId(door_id))
        if door is None:
            raise AdminRefused("door_unknown", f"no door named {door_id[:60]} is open")
        return door


def _is_held(arguments: Mapping[str, Any]) -> bool:
    is_held = arguments.get("is_held", False)
    if not isinstance(is_held, bool):
        raise ShapeError("is_held", "expected true or false")
    return is_held
