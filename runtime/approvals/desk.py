"""What chats and the command line ask about decisions and constraints, in one place: `control/approvals.py` and
`commands/approvals.py` stand on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from protocol.ids import ChatKey, GroupId
from runtime.approvals.approvals import Approvals
from runtime.approvals.constraint_terms import Constraint, parse_constraint
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.rules import normal_id
from runtime.approvals.taint import Taints
from runtime.group import Groups
from runtime.refusal import OperationRefused
from runtime.store.constraint_rows import AddedConstraint
from runtime.store.store import Store


class ApprovalDesk:
    """The rooms of decisions, together."""

    def __init__(
        self,
        store: Store,
        approvals: Approvals,
        book: PolicyBook,
        taints: Taints,
        groups: Callable[[], Groups],
        zone_name: Callable[[], str],
    ) -> None:
        self.approvals = approvals
        self.book = book
        self.taints = taints
        self.zone_name = zone_name
        self._store = store
        self._groups = groups

    def constraints_of(
        self, group_id: GroupId | None
    ) -> tuple[tuple[GroupId, Constraint, AddedConstraint | None], ...]:
        """Return the constraints of a group, or of all, with who added them; OperationRefused for an unknown group."""
        if group_id is not None:
            self._groups().checked(group_id)
        chosen = self._group_ids() if group_id is None else (group_id,)
        return tuple(
            (each, constraint, self.book.added_to(each).get(constraint.constraint_id))
            for each in chosen
            for constraint in self.book.of(each)
        )

    async def add_constraint(self, group_id: GroupId, terms: str, by: str) -> AddedConstraint:
        """Have a constraint hold, as it is typed; OperationRefused for one that is none."""
        self._groups().checked(group_id)
        return await self.book.add(group_id, parse_constraint(terms), by)

    async def remove_constraint(self, group_id: GroupId, constraint_id: str, by: str) -> None:
        """Lift a constraint that was added; OperationRefused for one that is not there, or stands in a file."""
        self._groups().checked(group_id)
        known = constraint_id if constraint_id in self.book.added_to(group_id) else normal_id(constraint_id)
        await self.book.remove(group_id, known, by)

    async def group_of(self, chat: ChatKey) -> GroupId:
        """Return the agent that a chat is bound to; OperationRefused for none."""
        binding = await self._store.binding_of(chat)
        if binding is None:
            raise OperationRefused("unknown_chat", f"no agent is bound to the chat {chat[:80]!r}", "./nightyard pair")
        return binding.group_id

    def _group_ids(self) -> tuple[GroupId, ...]:
        def every() -> Iterator[GroupId]:
            yield from self._groups().ready
            yield from self._groups().suspended

        return tuple(every())
