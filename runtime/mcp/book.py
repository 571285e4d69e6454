"""McpBook: who has said yes to which MCP server, and what each offers. One for the whole host.

Every definition (command, arguments, names of variables, address) is asked about once, before the first start, and the
answer is remembered for it; a changed one is another. Nobody waits for an answer: a task begins with the servers that
somebody has said yes to by then, and is told of the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from protocol.codec import ShapeError
from protocol.ids import GroupId
from protocol.link import McpServer
from protocol.record import replace as replace_record
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import Approval, Remembered
from runtime.approvals.rules import digest_of
from runtime.group import Group, Groups
from runtime.insist import insist
from runtime.mcp.lists import ListFiles, Lists, read_told
from runtime.mcp.plan import NO_SERVERS, UNASKED, McpPlan, Standing, build_plan
from runtime.mcp.settings import build_question, definition_of
from runtime.refusal import OperationRefused
from runtime.store import remembered_rows
from runtime.store.store import Store
from runtime.waiting_tasks import Asked

log = logging.getLogger(__name__)

KIND = "mcp_tools"
"""Of the questions with which agents tell what a server offers."""
SLOW_REREAD_S = 300.0
"""What holds is looked at again at least so often: a yes for an hour ends by the clock."""


class McpBook:
    """Its answers come from memory: `load` before any task begins, `run` as long as the host."""

    def __init__(self, store: Store, approvals: Approvals, folder: Path, groups: Callable[[], Groups]) -> None:
        """`folder`: where it keeps what servers offer."""
        self._store = store
        self._approvals = approvals
        self._files = ListFiles(folder)
        self._groups = groups
        self._standings: dict[str, Standing] = {}
        self._lists: dict[GroupId, Lists] = {}
        self._lapsed: set[str] = set()
        """Digests that nobody decided about in time: asked about again when a task would use them."""
        self._changed = asyncio.Event()
        approvals.subscribe("mcp", self.decided)
        approvals.when_forgotten(self.wake)

    def of(self, group: Group) -> McpPlan:
        """Return what a task of a group that begins now gets."""
        if not group.mcp:
            return NO_SERVERS
        now, lists = datetime.now(UTC), self._lists.get(group.group_id, {})
        planned = []
        for server in group.mcp:
            digest = _digest(group.group_id, server)
            standing = self._standings.get(digest, UNASKED).at(now)
            if standing.is_yes is None and not standing.code:
                self._lapsed.discard(digest)
                self.wake()
            planned.append((replace_record(server, tools=lists.get(digest)), standing))
        return build_plan(planned)

    def wake(self) -> None:
        """Have what holds looked at anew: settings or decisions were changed. Returns at once."""
        self._changed.set()

    async def load(self) -> None:
        """Know what was decided and what servers offered, before any task begins."""
        for group_id, server in self._servers():
            await self._look_up(group_id, server)
        self.wake()

    async def run(self) -> None:
        """Ask about servers that nobody has decided about, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for group_id, server in self._servers():
                await self._look(group_id, server)
            await self._withdraw()
            if any(True for _ in self._servers()):
                with suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_REREAD_S):
                        await self._changed.wait()
                self.wake()

    async def decided(self, approval: Approval) -> None:
        """Hear of a person's word, or of the time's."""
        if approval.state in ("expired", "withdrawn"):
            self._lapsed.add(approval.digest)
        elif approval.is_approved:
            await self._approvals.use(approval.approval_id)  # what is remembered of it counts
        self._standings.pop(approval.digest, None)
        for group_id, server in self._servers():
            if _digest(group_id, server) == approval.digest:
                await self._look_up(group_id, server)

    async def listed(self, asked: Asked) -> str:
        """Keep what a server offers, as an agent of a group that may use it tells. Raises OperationRefused."""
        group_id = asked.task.group_id
        try:
            told = read_told(asked.ask.payload)
        except ShapeError as error:
            raise OperationRefused("wrong_tools", f"this is no list of a server's tools: {error}") from error
        server = next((each for owner, each in self._servers() if (owner, each.name) == (group_id, told.server)), None)
        digest = _digest(group_id, server) if server is not None else ""
        if not self._standings.get(digest, UNASKED).at(datetime.now(UTC)).is_yes:
            raise OperationRefused(
                "no_such_server", f"there is no MCP server {told.server[:40]!r} that {group_id} may use"
            )
        lists = self._lists[group_id] = {**self._lists.get(group_id, {}), digest: told.tools}
        wanted = {_digest(owner, each) for owner, each in self._servers() if owner == group_id}
        try:
            await asyncio.to_thread(self._files.store, group_id, lists, wanted)
        except OSError as error:
            extra = {"action": "mcp_list_not_kept", "group_id": group_id}
            log.warning("what the MCP server %s offers is not kept: %s", told.server, error, extra=extra)
        return "noted"

    # --- One server

    async def _look(self, group_id: GroupId, server: McpServer) -> None:
        standing = await self._look_up(group_id, server)
        digest = _digest(group_id, server)
        if standing.is_yes is not None or digest in self._lapsed:
            return
        try:
            asked = await insist(partial(self._approvals.ask, build_question(group_id, server)), "a question")
        except OperationRefused as refused:
            extra = {"action": "mcp_not_asked", "group_id": group_id, "server": server.name}
            log.warning("nobody is asked about an MCP server: %s", refused, extra=extra)
            return
        if asked.is_open:
            self._standings[digest] = replace(standing, code=asked.approval_id)

    async def _withdraw(self) -> None:
        """End the questions about servers that their group names no more; one with a fault may name them again."""
        ready = frozenset(self._groups().ready)
        wanted = {_digest(group_id, server) for group_id, server in self._servers()}
        for each in await self._approvals.waiting():
            if each.kind == "mcp" and each.group_id in ready and each.digest not in wanted:
                await self._approvals.withdraw(each.approval_id, "group.yaml does not name this server any more")

    async def _look_up(self, group_id: GroupId, server: McpServer) -> Standing:
        """Return what is remembered of a server, and know it."""
        if group_id not in self._lists:
            self._lists[group_id] = await asyncio.to_thread(self._files.load, group_id)
        definition = definition_of(group_id, server)
        found = await self._store.read(remembered_rows.remembered_for, "mcp", group_id, definition)
        digest = _digest(group_id, server)
        waiting = Standing(code=self._standings.get(digest, UNASKED).code)
        standing = self._standings[digest] = waiting if found is None else _standing(found)
        return standing

    def _servers(self) -> Iterator[tuple[GroupId, McpServer]]:
        for group in tuple(self._groups().ready.values()):
            for server in group.mcp:
                yield group.group_id, server


def _standing(found: Remembered) -> Standing:
    return Standing(is_yes=found.is_yes, until=datetime.fromisoformat(found.expires_at))


def _digest(group_id: GroupId, server: McpServer) -> str:
    return digest_of("mcp", group_id, definition_of(group_id, server))
