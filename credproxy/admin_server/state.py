"""Verbs about the whole proxy: freezing, reading policy again, routes, health."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from credproxy.admin_client.answers import ProxyHealth, RouteState
from credproxy.admin_server.verb import Verb
from credproxy.pipeline.house_purses import PURSES_MARK
from credproxy.pipeline.proxy import CredentialProxy
from protocol.codec import ShapeError, from_json, to_json
from protocol.task import Purse


class StateVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {
            "freeze": self._freeze,
            "reload": self._reload,
            "routes": self._routes,
            "health": self._health,
            "put_purses": self._put_purses,
        }

    async def _freeze(self, arguments: Mapping[str, Any]) -> object:
        if type(arguments.get("on")) is not bool:
            raise ShapeError("on", "expected true or false")
        await self._proxy.freeze(arguments["on"])
        return {}

    async def _put_purses(self, arguments: Mapping[str, Any]) -> object:
        purses = arguments.get("purses")
        if not isinstance(purses, list):
            raise ShapeError("purses", "expected a list")
        self._proxy.purses.put([from_json(Purse, each, "purses") for each in purses])
        await self._proxy.audit.set_mark(PURSES_MARK, self._proxy.purses.dump())
        return {}

    async def _reload(self, _arguments: Mapping[str, Any]) -> object:
        return {"problems": list(await self._proxy.take_up_policy())}

    async def _routes(self, _arguments: Mapping[str, Any]) -> object:
        states = []
        for route in self._proxy.policy.routes.values():
            is_missing = route.secret is not None and self._proxy.vault.find(route.secret) is None
            host = f"[{route.host}]" if ":" in route.host else route.host
            states.append(
                RouteState(
                    name=route.name,
                    api=route.api,
                    url=f"{route.scheme}://{host}:{route.port}{route.prefix}",
                    secret=route.secret or "",
                    is_ready=not is_missing,
                    problem=f"the secret {route.secret} is not in the vault" if is_missing else "",
                )
            )
        return {"routes": [to_json(state) for state in states]}

    async def _health(self, _arguments: Mapping[str, Any]) -> object:
        doors = self._proxy.doors
        return to_json(
            ProxyHealth(
                is_frozen=self._proxy.is_frozen,
                doors=tuple(doors),
                leases=tuple(door_id for door_id, door in doors.items() if door.lease is not None),
                problems=(
                    *self._proxy.problems,
                    *filter(None, (self._proxy.audit.problem,)),
                    *self._proxy.dry_runs.notices(time.time()),
                ),
                approvals=len(self._proxy.approvals.waiting(time.time())),
            )
        )
