"""What people and channels are called: asked of Slack once, and remembered for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Protocol

from channels.channel import DeliveryFailed
from channels.slack.raw import as_dict

KEPT_S = 6 * 3600.0
UNKNOWN_S = 300.0
"""A name that could not be had is asked for again after this."""
MAX_KEPT = 5000


class Asks(Protocol):
    async def call(self, method: str, conversation: str = "", **arguments: Any) -> Any: ...


class Names:
    """The names of one workspace."""

    def __init__(self, client: Asks, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names that are known, or are told soon; an id without one is left out."""
        wanted = set(ids)
        if missing := [id_ for id_ in wanted if not self._is_known(id_)]:
            async with asyncio.TaskGroup() as asking:
                for id_ in missing[:20]:
                    asking.create_task(self._ask(id_))
        return {id_: name for id_ in wanted if (name := self._known.get(id_, ("", 0.0))[0])}

    def _is_known(self, id_: str) -> bool:
        return self._known.get(id_, ("", 0.0))[1] > asyncio.get_running_loop().time()

    async def _ask(self, id_: str) -> None:
        name = ""
        try:
            async with asyncio.timeout(self._timeout_s):
                name = await (self._person(id_) if id_[:1] in ("U", "W") else self._conversation(id_))
        except (DeliveryFailed, TimeoutError):
            name = self._known.get(id_, ("", 0.0))[0]  # what it was called before
        kept_s = KEPT_S if name else UNKNOWN_S
        self._known[id_] = (name, asyncio.get_running_loop().time() + kept_s)
        self._known.move_to_end(id_)
        if len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)

    async def _person(self, id_: str) -> str:
        told = as_dict((await self._client.call("users.info", user=id_)).get("user"))
        profile = as_dict(told.get("profile"))
        known = (profile.get("display_name"), profile.get("real_name"), told.get("real_name"), told.get("name"))
        return str(next((name for name in known if name), ""))

    async def _conversation(self, id_: str) -> str:
        if id_[:1] not in ("C", "G"):
            return ""
        told = as_dict((await self._client.call("conversations.info", id_, channel=id_)).get("channel"))
        return str(told.get("name") or "")
