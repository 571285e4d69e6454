"""The verbs of decisions and constraints: what waits for a person, their word, and what is always asked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from runtime.approvals.desk import ApprovalDesk
from runtime.approvals.records import CLI, Scope, ScopeWord, Until
from runtime.approvals.views import view_approval, view_constraint, view_decision, view_remembered, view_whole
from runtime.control.verb import VerbTable, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArguments:
    ended: bool = False
    """Also those that were decided last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowArguments:
    approval: str
    """Its code, or what the proxy calls it."""
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideArguments:
    approval: str
    scope: ScopeWord = "exact"
    until: Until | None = None
    """None: a yes counts once, a no for a day."""
    text: str | None = None
    """With a yes to an output: what is said instead."""
    because: str = ""
    choice: str = ""
    """With a yes to a chat or a person: which agent, in as what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetArguments:
    decision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintsArguments:
    group: GroupId | None = None
    """None: of all groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddArguments:
    group: GroupId
    terms: str
    """As in a chat: `host mail.example.org POST ask owner 1h`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveArguments:
    group: GroupId
    constraint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaintArguments:
    task: TaskId


def approval_verbs(desk: ApprovalDesk) -> VerbTable:
    """Return the verbs of approvals and constraints."""

    async def list_all(given: ListArguments) -> Json:
        return {
            "waiting": [view_approval(each) for each in await desk.approvals.waiting()],
            "ended": [view_approval(each) for each in await desk.approvals.ended()] if given.ended else [],
            "remembered": [
                view_remembered(each, (await desk.approvals.find(each.approval_id)).summary)
                for each in await desk.approvals.remembered_decisions()
            ],
        }

    async def show(given: ShowArguments) -> Json:
        return view_whole(await desk.approvals.find(given.approval), is_full=given.full)

    async def decide(given: DecideArguments, word: Literal["yes", "no"]) -> Json:
        is_yes = word == "yes"
        is_usual = given.until is None and given.scope == "exact"
        scope = None if is_usual else Scope(word=given.scope, until=given.until or ("once" if is_yes else "day"))
        decision = await desk.approvals.decide(
            given.approval,
            CLI,
            is_yes=is_yes,
            remember=scope,
            edited=given.text,
            because=given.because,
            choice=given.choice,
        )
        return view_decision(decision)

    async def forget(given: ForgetArguments) -> Json:
        return {"forgotten": await desk.approvals.forget(given.decision, CLI)}

    async def constraints(given: ConstraintsArguments) -> Json:
        found = desk.constraints_of(given.group)
        return {"constraints": [view_constraint(group_id, each, added) for group_id, each, added in found]}

    async def add(given: AddArguments) -> Json:
        made = await desk.add_constraint(given.group, given.terms, CLI)
        return {"constraint": made.constraint_id, "group": made.group_id}

    async def remove(given: RemoveArguments) -> Json:
        await desk.remove_constraint(given.group, given.constraint, CLI)
        return {}

    async def taint(given: TaintArguments) -> Json:
        found = await desk.taints.taint_of(given.task)
        return {"taint": [{"source": source, "origin": origin} for source, origin in found.sources]}

    return {
        "approval_list": verb(ListArguments, list_all),
        "approval_show": verb(ShowArguments, show),
        "approval_approve": verb(DecideArguments, lambda given: decide(given, "yes")),
        "approval_deny": verb(DecideArguments, lambda given: decide(given, "no")),
        "approval_forget": verb(ForgetArguments, forget),
        "constraint_list": verb(ConstraintsArguments, constraints),
        "constraint_add": verb(AddArguments, add),
        "constraint_remove": verb(RemoveArguments, remove),
        "taint_show": verb(TaintArguments, taint),
    }
