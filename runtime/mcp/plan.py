"""Which of a group's MCP servers a task gets, and what its model is told of the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from protocol.link import Assignment, McpServer
from protocol.record import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What people have said about one server as the settings have it."""

    is_yes: bool | None = None
    """None: nothing yet."""
    until: datetime | None = None
    """When that stops to hold; None: not by itself."""
    code: str = ""
    """Of the question that waits."""

    def at(self, now: datetime) -> Standing:
        """Return how it stands at a time."""
        return Standing() if self.until is not None and self.until <= now else self


UNASKED = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class McpPlan:
    servers: tuple[McpServer, ...] = ()
    """Those that may be started, each with what it offered last."""
    notes: tuple[str, ...] = ()
    """Why others are not there, a sentence each."""


NO_SERVERS = McpPlan()


def build_plan(servers: Sequence[tuple[McpServer, Standing]]) -> McpPlan:
    """Return what a task gets of its group's servers."""
    return McpPlan(
        servers=tuple(server for server, standing in servers if standing.is_yes),
        notes=tuple(_absence(server.name, standing) for server, standing in servers if not standing.is_yes),
    )


def with_servers(assignment: Assignment, plan: McpPlan) -> Assignment:
    """Return the assignment with the servers of a plan."""
    notes = "".join(f"\n\n{note}" for note in plan.notes)
    return replace(assignment, mcp=plan.servers, instructions=assignment.instructions + notes)


def _absence(name: str, standing: Standing) -> str:
    if standing.is_yes is False:
        return f"You do not have the MCP server {name}: an owner was asked about it and said no."
    how = f"; with /approve {standing.code} an owner does" if standing.code else ""
    return f"You do not have the MCP server {name} yet: nobody has said yes to it{how}. Say so if it is missed."
