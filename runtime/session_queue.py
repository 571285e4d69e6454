"""Which waiting work becomes a task now: one session in order, one task of it at a time, groups in turn. Pure.

The queue is memory only and can be lost: it is rebuilt from the store's queued messages and submissions, and from the
suspended tasks that have their answer. Claiming what it says to start, and telling it when a task has ended, is
dispatcher.py's business. Times are monotonic and come in as arguments.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NewType

from protocol.ids import ChatKey, GroupId, MessageId, SubmissionId, TaskId
from runtime.bursts import USUAL_HOLDS
from runtime.chat_key import moved_key
from runtime.store.records import QueueMode

MAX_MESSAGES_PER_TASK = 100
"""Messages that one task answers together; what waits beyond them is the next task's."""
MAX_WAITING_PER_SESSION = 500
"""Above this a session's further messages are refused with a word, rather than answered days later."""

Lane = NewType("Lane", str)
"""What is worked on one after the other: a session; work without one is a lane of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Work that waits, as far as the order of work concerns it."""

    order: tuple[int, int]
    """A message: its seq, and 0. A submission: the newest seq when it came, and its own number, from 1."""
    work: MessageId | SubmissionId | TaskId
    lane: Lane
    group_id: GroupId
    chat: ChatKey | None
    kind: Literal["message", "submission", "resumption"] = "message"
    """`resumption`: a suspended task that has its answer."""
    mode: QueueMode = "steer"
    """Of messages: what becomes of those that come while the answer to an earlier one is made."""
    arrived_at: float = 0.0
    hold_s: float = 0.0
    """Of messages: how long after this one more is waited for. 0: it ends the wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTask:
    """Claim this as one task: messages in order, or one submission, or one task that goes on. The lane counts as
    running until `task_ended`."""

    lane: Lane
    group_id: GroupId
    chat: ChatKey | None
    kind: Literal["message", "submission", "resumption"]
    works: tuple[MessageId | SubmissionId | TaskId, ...]

    @property
    def message_ids(self) -> tuple[MessageId, ...]:
        return tuple(MessageId(work) for work in self.works) if self.kind == "message" else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing can start now: nothing waits, the machine is full, all that waits is behind its session or group, or more
    is waited for."""

    reason: Literal["nothing", "group", "machine", "more"]
    until: float | None = None
    """When to ask again, if nothing happens before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The message is not taken: too many wait in its session."""

    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """The message is taken, and the task of its lane is to be stopped for it."""

    lane: Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in line work waits."""

    number: int
    """From 1: how many starts away it is, by what waits now."""
    behind: Literal["session", "group", "machine"]
    """What is busy: the task of its own conversation, other conversations of its group, or the whole machine."""


@dataclass(slots=True)
class _Running:
    group_id: GroupId
    steers: ChatKey | None
    """The chat whose messages may go into the task."""
    underway: set[str]
    """What it answers."""
    offered: set[str]
    """What waits and was handed to it, and it has not taken in."""


class SessionQueue:
    """The waiting work by lane, and the lanes that a task runs for."""

    def __init__(self, *, max_running: int, longest_hold_s: float = USUAL_HOLDS.longest_s) -> None:
        self.max_running = max_running
        """Tasks on this machine at once; may be changed at any time."""
        self._longest_hold_s = longest_hold_s
        self._waiting: dict[Lane, list[Waiting]] = {}
        self._running: dict[Lane, _Running] = {}
        self._last_started: dict[GroupId, int] = {}
        self._starts = 0

    def __repr__(self) -> str:
        return f"<SessionQueue waiting={self.waiting_count()} running={len(self._running)}/{self.max_running}>"

    def add(self, new: Waiting) -> Refuse | Interrupt | None:
        """Take queued work; what waits or is being worked on already changes nothing."""
        waiting = self._waiting.get(new.lane, [])
        running = self._running.get(new.lane)
        if any(each.work == new.work for each in waiting) or (running is not None and new.work in running.underway):
            return None
        if new.kind == "message" and len(waiting) >= MAX_WAITING_PER_SESSION:
            return Refuse(waiting=len(waiting))
        bisect.insort(waiting, new, key=lambda each: each.order)
        self._waiting[new.lane] = waiting
        is_interrupt = new.kind == "message" and new.mode == "interrupt"
        if is_interrupt and running is not None and running.steers == new.chat:
            return Interrupt(lane=new.lane)
        return None

    def start_next(self, parallel: Callable[[GroupId], int], now: float = 0.0) -> StartTask | Wait:
        """Say what to start now, if anything; call again until it says Wait.

        `parallel` gives how many tasks of a group may run at once; 0 holds the group back (suspended, budget spent).
        """
        if not self._waiting:
            return Wait(reason="nothing")
        if self.is_full:
            return Wait(reason="machine")
        heads = self._startable(parallel)
        if not heads:
            return Wait(reason="group")
        ready = [head for head in heads if self._ready_at(head.lane) <= now]
        if not ready:
            return Wait(reason="more", until=min(self._ready_at(head.lane) for head in heads))
        return self._start(min(ready, key=self._turn))

    def steer_next(self, lane: Lane) -> tuple[MessageId, ...]:
        """Return messages that wait and go into the lane's running task now, oldest first; each is returned once. They
        wait on until `steered` says that the task has taken them in."""
        running = self._running.get(lane)
        if running is None or running.steers is None:
            return ()
        steered = []
        for each in self._waiting.get(lane, ())[:MAX_MESSAGES_PER_TASK]:
            if each.kind != "message" or each.mode != "steer" or each.chat != running.steers:
                break
            if each.work not in running.offered:
                running.offered.add(each.work)
                steered.append(MessageId(each.work))
        return tuple(steered)

    def steered(self, lane: Lane, message_ids: tuple[MessageId, ...]) -> None:
        """Note that the lane's running task has taken these in: they do not wait any more."""
        taken: set[str] = set(message_ids)
        self._remove(lane, taken)
        running = self._running.get(lane)
        if running is not None:
            running.offered -= taken
            running.underway |= taken

    def task_running(self, lane: Lane, group_id: GroupId, steers: ChatKey | None = None) -> None:
        """Count a task that runs already: one taken up after a restart, or begun with its message's filing."""
        self._running[lane] = _Running(group_id, steers, underway=set(), offered=set())

    def task_ended(self, lane: Lane) -> None:
        """Let the lane go on; what was handed to its task and not taken in waits as before. Also after a claim that the
        store refused: what was to be claimed is not waiting any more."""
        self._running.pop(lane, None)

    def drop(self, chat: ChatKey, keep_before: int = 0) -> tuple[Waiting, ...]:
        """Take out what waits for a chat (`/stop`) and return it, oldest first; what runs is not touched. What was
        stored before the message of number `keep_before` is left, but for tasks that would go on."""
        dropped = [
            each for each in self.waiting_of(chat) if each.kind == "resumption" or each.order >= (keep_before, 0)
        ]
        for each in dropped:
            self._remove(each.lane, {each.work})
        return tuple(dropped)

    def chat_moved(self, former: ChatKey, chat: ChatKey) -> None:
        """Know a chat by the key that its platform gave it."""
        for lane, waiting in self._waiting.items():
            self._waiting[lane] = [
                replace(each, chat=moved_key(each.chat, former, chat)) if each.chat is not None else each
                for each in waiting
            ]
        for running in self._running.values():
            running.steers = moved_key(running.steers, former, chat) if running.steers is not None else None

    def waiting_of(self, chat: ChatKey) -> list[Waiting]:
        """Return what waits for a chat, oldest first."""
        found = (each for waiting in self._waiting.values() for each in waiting if each.chat == chat)
        return sorted(found, key=lambda each: each.order)

    def withdraw(self, lane: Lane, work: MessageId | SubmissionId | TaskId) -> bool:
        """Take one piece of waiting work out; False if it does not wait."""
        if not any(each.work == work for each in self._waiting.get(lane, ())):
            return False
        self._remove(lane, {work})
        return True

    def place(self, work: Waiting, parallel: Callable[[GroupId], int], now: float = 0.0) -> Place | None:
        """Return where in line work is; None if it is not in line: it is answered along with what is before it, is
        handed to the task that runs, waits for more, does not wait, or its group is held back."""
        running = self._running.get(work.lane)
        offered = running.offered if running is not None else ()
        waiting = [each for each in self._waiting.get(work.lane, ()) if each.work not in offered]
        before = next((number for number, task in enumerate(_tasks(waiting)) if task[0].work == work.work), None)
        if before is None or not parallel(work.group_id):
            return None
        if running is not None:
            return Place(number=before + 1, behind="session")
        if self._ready_at(work.lane) > now:
            return None
        behind: Literal["group", "machine"] = "machine" if self.is_full else "group"
        return Place(number=before + self._place_of_lane(waiting[0]), behind=behind)

    def _place_of_lane(self, mine: Waiting) -> int:
        """Return how many starts away is what a lane without a task begins with."""
        heads = [waiting[0] for each, waiting in self._waiting.items() if each not in self._running]
        if not self.is_full:  # only its own group is busy
            heads = [head for head in heads if head.group_id == mine.group_id]
        last, place = dict(self._last_started), 0
        while True:
            place += 1
            head = min(heads, key=lambda each: (last.get(each.group_id, -1), each.order))
            if head.lane == mine.lane:
                return place
            heads.remove(head)
            last[head.group_id] = self._starts + place

    @property
    def is_full(self) -> bool:
        """Whether as many tasks run as the machine takes."""
        return len(self._running) >= self.max_running

    def running_count(self, group_id: GroupId | None = None) -> int:
        """Return how many tasks run: of a group, or of all."""
        if group_id is None:
            return len(self._running)
        return sum(1 for running in self._running.values() if running.group_id == group_id)

    def waiting_count(self, lane: Lane | None = None) -> int:
        """Return how much waits: in a lane, or in all."""
        if lane is not None:
            return len(self._waiting.get(lane, ()))
        return sum(map(len, self._waiting.values()))

    def is_running(self, lane: Lane) -> bool:
        return lane in self._running

    def _turn(self, head: Waiting) -> tuple[int, tuple[int, int]]:
        """Return what orders heads: the group that started least recently first, then what came first."""
        return self._last_started.get(head.group_id, -1), head.order

    def _startable(self, parallel: Callable[[GroupId], int]) -> list[Waiting]:
        """Return the oldest work of each lane that may start."""
        running: dict[GroupId, int] = {}
        for each in self._running.values():
            running[each.group_id] = running.get(each.group_id, 0) + 1
        heads = (waiting[0] for lane, waiting in self._waiting.items() if lane not in self._running)
        return [head for head in heads if running.get(head.group_id, 0) < parallel(head.group_id)]

    def _ready_at(self, lane: Lane) -> float:
        """Return when what a lane begins with is complete."""
        held = next(_tasks(self._waiting[lane]))
        if len(held) == MAX_MESSAGES_PER_TASK or any(not each.hold_s for each in held):
            return 0.0
        return min(held[-1].arrived_at + held[-1].hold_s, held[0].arrived_at + self._longest_hold_s)

    def _start(self, head: Waiting) -> StartTask:
        works = tuple(each.work for each in next(_tasks(self._waiting[head.lane])))
        self._remove(head.lane, set(works))
        steers = head.chat if head.kind == "message" else None
        self._running[head.lane] = _Running(head.group_id, steers, underway=set(works), offered=set())
        self._starts += 1
        self._last_started[head.group_id] = self._starts
        return StartTask(lane=head.lane, group_id=head.group_id, chat=head.chat, kind=head.kind, works=works)

    def _remove(self, lane: Lane, works: set[str]) -> None:
        left = [each for each in self._waiting.get(lane, ()) if each.work not in works]
        if left:
            self._waiting[lane] = left
        else:
            self._waiting.pop(lane, None)


def _tasks(waiting: Sequence[Waiting]) -> Iterator[list[Waiting]]:
    """Yield the tasks that a lane's work makes, in order."""
    task: list[Waiting] = []
    for each in waiting:
        if task and (len(task) == MAX_MESSAGES_PER_TASK or not _goes_along(task[-1], each)):
            yield task
            task = []
        task.append(each)
    if task:
        yield task


def _goes_along(before: Waiting, each: Waiting) -> bool:
    """Return whether a message is answered along with the one before it: of the same chat, since a reply goes to one.
    Follow-ups are answered one by one, but for what came while the one before was still waiting for more."""
    if before.kind != "message" or each.kind != "message" or before.chat != each.chat:
        return False
    is_one_by_one = "follow_up" in (before.mode, each.mode)
    return not is_one_by_one or each.arrived_at < before.arrived_at + before.hold_s
