"""The head start of a message whose group is idle: its container is there before it is filed, and waits for it.

A spare is offered to the store, which files the message and begins its task in one transaction
(`store/begin_rows.py`). As soon as all is read that the task is built from, the agent is given it, while the store
still writes: what the agent asks for waits at the proxy until the transaction is on disk, and an agent whose task was
not stored is ended with nothing done. Whether there is room at all is the dispatcher's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from protocol.ids import AttemptId, ChatKey, GroupId, TaskId, mint
from protocol.message import InboundMessage
from protocol.task import Task
from runtime.attempt_plan import AttemptPlan, plan_attempt
from runtime.container_command import ContainerKind
from runtime.container_kinds import build_kind
from runtime.group import Group
from runtime.skills.catalogue import load_skills
from runtime.store.records import Begun, Claim, Filed, StartOffer, StoredMessage, TaskBeginning
from runtime.task_builder import plan_task
from runtime.task_desk import AgentSession, TaskDesk

log = logging.getLogger(__name__)

MAX_CHATS = 1_000
"""Chats whose group is remembered; in others a message goes the longer way once."""


@dataclass(slots=True, kw_only=True)
class HeadStart:
    """A container for a task that is perhaps about to begin: whoever holds it uses it or gives it back."""

    offer: StartOffer
    session: AgentSession
    group: Group
    kind: ContainerKind
    planned: asyncio.Future[Begun | None]
    """The task, as soon as it is about to be stored; None: the container is not used."""
    is_stopped: Callable[[], bool]
    """Whether somebody has stopped the task before it began."""
    plan: AttemptPlan | None = None
    """Of its first attempt, once its agent may have been told."""


class HeadStartDesk(Protocol):
    """The part of `dispatcher.Dispatcher` that lets a message's task begin with its filing."""

    async def offer(self, inbound: InboundMessage) -> HeadStart | None:
        """Return a container for a message, if its task may begin as soon as it is filed. To be settled."""

    def filing(self, head_start: HeadStart) -> None:
        """Hear that the message is being stored now. Returns at once."""

    def settle(self, head_start: HeadStart, filed: Filed | None) -> None:
        """Hear what became of it; None: it was not filed, now. Returns at once."""


class HeadStarts:
    """Makes offers of spares."""

    def __init__(self, desk: TaskDesk) -> None:
        self._desk = desk
        self._groups: OrderedDict[ChatKey, GroupId] = OrderedDict()

    def learn(self, message: StoredMessage) -> None:
        """Remember whom a chat talks to: which group a message is for is decided only when it is filed."""
        if message.group_id is not None:
            self._groups[message.inbound.chat] = message.group_id
            self._groups.move_to_end(message.inbound.chat)
            if len(self._groups) > MAX_CHATS:
                self._groups.popitem(last=False)

    def forget(self, chat: ChatKey) -> None:
        """Make no offer in a chat whose message turned out to need none, until one is queued there again: in a room of
        many most of what is said is not for the agent."""
        self._groups.pop(chat, None)

    def likely_group(self, inbound: InboundMessage) -> Group | None:
        """Return the group that a plain message is most likely for; None if it is not known, or cannot work now."""
        if inbound.kind != "message" or inbound.pending_files or inbound.text.startswith("/"):
            return None
        group_id = self._groups.get(inbound.chat)
        return self._desk.around.groups.ready.get(group_id) if group_id is not None else None

    async def run_ahead(self, head_start: HeadStart) -> None:
        """While the store works, give the agent its task as soon as that is known."""
        begun = await head_start.planned
        if begun is None or head_start.is_stopped():
            return
        plan = head_start.plan = self._plan(begun, head_start.group)
        if plan is not None:
            await head_start.session.hand_over_ahead(plan.lease, plan.assignment)

    def _plan(self, begun: Begun, group: Group) -> AttemptPlan | None:
        """Return the plan of a task's first attempt; None: the task's own run makes it. Whoever's message begins at
        once has no limits on what they may use (`inbound_filing.py`), so that no purse of theirs is looked up."""
        if begun.task is None:
            return None
        claim, transcript = begun.claim, begun.beginning.transcript
        row = replace(claim.task, spec=begun.task)
        try:
            return plan_attempt(self._desk, row, claim.attempt, begun.task, group, transcript=transcript)
        except Exception:
            # It would end the host. The task's own run meets it again and ends with a word.
            log.exception("a task could not be handed over ahead", extra={"action": "head_start_broke"})
            return None

    async def take(self, group: Group, is_stopped: Callable[[], bool]) -> HeadStart | None:
        """Take the group's spare for a message; None if there is none, or a skill needs a word in the log
        first."""
        skills, problems = load_skills(self._desk.fork, group.group_id, group.skills)
        if problems:
            return None
        kind = build_kind(group, skills, self._desk.settings.containers, self._desk.image_of(group), self._desk.home)
        session = await self._desk.containers.take_spare(kind)
        if session is None:
            return None
        loop = asyncio.get_running_loop()
        planned: asyncio.Future[Begun | None] = loop.create_future()
        offer = StartOffer(
            group_id=group.group_id,
            task_id=TaskId(mint("task")),
            attempt_id=AttemptId(mint("attempt")),
            door_id=session.door_id,
            container_id=session.container_id,
            nonce_hash=session.memory.nonce_hash,
            build=partial(self._build, group),
            when_planned=partial(_tell, loop, planned),
        )
        return HeadStart(offer=offer, session=session, group=group, kind=kind, planned=planned, is_stopped=is_stopped)

    def give_back(self, head_start: HeadStart) -> bool:
        """Have the container wait for another task; False where its agent may have been told of this one, so that it
        is to be ended. Returns at once."""
        if head_start.planned.done():
            return False
        head_start.planned.set_result(None)
        self._desk.containers.give_back(head_start.session.door_id, head_start.kind)
        return True

    def _build(self, group: Group, claim: Claim, beginning: TaskBeginning) -> Task | None:
        """Return the claim's task, None where more than this is needed: files for long texts."""
        messages = (*claim.context, *claim.messages)
        try:
            planned = plan_task(claim.task, messages, beginning, group, zone=self._desk.zone)
        except Exception:
            # It would undo the storing of the message. The task's own run meets it again and ends with a word.
            log.exception("a task could not be built ahead", extra={"action": "head_start_broke"})
            return None
        return None if planned.long_texts else planned.task


def _tell(loop: asyncio.AbstractEventLoop, planned: asyncio.Future[Begun | None], begun: Begun) -> None:
    """Called in the store's thread; the loop may be gone while that still works off what waited."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_resolve, planned, begun)


def _resolve(planned: asyncio.Future[Begun | None], begun: Begun) -> None:
    if not planned.done():
        planned.set_result(begun)
