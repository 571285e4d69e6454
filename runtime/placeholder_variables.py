"""The variables with which a container's tools find a key's place taken: asked of the proxy once per grants file."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from credproxy.admin_client.link import ProxyError
from protocol.ids import GroupId

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 2.0
"""A container whose tools know no placeholder is of more use than none."""
_Stamp = tuple[int, int, int]


class PlaceholderVariables:
    """Remembers each group's variables for as long as its grants.yaml is the same file."""

    def __init__(self, fork: Path, ask: Callable[[GroupId], Awaitable[Mapping[str, str]]]) -> None:
        """`ask` raises ProxyError."""
        self._groups = fork / "groups"
        self._ask = ask
        self._known: dict[GroupId, tuple[_Stamp, tuple[tuple[str, str], ...]]] = {}

    async def of(self, group_id: GroupId) -> tuple[tuple[str, str], ...]:
        """Return name and value of each; none without grants. While the proxy is away, what was known before."""
        stamp = _stamp(self._groups / group_id / "grants.yaml")
        if stamp is None:
            return ()
        known = self._known.get(group_id)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                variables = tuple(sorted((await self._ask(group_id)).items()))
        except (ProxyError, TimeoutError) as error:
            extra = {"action": "placeholders_unknown", "group_id": group_id}
            log.warning("the proxy did not say what stands for the group's keys: %s", error, extra=extra)
            return known[1] if known is not None else ()
        self._known[group_id] = (stamp, variables)
        return variables


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - on the way of every message
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
