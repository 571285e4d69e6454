"""What one attempt needs before its agent can begin: which container, what its sockets may do, what it is told.

Made of rows, settings and what the agent has noted; nothing waits here. `task_run.py` makes it for each attempt,
`head_start.py` for a task that is just being stored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol.link import Assignment
from protocol.task import Lease, Task
from protocol.transcript import Entry, Step
from runtime.container_command import ContainerKind
from runtime.container_kinds import build_kind
from runtime.group import Group
from runtime.mcp.plan import with_servers
from runtime.memory_files import MEMORY
from runtime.money.payers import Payer
from runtime.skills.catalogue import load_skills
from runtime.standing_notes import read_notes
from runtime.store.records import AttemptRow, TaskRow
from runtime.task_builder import build_assignment, build_lease, fallbacks_of, model_of
from runtime.task_desk import TaskDesk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPlan:
    kind: ContainerKind
    task: Task
    """Under the limits that it has now."""
    lease: Lease
    assignment: Assignment


def plan_attempt(
    desk: TaskDesk,
    row: TaskRow,
    attempt: AttemptRow,
    task: Task,
    group: Group,
    *,
    transcript: Sequence[Entry],
    steps: Sequence[Step] = (),
    approved: Sequence[str] = (),
    payer: Payer | None = None,
    unsettled_since: str = "",
) -> AttemptPlan:
    """Return the attempt as the host's settings have it now. `transcript`: the session before the task; `steps`: what
    its earlier attempts have stored; `approved`: which of their calls somebody has said yes to since; `payer`:
    whose limits it counts for; `unsettled_since`: see `Lease`."""
    skills, problems = load_skills(desk.fork, group.group_id, group.skills)
    for problem in problems:
        extra = {"action": "skill_left_out", "group_id": group.group_id, "skill": problem.name}
        log.warning("a skill is left out: %s", problem.message, extra=extra)
    task = replace(task, limits=desk.money.limits_of(task))
    assignment = build_assignment(
        task,
        attempt,
        group,
        model_of(task, desk.usual_model(group, row.chat), desk.settings.routes),
        transcript=transcript,
        cards=[skill.card for skill in skills],
        delegates=desk.around.groups.delegates_of(group),
        steps=steps,
        notes=read_notes(desk.home.group(group.group_id) / MEMORY, row.chat),
        constraints=desk.constraints(group.group_id),
        destinations=desk.destinations(group.group_id),
        without=desk.absent_tools(group, row.chat),
        approved=approved,
    )
    assignment = with_servers(assignment, desk.mcp(group))
    return AttemptPlan(
        kind=build_kind(group, skills, desk.settings.containers, desk.image_of(group), desk.home),
        task=task,
        lease=plan_lease(desk, row, attempt, task, group, payer, unsettled_since),
        assignment=assignment,
    )


def plan_lease(
    desk: TaskDesk,
    row: TaskRow,
    attempt: AttemptRow,
    task: Task,
    group: Group,
    payer: Payer | None,
    unsettled_since: str,
) -> Lease:
    """Return what the attempt's sockets may do; `task` is under the limits that it has now."""
    model = model_of(task, desk.usual_model(group, row.chat), desk.settings.routes)
    models = (model, *fallbacks_of(task, group, model))
    purses = desk.money.purses_of(group, row.submitter, payer)
    return build_lease(task, attempt, models, purses, desk.constraints(group.group_id), unsettled_since)
