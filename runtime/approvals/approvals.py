"""Approvals: asks people, counts their words, tells whoever asked, and lets the clock end what nobody decides.

The rows are `store/approval_rows.py`'s, the rules `rules.py`'s, the cards `cards.py`'s. Every change is on disk before
it counts; whoever subscribed hears of an end at least once, over restarts too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId
from runtime.approvals import cards
from runtime.approvals.effect_text import cut_lines, effect_lines
from runtime.approvals.records import Approval, Decision, Kind, NewApproval, Remembered, Scope
from runtime.approvals.rules import (
    LEAST_DEADLINE_S,
    MAX_PAYLOAD_CHARS,
    MAX_QUORUM,
    MOST_DEADLINE_S,
    digest_of,
)
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store import approval_rows, decider_rows, decision_rows, remembered_rows
from runtime.store.payload_text import to_text
from runtime.store.store import Store

log = logging.getLogger(__name__)

SLOW_REREAD_S = 120.0
"""The rows are read again at least so often, in case a wake was lost."""
HANDLER_TIMEOUT_S = 30.0
"""How long one room may take to hear of an end; it hears of it again later."""
MAX_LISTED = 50

OnDecided = Callable[[Approval], Awaitable[None]]
"""Told of an approval's end: approved, denied, expired or withdrawn. It may be told of the same end twice."""
Chooser = Callable[[Approval, str, str], Awaitable[decision_rows.CarryOut]]
"""Makes what a yes does of the words behind it, such as an agent's name, and of who says them; OperationRefused."""


