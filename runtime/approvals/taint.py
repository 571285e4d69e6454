"""Taint: which tasks read untrusted text, and that nothing lasting is made of it without an owner's yes.

The proxy tells what was read of the web, the store knows who spoke. What a tainted task would make into memory, a skill
or a schedule waits for an owner; what an untainted one makes does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from credproxy.admin_client.link import ProxyError
from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from runtime.approvals.approvals import Approvals
from runtime.approvals.effect_text import inline
from runtime.approvals.records import Approval, NewApproval, Taint, TaintSource
from runtime.insist import insist
from runtime.store import taint_rows
from runtime.store.store import Store

log = logging.getLogger(__name__)

MAX_WAITING = 1_000
MAX_SHOWN = 5
GUARD_DEADLINE_S = 3 * 86_400.0
LastingKind = Literal["memory", "skill", "schedule"]

ReadHosts = Callable[[TaskId], Awaitable[tuple[tuple[str, str], ...]]]
"""Asks the proxy what a task has read of others' words: (source, host). Raises ProxyError."""


class Taints:
    """What tasks have read, and the guard before what lasts."""

    def __init__(self, store: Store, approvals: Approvals, read_hosts: ReadHosts) -> None:
        self._store = store
        self._approvals = approvals
        self._read_hosts = read_hosts
        self._waiting: asyncio.Queue[ProxyEvent] = asyncio.Queue(MAX_WAITING)

    def note(self, event: ProxyEvent) -> None:
        """Take one event of the proxy's; returns at once. One that finds no room is asked for again in `taint_of`."""
        if event.kind != "tainted":
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("a taint waits to be asked for", extra={"action": "taint_late", "task_id": event.task_id})

    async def run(self) -> None:
        """Store what the proxy tells until cancelled."""
        while True:
            event = await self._waiting.get()
            source, _, host = event.detail.partition(" ")
            await insist(partial(self.mark, event.task_id, _source(source), host), "a taint")

    async def mark(self, task_id: TaskId, source: TaintSource, origin: str) -> None:
        """Note that a task has read untrusted text; `origin` is a host, or the host's own words."""
        await self._store.write(taint_rows.mark, task_id, source, origin)

    async def taint_of(self, task_id: TaskId) -> Taint:
        """Return what untrusted text a task has read up to now, itself or through its conversation. Where the proxy
        cannot be asked, the task counts as tainted."""
        try:
            for source, host in await self._read_hosts(task_id):
                await self.mark(task_id, _source(source), host)
        except ProxyError as error:
            log.warning("what a task read is not known: %s", error, extra={"action": "taint_unknown"})
            known = await self._store.read(taint_rows.taint_of, task_id)
            return known if known.is_tainted else Taint(sources=(("unknown", "the proxy does not answer"),))
        return await self._store.read(taint_rows.taint_of, task_id)

    async def guard(
        self,
        kind: LastingKind,
        *,
        task_id: TaskId,
        group_id: GroupId,
        payload: Json,
        summary: str,
        key: str = "",
        lines: tuple[str, ...] = (),
    ) -> Approval | None:
        """Return None where nothing untrusted was read: go on. Else ask the owners, and return what they are asked:
        what is decided comes to the subscriber of `kind`, or is in the approval already where it was remembered.

        `payload` is exactly what would last, `lines` what the card shows of it; `summary` says in the host's words what
        it is."""
        taint = await self.taint_of(task_id)
        if not taint.is_tainted:
            return None
        return await self._approvals.ask(
            NewApproval(
                kind=kind,
                group_id=group_id,
                task_id=task_id,
                payload=payload,
                summary=f"{summary} {taint_text(taint)}",
                who="owner",
                deadline_s=GUARD_DEADLINE_S,
                key=key,
                lines=lines,
            )
        )


def taint_text(taint: Taint) -> str:
    """Say in a sentence what was read, for the person who decides."""
    named = [f"{_SAID[source]} {inline(origin)}" for source, origin in taint.sources[:MAX_SHOWN]]
    more = f" and {len(taint.sources) - MAX_SHOWN} more" if len(taint.sources) > MAX_SHOWN else ""
    return f"Before that it read what others wrote: {', '.join(named)}{more}."


_SAID: dict[TaintSource, str] = {
    "web": "the page of",
    "grant": "answers of",
    "person": "messages of",
    "program": "a program's input,",
    "unknown": "something that is not known:",
}


def _source(word: str) -> TaintSource:
    return "web" if word == "web" else "grant"
