"""The day's purses as the host says them, for who pays from them without a task of the host's: its owner's tools.

A container's lease names what it pays from. A token's cannot, since the proxy makes it: it pays from the machine's
purse and its group's, as the host said last. That is kept, and holds with the host down too.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable

from credproxy.pipeline.ledger import Ledger
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import GroupId
from protocol.task import Purse

log = logging.getLogger(__name__)

PURSES_MARK = "purses"
"""Of the audit."""


class HousePurses:
    """One for the whole proxy."""

    def __init__(self, ledger: Ledger, changed: Callable[[], None]) -> None:
        """`changed` is called when limits are others. Returns at once."""
        self._ledger = ledger
        self._changed = changed
        self._names: frozenset[str] = frozenset()

    def load(self, text: str) -> None:
        """Take up what `dump` gave at the end; what cannot be read is no limit until the host says it again."""
        try:
            self.put(from_json(Purse, each) for each in json.loads(text or "[]"))
        except (ValueError, TypeError, ShapeError) as error:
            log.warning("the budgets are not known until the host says them: %s", error, extra={"action": "no_purses"})

    def put(self, purses: Iterable[Purse]) -> None:
        """Have these hold for all who pay from them, and none of those that were said before and are not among them."""
        new = {purse.name: purse for purse in purses}
        for name in self._names - new.keys():
            self._ledger.allow(Purse(name=name))
        for purse in new.values():
            self._ledger.allow(purse)
        self._names = frozenset(new)
        self._changed()

    def dump(self) -> str:
        return json.dumps([to_json(self._ledger.allowed(name)) for name in sorted(self._names)])

    def of(self, group_id: GroupId) -> tuple[Purse, ...]:
        """Return what a tool with a group's token pays from: one without a limit, too, since it may get one."""
        return tuple(self._ledger.allowed(name) for name in ("machine", f"group:{group_id}"))
