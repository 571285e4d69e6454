"""The room of time and of other agents, wired: schedules, agents that ask for them, delegations."""

from __future__ import annotations

from protocol.ids import GroupId
from runtime.approvals.house import DecisionHouse
from runtime.approvals.records import OUTPUT_KINDS
from runtime.asks.tool_sets import checked
from runtime.commands.schedules import schedule_handlers
from runtime.control.delegation import delegation_verbs
from runtime.control.schedules import schedule_verbs
from runtime.delegation.delegations import Delegations
from runtime.delegation.records import KIND as DELEGATE
from runtime.delivery import Delivery
from runtime.group import Groups
from runtime.home import Home
from runtime.host_state import HostState
from runtime.money.spending import Spending
from runtime.operations import Operations
from runtime.pauses import Pauses
from runtime.people.destinations import Destinations
from runtime.people.owners import Owners
from runtime.schedules.agent_door import KIND as SCHEDULE
from runtime.schedules.agent_door import AgentDoor
from runtime.schedules.room import Schedules
from runtime.store.records import TaskRow
from runtime.store.store import Store
from runtime.submissions import Submissions
from runtime.task_ends import TaskEnds
from runtime.waiting_tasks import WaitingTasks
from services.room import Room


def time_room(
    home: Home,
    store: Store,
    state: HostState,
    submissions: Submissions,
    decisions: DecisionHouse,
    *,
    destinations: Destinations,
    waiting: WaitingTasks,
    pauses: Pauses,
    ends: TaskEnds,
    operations: Operations,
    money: Spending,
    delivery: Delivery,
) -> Room:
    """Return the room, listening to what it needs to hear of."""

    def groups() -> Groups:
        return state.groups

    def is_held(group_id: GroupId) -> bool:
        return bool(pauses.of(group_id)) or money.holds_background(group_id)

    schedules = Schedules(
        store,
        submissions,
        state,
        owner_chats=Owners(store).owner_chats,
        is_held=is_held,
        addresses=destinations,
        wake_delivery=delivery.wake,
    )
    door = AgentDoor(store, schedules.desk, decisions.taints, waiting.resume)
    delegations = Delegations(
        store,
        submissions,
        decisions.taints,
        home,
        groups=groups,
        may_send=destinations.may_send,
        resume=waiting.resume,
    )

    def task_ended(row: TaskRow) -> None:
        schedules.keeper.task_ended(row)
        delegations.wake()

    ends.subscribe(task_ended)
    pauses.when_changed(schedules.keeper.wake)
    money.when_changed(schedules.keeper.wake)
    operations.when_unfrozen(schedules.keeper.wake)
    delivery.when_dead(schedules.keeper.wake)
    waiting.answer_kind(SCHEDULE, checked("schedule", door.asked, groups))
    waiting.answer_kind(DELEGATE, checked("delegate", delegations.asked, groups))
    decisions.approvals.subscribe("schedule", door.decided)
    for kind in OUTPUT_KINDS:
        decisions.approvals.subscribe(kind, delegations.reviewed)
    return Room(
        verbs={**schedule_verbs(schedules.desk), **delegation_verbs(store)},
        handlers=schedule_handlers(schedules.desk, store),
        parts=(schedules.keeper.run, delegations.run),
        wake=schedules.keeper.wake,
    )
