"""Brings waiting messages to agents: what may start is claimed and run, what may not is told why, all can be stopped.

`session_queue.py` decides the order, `admission.py` whether there is room, `task_run.py` runs each task; this file
wakes, asks and performs. It is the `Tasks` of `operations.py`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial

from protocol.ids import ChatKey, GroupId, TaskId
from protocol.link import Answered
from protocol.message import InboundMessage
from runtime.admission import NATIVE_AGENT_MB, NoRoom, decide_admission, load_room
from runtime.bursts import USUAL_HOLDS, Holds
from runtime.head_start import HeadStart, HeadStarts
from runtime.insist import insist
from runtime.operations import FREEZE_REASON, Stopped
from runtime.session_queue import Interrupt, Lane, Refuse, SessionQueue, StartTask, Waiting
from runtime.steering import Steering
from runtime.stops import Stops
from runtime.store.errors import ClaimRefused
from runtime.store.records import Begun, Filed, Original, StoredMessage, TaskRow
from runtime.store.submission_rows import StoredSubmission
from runtime.stored_work import claim, is_resumable, read_work, refuse
from runtime.task_desk import TaskDesk
from runtime.task_ends import TaskEnds
from runtime.task_run import TaskRun
from runtime.waiting_notices import Hindrance, WaitingNotices
from runtime.waiting_work import lane_of, waiting_message, waiting_resumption, waiting_submission
from runtime.work import Work, Works

log = logging.getLogger(__name__)

SLOW_REREAD_S = 60.0
"""The store is read again at least so often, in case a wake was lost."""
NO_ROOM_PAUSE_S = 5.0
REFUSED_PAUSE_S = 1.0
INTERRUPT_REASON = "a newer message took its place"
SUSPENDED = "suspended"


class Dispatcher:
    """Runs the tasks of all groups."""

    def __init__(self, desk: TaskDesk, holds: Holds = USUAL_HOLDS) -> None:
        self._desk = desk
        self._holds = holds
        self._queue = SessionQueue(max_running=desk.settings.containers.max_running, longest_hold_s=holds.longest_s)
        self._awake = asyncio.Event()
        self._must_reread = True
        self._is_closing = False
        self._read_at = 0.0
        """When the store was last read (monotonic)."""
        self._works = Works()
        self._notices = WaitingNotices(desk)
        self._stops = Stops(desk, self._queue, self._works, self._notices)
        self._steering = Steering(self._queue, self._works, self._notices)
        self._collecting: set[ChatKey] = set()
        """Chats whose messages wait for those that follow them."""
        self._head_starts = HeadStarts(desk)
        self._offered: dict[GroupId, Work] = {}
        """Groups with a container for a message that is being filed."""
        self._refused: list[tuple[Waiting, Refuse]] = []
        self.recovered = asyncio.Event()
        """Set when the tasks that an earlier host left are taken up and the queue is filled."""
        desk.waiting.when_answered(self.answered)
        desk.pauses.when_changed(self._awake.set)

    @property
    def ends(self) -> TaskEnds:
        """Who is told of each task's end."""
        return self._desk.ends

    # --- From the other rooms

    def wake(self) -> None:
        """Look at the store again: something was unfrozen or changed."""
        self._must_reread = True
        self._awake.set()

    def arrived(self, message: StoredMessage) -> None:
        """Take a message that has just been queued in the store."""
        self._head_starts.learn(message)
        if message.mode == "collect":
            self._collecting.add(message.inbound.chat)
        else:
            self._collecting.discard(message.inbound.chat)
        self._add(message)
        self._awake.set()

    def changed(self, task_id: TaskId, message: StoredMessage) -> None:
        """Have a task hear that a message it works on was edited or taken back."""
        self._steering.changed(task_id, message)

    def replaced(self, original: Original) -> None:
        """Hear that a waiting message says something else now."""
        self._steering.replaced(original)

    def withdrawn(self, original: Original) -> None:
        """Hear that a waiting message was taken back, and that the store has ended it."""
        self._steering.withdrawn(original)
        self._awake.set()

    def submitted(self, submission: StoredSubmission) -> None:
        """Take work that has just been queued in the store."""
        self._queue.add(waiting_submission(submission))
        self._awake.set()

    async def offer(self, inbound: InboundMessage) -> HeadStart | None:
        """Return a container for a message that is about to be filed, if nothing is before it anywhere; `settle`
        follows. Meanwhile nothing else of the group starts."""
        group = self._head_starts.likely_group(inbound)
        if group is None or group.group_id in self._offered or not self._is_calm_for(group.group_id):
            return None
        if inbound.chat in self._collecting or not self._parallel(group.group_id):
            return None
        work = self._offered[group.group_id] = Work(inbound.chat)
        self._works.add(work)
        head_start = None
        try:
            head_start = await self._head_starts.take(group, lambda: work.is_stopped)
        finally:
            if head_start is None:
                self._withdraw(group.group_id).settled.set()
        return head_start

    def filing(self, head_start: HeadStart) -> None:
        """Give the agent its task while the store works, as soon as that is known."""
        self._works.spawn(self._head_starts.run_ahead(head_start))

    def settle(self, head_start: HeadStart, filed: Filed | None) -> None:
        """Run the task that began at an offered container, or have the container wait again."""
        begun = filed.begun if filed is not None else None
        work = self._withdraw(head_start.offer.group_id)
        is_unused = begun is None or begun.task is None
        if is_unused and not self._head_starts.give_back(head_start):
            self._works.spawn(head_start.session.end("its task was not stored"))
        if filed is None and work.chat is not None:
            self._head_starts.forget(work.chat)
        if begun is None or not self._works.are_up:
            work.settled.set()
        if not self._works.are_up:
            return  # the host goes: what was stored is taken up by the next start
        if begun is not None:
            row = begun.claim.task
            work.lane = lane_of(row)
            self._queue.task_running(work.lane, row.group_id, row.chat)
            self._works.add(work)
            if not work.is_stopped:
                self._works.spawn(head_start.session.release())  # first: all that follows can wait a little
            self._works.spawn(self._go_on_with(work, begun, head_start))
        elif filed is not None:
            self.arrived(filed.message)

    async def _go_on_with(self, work: Work, begun: Begun, head_start: HeadStart) -> None:
        claim, row = begun.claim, replace(begun.claim.task, spec=begun.task)
        taken = head_start.session if begun.task is not None else None
        try:
            transcript, plan = begun.beginning.transcript, head_start.plan
            run = TaskRun(self._desk, row, claim, taken=taken, transcript=transcript, plan=plan)
            await self._begin(work, run, lane_of(row))
        finally:
            self._ended(work, lane_of(row))

    def _withdraw(self, group_id: GroupId) -> Work:
        work = self._offered.pop(group_id)
        self._works.remove(work)
        self._awake.set()
        return work

    def _is_calm_for(self, group_id: GroupId) -> bool:
        """Return whether a message of the group would start at once if it were queued now, with nobody before it. Room
        on the machine is not asked for: a spare has taken its own, and goes when the machine runs short."""
        is_up = self._works.are_up and self.recovered.is_set()
        is_dispatching = is_up and not self._is_closing and not self._must_reread
        has_place = self._queue.running_count() + len(self._offered) < self._desk.settings.containers.max_running
        is_idle = not self._queue.waiting_count() and not self._queue.running_count(group_id)
        return is_dispatching and has_place and is_idle

    async def stop_chat(self, chat: ChatKey, reason: str, keep_before: int = 0, *, tell: bool = False) -> Stopped:
        """Stop the chat's tasks and end its waiting messages. Whoever asked tells the chat."""
        return await self._stops.stop_chat(chat, reason, keep_before, tell=tell)

    def chat_moved(self, former: ChatKey, chat: ChatKey) -> None:
        """Have what runs and waits for a chat be found under its new key: it can be stopped there. Returns at once."""
        self._queue.chat_moved(former, chat)
        self._works.chat_moved(former, chat)

    async def show_progress(self, chat: ChatKey, line: str) -> None:
        """Show in a chat what is done just now."""
        await self._desk.show_progress(chat, line)

    async def stop_task(self, task_id: TaskId, reason: str) -> Stopped:
        """Stop one task that runs or waits for a person; its chat is told."""
        return await self._stops.stop_task(task_id, reason)

    async def stop_all(self, reason: str) -> Stopped:
        """Stop every task that runs or waits for a person; their chats are told. Waiting messages keep waiting."""
        return await self._stops.stop_all(reason)

    def hand_back(self, task_id: TaskId) -> None:
        """Have a task that only waits for an answer give its container back now. Returns at once."""
        for work in self._works.of_task(task_id):
            if work.run is not None:
                work.run.talk.stop_waiting()

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        """End a submission that waits or runs, as stopped; False if it has ended. Its chat is not told."""
        return await self._stops.cancel(submission, reason)

    async def close(self, grace_s: float) -> None:
        """Start nothing more, let running tasks finish for `grace_s`, then end their containers. The tasks themselves
        go on after the next start."""
        self._is_closing = True
        for work in self._works.all():
            if work.run is not None:
                work.run.talk.stop_waiting()
        try:
            async with asyncio.timeout(grace_s):
                await self.idle()
        except TimeoutError:
            async with asyncio.TaskGroup() as interrupting:
                for work in self._works.all():
                    interrupting.create_task(work.interrupt())
            await self.idle()

    @property
    def running_count(self) -> int:
        return len(self._works)

    # --- The loop

    async def run(self) -> None:
        """Dispatch until cancelled; then containers are left at work for the next start."""
        async with asyncio.TaskGroup() as tasks:
            self._works.open(tasks)
            try:
                await self._desk.pauses.load()
                tasks.create_task(self._desk.crash_holds.run())
                await self._take_up(tasks)
                await self._dispatch(tasks)
            finally:
                self._works.close()

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._awake.clear()
            if self._must_reread or self._now() >= self._read_at + SLOW_REREAD_S:
                await self._read_waiting()
            while self._refused:
                await refuse(self._desk, *self._refused.pop())
            pause_s = await self._start_what_may(tasks)
            self.recovered.set()
            try:
                async with asyncio.timeout(pause_s):
                    await self._awake.wait()
            except TimeoutError:
                continue

    async def _read_waiting(self) -> None:
        """Take in what waits by the store: after a start, and in case a wake was lost."""
        self._must_reread, self._read_at = False, self._now()
        for message in await self._desk.store.waiting_messages():
            self._add(message)
        async for waiting in read_work(self._desk.store):
            self._queue.add(waiting)

    async def _take_up(self, tasks: asyncio.TaskGroup) -> None:
        """Go on with the tasks that an earlier host left, all at once. Frozen: they end as if they had run then."""
        is_frozen = await self._desk.store.is_frozen()
        for row in await self._desk.store.running_tasks():
            self._queue.task_running(lane_of(row), row.group_id, None if row.submission_id else row.chat)
            tasks.create_task(self._go_on(row, is_frozen=is_frozen))

    async def _go_on(self, row: TaskRow, *, is_frozen: bool) -> None:
        run = TaskRun(self._desk, row)
        work = Work(row.chat, lane=lane_of(row))
        if is_frozen:
            await work.stop(FREEZE_REASON, tell=True)
        self._works.add(work)
        try:
            await self._begin(work, run, lane_of(row))
        finally:
            self._ended(work, lane_of(row))

    async def _start_what_may(self, tasks: asyncio.TaskGroup) -> float:
        """Start all that may start; return how long to sleep if nothing wakes us."""
        if self._is_closing or not self._queue.waiting_count():
            return SLOW_REREAD_S
        is_frozen = await self._desk.store.is_frozen()
        self._queue.max_running = self._desk.settings.containers.max_running - len(self._offered)
        no_room, until = None, None
        while not is_frozen:
            no_room = self._room()
            if no_room is not None:
                break
            start = self._queue.start_next(self._parallel, self._now())
            if not isinstance(start, StartTask):
                until = start.until
                break
            for started in start.works:
                self._notices.forget(started)
            tasks.create_task(self._start(start))
        hindrance = Hindrance(is_frozen=is_frozen, no_room=no_room)
        told_at = await self._notices.tell(self._queue, self._parallel, hindrance, self._now())
        due = [at - self._now() for at in (until, told_at) if at is not None]
        return max(0.0, min([*due, NO_ROOM_PAUSE_S if no_room else SLOW_REREAD_S]))

    async def _start(self, start: StartTask) -> None:
        """Claim messages or a submission as one task, or a task that goes on, and run it."""
        task_id = TaskId(start.works[0]) if start.kind == "resumption" else None
        work = Work(start.chat, lane=start.lane, task_id=task_id)
        self._works.add(work)
        try:
            found = await insist(partial(claim, self._desk.store, start), "a claim")
            await self._begin(work, TaskRun(self._desk, found.task, found), start.lane)
        except ClaimRefused as error:
            work.settled.set()
            log.warning("messages were not claimed: %s", error, extra={"action": "claim_refused"})
            # The session stays taken meanwhile: were the store to refuse again and again, it is not asked in a hurry.
            await asyncio.sleep(REFUSED_PAUSE_S)
            self._must_reread = True
        finally:
            self._ended(work, start.lane)

    async def _begin(self, work: Work, run: TaskRun, lane: Lane) -> None:
        """Run a task; one that waited for a person goes on as soon as there is an answer, be it already."""
        run.talk.when_taken_in = partial(self._queue.steered, lane)
        await work.begin(run)
        if run.is_suspended:
            self._works.spawn(self._look_for_answer(run.row))

    async def _look_for_answer(self, row: TaskRow) -> None:
        if await is_resumable(self._desk.store, row.task_id):
            self._resume(row)

    def _ended(self, work: Work, lane: Lane) -> None:
        self._works.remove(work)
        work.settled.set()
        self._queue.task_ended(lane)
        self._awake.set()

    def _parallel(self, group_id: GroupId) -> int:
        """Return how many tasks of a group may run at once now."""
        group = self._desk.around.groups.ready.get(group_id)
        if group is None or group_id in self._offered or self._desk.pauses.of(group_id):
            return 0
        if self._desk.lacks_image(group_id):
            return 0
        return group.parallel

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _room(self) -> NoRoom | None:
        limits = self._desk.settings.containers
        return decide_admission(
            load_room(self._desk.home.path),
            memory_floor_mb=limits.memory_floor_mb,
            disk_floor_mb=limits.disk_floor_mb,
            reserved_mb=self._works.starting * NATIVE_AGENT_MB,
        )

    def _add(self, message: StoredMessage) -> None:
        waiting = waiting_message(message, self._now(), self._holds)
        if waiting is None:
            return
        added = self._queue.add(waiting)
        if isinstance(added, Refuse):
            self._refused.append((waiting, added))
            return
        self._notices.note(waiting, self._now())
        if isinstance(added, Interrupt):
            self._works.stop(self._works.in_lane(added.lane), INTERRUPT_REASON, tell=False)
        self._steering.steer(waiting.lane)

    async def answered(self, task_id: TaskId, answered: Answered) -> None:
        """Bring an answer to its task: to the agent that waits for it, or have the task go on."""
        works = self._works.of_task(task_id)
        for work in works:
            if work.run is not None:
                await work.run.talk.answer(answered)
        row = await self._desk.store.task(task_id) if not works else None
        if row is not None and row.state == SUSPENDED:
            self._resume(row)

    def _resume(self, row: TaskRow) -> None:
        self._queue.add(waiting_resumption(row))
        self._awake.set()

    async def idle(self) -> None:
        """Return when no task is being claimed or runs."""
        await self._works.idle()