class Approvals:
    """What people are asked to decide."""

    def __init__(
        self,
        store: Store,
        *,
        wake_delivery: Callable[[], None],
        zone_name: Callable[[], str],
        files: Callable[[GroupId], Path],
    ) -> None:
        """`zone_name`: the zone whose night ends what holds until tonight. `files`: where a group's long cards go."""
        self._store = store
        self._wake_delivery = wake_delivery
        self._zone_name = zone_name
        self._files = files
        self._subscribers: dict[Kind, OnDecided] = {}
        self._choosers: dict[Kind, Chooser] = {}
        self._when_forgotten: list[Callable[[], None]] = []
        self._awake = asyncio.Event()

    def subscribe(self, kind: Kind, on_decided: OnDecided) -> None:
        """Have `on_decided` told of every end of this kind, also of those before this start that it has not heard of.
        Subscribe before `run` runs; one subscriber a kind."""
        if kind in self._subscribers:
            raise ValueError(f"approvals of the kind {kind} have a subscriber already")
        self._subscribers[kind] = on_decided

    def choose(self, kind: Kind, chooser: Chooser) -> None:
        """Have a yes to this kind say what it chooses."""
        self._choosers[kind] = chooser

    def when_forgotten(self, call: Callable[[], None]) -> None:
        """Have `call` called when a remembered decision holds no more by somebody's word."""
        self._when_forgotten.append(call)

    def has_choice(self, kind: Kind) -> bool:
        return kind in self._choosers

    async def ask(self, new: NewApproval) -> Approval:
        """Ask people, and return at once: waiting; or decided already, where the same is remembered or was approved and
        not used (then it is used now). Raises OperationRefused for what cannot be asked."""
        _check(new)
        path = await self._write_whole(new)
        approval = await self._store.write(approval_rows.ask, new, self._zone_name(), path)
        if approval.is_open:
            self._wake_delivery()
            self._awake.set()
            ids = {"approval_id": approval.approval_id, "kind": approval.kind, "group_id": approval.group_id}
            log.info("a person is asked", extra={"action": "approval_asked", **ids})
        return approval

    async def decide(
        self,
        reference: str,
        by: str,
        *,
        is_yes: bool,
        remember: Scope | None = None,
        edited: str | None = None,
        because: str = "",
        choice: str = "",
        carry_out: decision_rows.CarryOut | None = None,
    ) -> Decision:
        """Count somebody's word; `by` is a person's key or `cli`. `edited`: what a reviewer wants said instead.
        `because`: why not. `choice`: what is chosen with a yes, in words, of a kind that has a choice; `carry_out`:
        the same as what the yes does. Raises OperationRefused: unknown, not theirs, decided (by whom, when), run out,
        said already, a reach that it has not.
        """
        found = await self.find(reference)
        chooser = self._choosers.get(found.kind)
        if chooser is None and choice:
            raise OperationRefused("no_choice", f"{found.approval_id} is yes or no: there is nothing to choose")
        if chooser is not None and is_yes and carry_out is None:
            await self._store.read(decision_rows.check_vote, found.approval_id, by)
            carry_out = await chooser(found, choice.strip(), by)
        decision = await self._store.write(
            decision_rows.decide,
            found.approval_id,
            by,
            is_yes=is_yes,
            remember=remember,
            edited=edited,
            because=because,
            zone_name=self._zone_name(),
            carry_out=carry_out,
        )
        if decision.is_final:
            ids = {"approval_id": found.approval_id, "kind": found.kind, "group_id": found.group_id}
            log.info("a person decided", extra={"action": f"approval_{decision.approval.state}", **ids})
            self._wake_delivery()
            self._awake.set()
        return decision

    async def remembered(self, kind: Kind, group_id: GroupId | None, payload: Json) -> bool | None:
        """Return what was decided for this and still holds; None: nobody has."""
        found = await self._store.read(remembered_rows.remembered_for, kind, group_id, payload)
        return None if found is None else found.is_yes

    async def find(self, reference: str) -> Approval:
        """Return an approval by its code, or by what the proxy knows it by; raise OperationRefused."""
        found = await self._store.read(approval_rows.find, reference)
        if found is None:
            raise approval_rows.unknown(reference)
        return found

    async def waiting(self, by: str | None = None) -> tuple[Approval, ...]:
        """Return what nobody has decided yet, the oldest first; `by`: only what this person may decide."""
        return await self._store.read(approval_rows.waiting, by)

    async def may_see(self, approval: Approval, by: str) -> bool:
        """Return whether somebody may look at all of what is asked: who may decide it."""
        return await self._store.read(decider_rows.may_decide, approval, by)

    async def ended(self, limit: int = MAX_LISTED) -> tuple[Approval, ...]:
        """Return what was decided last, the newest first."""
        return await self._store.read(approval_rows.ended, limit)

    async def remembered_decisions(self) -> tuple[Remembered, ...]:
        return await self._store.read(remembered_rows.remembered)

    async def forget(self, decision_id: int, by: str) -> bool:
        """Let a remembered decision hold no more; False if it does not."""
        is_forgotten = await self._store.write(remembered_rows.forget, decision_id, by)
        for call in self._when_forgotten:
            call()
        return is_forgotten

    async def use(self, approval_id: str) -> bool:
        """Let go the one thing that was approved; False: it was let go before."""
        return await self._store.write(approval_rows.use, approval_id)

    async def withdraw(self, approval_id: str, reason: str) -> bool:
        """End a question that nobody waits for any more; `reason` is the host's own words."""
        done = await self._store.write(approval_rows.withdraw, approval_id, reason)
        self._awake.set()
        return done

    def wake(self) -> None:
        """Say that something may have been asked or decided behind this one's back: in another room's transaction."""
        self._awake.set()

    async def run(self) -> None:
        """End what runs out, remind, and tell those who asked, until cancelled."""
        while True:
            self._awake.clear()
            due = await insist(partial(self._store.write, approval_rows.take_due, self._zone_name()), "approvals")
            if due:
                self._wake_delivery()
            has_failed = await self._tell_all()
            await self._sleep(has_failed=has_failed)

    async def _tell_all(self) -> bool:
        """Tell each room of its ends; return whether one of them could not hear."""
        has_failed = False
        for approval in await self._store.read(approval_rows.untold):
            on_decided = self._subscribers.get(approval.kind)
            if on_decided is not None and not await self._tell(on_decided, approval):
                has_failed = True
                continue
            await self._tell_chats(approval)
            await insist(partial(self._store.write, approval_rows.told, approval.approval_id), "an approval")
        return has_failed

    async def _tell(self, on_decided: OnDecided, approval: Approval) -> bool:
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT_S):
                await on_decided(approval)
        except Exception:
            extra = {"action": "approval_untold", "approval_id": approval.approval_id, "kind": approval.kind}
            log.exception("a room could not hear of a decision; it is told again", extra=extra)
            return False
        return True

    async def _tell_chats(self, approval: Approval) -> None:
        """Say in the other chats with its card that it is decided; where it was decided the command has answered."""
        own = approval.decided_by
        for chat in await self._store.read(approval_rows.chats_of, approval.approval_id):
            if own and await self._is_chat_of(chat, own):
                continue
            key = f"approval:{approval.approval_id}:{chat}:{approval.state}"
            message = cards.build_decided(approval, chat)
            await insist(partial(self._store.put_outbound, key, message), "an approval's end")
        self._wake_delivery()

    async def _is_chat_of(self, chat: ChatKey, by: str) -> bool:
        return await self._store.read(decider_rows.is_chat_of, chat, by)

    async def _sleep(self, *, has_failed: bool) -> None:
        next_at = await self._store.read(approval_rows.next_at)
        seconds = SLOW_REREAD_S
        if next_at is not None and not has_failed:
            left_s = (datetime.fromisoformat(next_at) - datetime.now(UTC)).total_seconds()
            seconds = min(max(left_s, 0.05), SLOW_REREAD_S)
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _write_whole(self, new: NewApproval) -> str | None:
        """Write what a card cannot show whole into a file of the host's own; None where the card shows it."""
        lines = effect_lines(new.payload, new.lines)
        if new.group_id is None or not cut_lines(lines).left_out:
            return None
        digest = digest_of(new.kind, new.group_id, new.payload)
        path = self._files(new.group_id) / f"approval-{digest[:24]}.txt"
        await asyncio.to_thread(_write, path, "\n".join(lines) + "\n")
        return str(path)


def _check(new: NewApproval) -> None:
    """Refuse what no person could decide; a bug of the room that asks."""
    if not new.summary.strip():
        raise ValueError("an approval says in one line what is wanted")
    if not LEAST_DEADLINE_S <= new.deadline_s <= MOST_DEADLINE_S:
        raise ValueError(f"a deadline is {LEAST_DEADLINE_S:g} to {MOST_DEADLINE_S:g} seconds away")
    if not 1 <= new.quorum <= MAX_QUORUM or (isinstance(new.who, tuple) and len(new.who) < new.quorum):
        raise ValueError("a quorum is 1 to 10, and no more than those who may decide")
    if len(to_text(new.payload)) > MAX_PAYLOAD_CHARS:
        message = f"what is to be decided is longer than {MAX_PAYLOAD_CHARS // 1_000_000} million characters"
        raise OperationRefused("approval_too_large", message)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, "utf-8")
    part.replace(path)
