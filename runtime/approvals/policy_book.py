"""PolicyBook: the constraints and modes that hold now, from group.yaml and from what people added in chats.

It is read for each task that begins, and the store itself goes by what it writes there about outputs. What has begun
goes on under the constraints that it began with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

from protocol.ids import GroupId
from protocol.task import EgressRule
from protocol.tool_rules import ToolRule, find_rule
from runtime.approvals.constraint_terms import (
    MAX_CONSTRAINTS,
    Constraint,
    ConstraintSettings,
    build_constraint,
    egress_rules,
    read_duration_s,
    read_who,
    tool_rules,
)
from runtime.approvals.reviews import ReviewRule, SendRule
from runtime.approvals.rules import LEAST_DEADLINE_S
from runtime.group import Group, Groups
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store import constraint_rows, hold_rows
from runtime.store.constraint_rows import AddedConstraint
from runtime.store.store import Store

log = logging.getLogger(__name__)

FILE = "file"
"""Who changed a mount, where the host only finds the files changed."""
_NOBODY: Mapping[GroupId | None, str] = {}


class PolicyBook:
    """One for the whole host. `load` before any task begins."""

    def __init__(self, store: Store, groups: Callable[[], Groups], zone_name: Callable[[], str]) -> None:
        self._store = store
        self._groups = groups
        self._zone_name = zone_name
        self._added: tuple[AddedConstraint, ...] = ()
        self._reloaded = asyncio.Event()
        self._reloads: dict[GroupId | None, str] = {}
        """Who had which group read again (None: all), since `run` looked last."""

    async def load(self, by: Mapping[GroupId | None, str] = _NOBODY) -> None:
        """Read what was added, have the store go by all of it, and note which mounts were changed by whom."""

        def by_whom(group_id: GroupId) -> str:
            return by.get(group_id) or by.get(None) or FILE

        self._added = await self._store.read(constraint_rows.added)
        groups = tuple(self._groups().ready.values())
        await self._write_rules(groups)
        mounts = {(group_id, skill) for group_id, skills in self._groups().mounts.items() for skill in skills}
        came, went = await self._store.write(constraint_rows.set_mounts, mounts, by_whom)
        for what, changed in (("mounted", came), ("unmounted", went)):
            for group_id, skill in sorted(changed):
                extra = {"action": f"skill_{what}", "group_id": group_id, "skill": skill, "by": by_whom(group_id)}
                log.info("a skill was %s", what, extra=extra)

    def reload(self, by: str, group_id: GroupId | None = None) -> None:
        """Have it read again, by `run`: the settings were. `group_id`: the only group that `by` has changed; what else
        has changed was found in the files. Returns at once."""
        self._reloads[group_id] = by
        self._reloaded.set()

    async def run(self) -> None:
        """Follow reloads until cancelled."""
        while True:
            await self._reloaded.wait()
            self._reloaded.clear()
            reloads, self._reloads = self._reloads, {}
            await insist(partial(self.load, reloads), "policy")

    def of(self, group_id: GroupId) -> tuple[Constraint, ...]:
        """Return all that hold for a group: those of its file, then those that were added."""
        group = self._groups().ready.get(group_id)
        own = group.constraints if group is not None else ()
        added = (each for each in self._added if each.group_id == group_id)
        return (*own, *(build_constraint(each.constraint_id, each.settings) for each in added))

    def tool_rules(self, group_id: GroupId) -> tuple[ToolRule, ...]:
        """Return what an agent's assignment carries."""
        return tool_rules(self.of(group_id))

    def egress_rules(self, group_id: GroupId) -> tuple[EgressRule, ...]:
        """Return what its lease carries."""
        return egress_rules(self.of(group_id))

    def find(self, group_id: GroupId, constraint_id: str) -> Constraint | None:
        """Return one that holds now."""
        return next((each for each in self.of(group_id) if each.constraint_id == constraint_id), None)

    def for_tool(self, group_id: GroupId, tool: str, arguments: object) -> Constraint | None:
        """Return the strictest one that a call of a tool falls under."""
        rule = find_rule(self.tool_rules(group_id), tool, arguments)
        return None if rule is None else self.find(group_id, rule.rule_id)

    def added_to(self, group_id: GroupId) -> Mapping[str, AddedConstraint]:
        """Return those that were added to a group, by code."""
        return {each.constraint_id: each for each in self._added if each.group_id == group_id}

    async def add(self, group_id: GroupId, settings: ConstraintSettings, by: str) -> AddedConstraint:
        """Have a constraint hold from the next task on."""
        if len(self.of(group_id)) >= MAX_CONSTRAINTS:
            message = f"{group_id} has {MAX_CONSTRAINTS} constraints, which is as many as it may have"
            raise OperationRefused("too_many_constraints", message, f"./nightyard constraint list {group_id}")
        made = await self._store.write(constraint_rows.add, group_id, settings, by)
        self._added = (*self._added, made)
        await self._write_rules(tuple(self._groups().ready.values()))
        return made

    async def remove(self, group_id: GroupId, constraint_id: str, by: str) -> None:
        """Have an added constraint hold no more; one of the file is taken out of the file."""
        if self.find(group_id, constraint_id) is not None and constraint_id not in self.added_to(group_id):
            message = f"{constraint_id} stands in groups/{group_id}/group.yaml"
            raise OperationRefused("constraint_in_file", message, "edit the file, then ./nightyard config reload")
        if not await self._store.write(constraint_rows.remove, group_id, constraint_id, by):
            message = f"{group_id} has no constraint {constraint_id[:40]!r}"
            raise OperationRefused("constraint_unknown", message, f"./nightyard constraint list {group_id}")
        self._added = tuple(each for each in self._added if each.constraint_id != constraint_id)
        await self._write_rules(tuple(self._groups().ready.values()))

    async def _write_rules(self, groups: tuple[Group, ...]) -> None:
        zone = self._zone_name()
        await self._store.write(hold_rows.set_review_rules, tuple(_review_rule(group, zone) for group in groups))
        sends = tuple(_send_rule(group.group_id, each) for group in groups for each in self.of(group.group_id))
        await self._store.write(hold_rows.set_send_rules, tuple(each for each in sends if each is not None))


def _review_rule(group: Group, zone: str) -> ReviewRule:
    review = group.review
    return ReviewRule(
        group_id=group.group_id,
        mode=group.mode,
        who=read_who(review.who),
        quorum=review.quorum,
        deadline_s=read_duration_s(review.deadline) or LEAST_DEADLINE_S,
        sample_percent=review.sample_percent,
        zone=zone,
    )


def _send_rule(group_id: GroupId, constraint: Constraint) -> SendRule | None:
    if constraint.what != "destination":
        return None
    return SendRule(
        group_id=group_id,
        rule_id=constraint.constraint_id,
        name=constraint.pattern,
        then=constraint.then,
        who=constraint.who,
        quorum=constraint.quorum,
        deadline_s=constraint.deadline_s,
    )
