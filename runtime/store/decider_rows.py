"""Rows of who decides: whose word counts for what, and in which chats they are asked.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). The rules
are `approvals/rules.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import ChatKey, GroupId, TaskId
from runtime.access import TERMINAL
from runtime.approvals import rules
from runtime.approvals.records import CLI, Approval, Who
from runtime.people.roles import reaches
from runtime.store.database import Transaction
from runtime.store.records import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    voter: str
    """The person's first key; `cli` for whoever sits at the machine."""
    role: Role | None
    identities: frozenset[str]


def chats_to_ask(transaction: Transaction, asked: Approval) -> tuple[ChatKey, ...]:
    """Return the direct chats of those who may decide, the one where the task began before others of its person."""
    return chats_of_role(transaction, asked.group_id, asked.who, asked.task_id)


def chats_of_role(
    transaction: Transaction, group_id: GroupId | None, who: Who, task_id: TaskId | None = None
) -> tuple[ChatKey, ...]:
    """Return the direct chats of some people, one of each platform; terminals only where there is no other."""
    found: dict[str, ChatKey] = {}
    terminals: list[ChatKey] = []
    own = transaction.one("direct_chat_of_task", task_id=task_id)
    if own is not None:
        decider = decider_of(transaction, own["person"], group_id)
        if rules.may_decide(who, own["person"], decider.role, decider.identities):
            found[f"{decider.voter} {own['chat'].partition(':')[0]}"] = ChatKey(own["chat"])
    for row in transaction.all("chats_of_deciders", group_id=group_id or ""):
        if row["person"].startswith(f"{TERMINAL}:"):
            terminals.append(ChatKey(row["chat"]))
            continue
        decider = decider_of(transaction, row["person"], group_id)
        channel = row["chat"].partition(":")[0]
        if rules.may_decide(who, row["person"], decider.role, decider.identities):
            found.setdefault(f"{decider.voter} {channel}", ChatKey(row["chat"]))
    may_terminal = rules.may_decide(who, f"{TERMINAL}:owner", "owner", frozenset())
    return tuple(found.values()) or (tuple(terminals[:1]) if may_terminal else ())


def may_decide(transaction: Transaction, asked: Approval, by: str) -> bool:
    decider = decider_of(transaction, by, asked.group_id)
    return rules.may_decide(asked.who, by, decider.role, decider.identities)


def is_chat_of(transaction: Transaction, chat: ChatKey, by: str) -> bool:
    """Whether a chat is somebody's direct one."""
    row = transaction.one("chat_person", chat=chat)
    if row is None or not row["person"]:
        return False
    return decider_of(transaction, row["person"], None).voter == decider_of(transaction, by, None).voter


def decider_of(transaction: Transaction, by: str, group_id: GroupId | None) -> Decider:
    if by == CLI or by.startswith(f"{TERMINAL}:"):
        return Decider(voter=CLI, role="owner", identities=frozenset((by,)))
    row = transaction.one("decider", by=by, group_id=group_id or "")
    if row is None:
        return Decider(voter=by, role=None, identities=frozenset())
    role, group_role = row["role"], row["group_role"]
    others = {each["identity"] for each in transaction.all("identities_of_decider", person=row["person"])}
    return Decider(
        voter=row["person"],
        role=group_role if group_role is not None and reaches(group_role, role) else role,
        identities=frozenset({row["person"], *others}),
    )
