"""The session queue: its words one by one, and a machine of random days that must keep every promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, starmap

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from protocol.ids import ChatKey, GroupId, MessageId, SubmissionId, TaskId
from runtime.bursts import USUAL_HOLDS
from runtime.session_queue import (
    MAX_MESSAGES_PER_TASK,
    MAX_WAITING_PER_SESSION,
    Interrupt,
    Lane,
    Place,
    Refuse,
    SessionQueue,
    StartTask,
    Wait,
    Waiting,
)
from runtime.store.records import QueueMode

LONGEST_HOLD_S = USUAL_HOLDS.longest_s
A, B = GroupId("a"), GroupId("b")


def one(_: GroupId) -> int:
    return 1


def message(seq: int, group: GroupId = A, session: str = "s1", chat: str = "c1") -> Waiting:
    return Waiting(
        order=(seq, 0),
        work=MessageId(f"m{seq}"),
        lane=Lane(f"{group}-{session}"),
        group_id=group,
        chat=ChatKey(chat),
    )


def queue_of(*messages: Waiting, max_running: int = 8) -> SessionQueue:
    queue = SessionQueue(max_running=max_running)
    for each in messages:
        assert queue.add(each) is None
    return queue


def started(queue: SessionQueue, parallel: Callable[[GroupId], int] = one) -> list[tuple[MessageId, ...]]:
    """Return the messages of all tasks that start now."""
    tasks = []
    while isinstance(task := queue.start_next(parallel), StartTask):
        tasks.append(task.message_ids)
    return tasks


def test_a_message_starts_a_task() -> None:
    """A message that nothing holds up starts at once, and an empty queue says that nothing waits."""
    queue = queue_of(message(1))
    assert started(queue) == [("m1",)]
    assert queue.start_next(one) == Wait(reason="nothing")


def test_what_waits_while_a_task_runs_is_the_next_task() -> None:
    """Messages of a session that came while its task ran are claimed together, in order."""
    queue = queue_of(message(1))
    started(queue)
    for seq in (2, 3, 4):
        queue.add(message(seq))
    assert queue.start_next(one) == Wait(reason="group")
    queue.task_ended(message(1).lane)
    assert started(queue) == [("m2", "m3", "m4")]


def test_a_group_runs_one_task_or_as_many_as_it_says() -> None:
    """Two sessions of a group take turns by default, run side by side with `parallel`, and not at all when held."""
    messages = (message(1), message(2, session="s2"))
    assert started(queue_of(*messages)) == [("m1",)]
    assert started(queue_of(*messages), lambda _: 2) == [("m1",), ("m2",)]
    assert started(queue_of(*messages), lambda _: 0) == []


def test_a_held_group_does_not_hold_others() -> None:
    """A suspended group's messages wait; the next group's start."""
    queue = queue_of(message(1), message(2, B))
    assert started(queue, lambda group: 0 if group == A else 1) == [("m2",)]


def test_the_machine_has_a_cap() -> None:
    """No more tasks start than the machine takes; when one ends the next starts."""
    queue = queue_of(message(1), message(2, B), max_running=1)
    assert started(queue) == [("m1",)]
    assert queue.start_next(one) == Wait(reason="machine")
    queue.task_ended(message(1).lane)
    assert started(queue) == [("m2",)]


def test_groups_take_turns() -> None:
    """A busy group does not keep a quiet one waiting: who started least recently is next."""
    busy = [message(seq, A, f"s{seq}") for seq in range(1, 5)]
    queue = queue_of(*busy, message(9, B), max_running=1)
    assert started(queue) == [("m1",)]
    queue.task_ended(busy[0].lane)
    assert started(queue) == [("m9",)]


def test_a_reply_goes_to_one_chat() -> None:
    """In a session that chats share only messages of one chat are answered together."""
    queue = queue_of(message(1, chat="c1"), message(2, chat="c2"), message(3, chat="c2"))
    assert started(queue) == [("m1",)]
    queue.task_ended(message(1).lane)
    assert started(queue) == [("m2", "m3")]


def test_a_message_is_taken_once() -> None:
    """A re-read of the store changes nothing for messages that wait or are being answered."""
    queue = queue_of(message(1))
    queue.add(message(1))
    assert started(queue) == [("m1",)]
    queue.add(message(1))
    assert queue.waiting_count() == 0


def test_a_message_found_late_takes_its_place() -> None:
    """A message that a lost wake left in the store goes before the younger ones."""
    queue = queue_of(message(3), message(2))
    assert started(queue) == [("m2", "m3")]


def test_a_session_that_nobody_can_answer_is_bounded() -> None:
    """Beyond the bound a message is refused; one task takes no more than its share."""
    queue = queue_of(*(message(seq) for seq in range(MAX_WAITING_PER_SESSION)))
    assert queue.add(message(9999)) == Refuse(waiting=MAX_WAITING_PER_SESSION)
    assert queue.add(message(9999, session="s2")) is None
    (first,) = started(queue)
    assert len(first) == MAX_MESSAGES_PER_TASK


def test_stop_takes_a_chats_messages_out() -> None:
    """/stop ends what waits in its chat, leaves other chats alone, and what runs is still running."""
    queue = queue_of(message(1), message(2, B, chat="c2"))
    started(queue)
    queue.add(message(4))
    queue.add(message(3, session="s2"))
    queue.add(message(5, B, chat="c2"))
    assert [each.work for each in queue.drop(ChatKey("c1"))] == ["m3", "m4"]
    assert queue.waiting_count() == 1
    assert queue.running_count() == 2


def test_a_task_taken_up_after_a_restart_counts() -> None:
    """A session whose task has survived the host waits for it like for one of its own."""
    queue = queue_of(message(2))
    queue.task_running(message(2).lane, A)
    assert (queue.is_running(message(2).lane), queue.running_count(A), queue.running_count(B)) == (True, 1, 0)
    assert started(queue) == []
    queue.task_ended(message(2).lane)
    assert started(queue) == [("m2",)]


def test_a_message_goes_into_the_task_that_runs() -> None:
    """Each is handed over once, in order; it waits until the task has taken it in."""
    queue = queue_of(message(1))
    started(queue)
    queue.add(message(2))
    queue.add(message(3))
    assert queue.steer_next(message(1).lane) == ("m2", "m3")
    assert queue.steer_next(message(1).lane) == ()
    queue.steered(message(1).lane, (MessageId("m2"),))
    assert queue.waiting_count() == 1
    queue.add(message(2))
    queue.task_ended(message(1).lane)
    assert started(queue) == [("m3",)]


def test_only_a_task_of_the_same_chat_hears_of_a_message() -> None:
    """Not one of another chat, not a submission, and never past a message that waits its turn."""
    queue = queue_of(message(1))
    started(queue)
    queue.add(replace(message(2), mode="follow_up"))
    queue.add(message(3))
    assert queue.steer_next(message(1).lane) == ()
    queue = queue_of(message(1))
    started(queue)
    queue.add(message(4, chat="c2"))
    queue.add(message(5))
    assert queue.steer_next(message(1).lane) == ()
    scheduled = Waiting(
        order=(4, 1), work=SubmissionId("sub"), lane=Lane("a-s9"), group_id=A, chat=ChatKey("c1"), kind="submission"
    )
    queue = queue_of(scheduled)
    assert isinstance(queue.start_next(one), StartTask)
    queue.add(message(5, session="s9"))
    assert queue.steer_next(Lane("a-s9")) == ()


def test_an_interrupting_message_says_what_to_stop() -> None:
    """Only a task of its own chat; while nothing runs it is a message like any."""
    queue = queue_of(replace(message(1), mode="interrupt"))
    started(queue)
    assert queue.add(replace(message(2), mode="interrupt")) == Interrupt(lane=message(1).lane)
    assert queue.add(replace(message(3, chat="c2"), mode="interrupt")) is None


def test_follow_ups_start_one_by_one() -> None:
    """Each is answered alone, in order."""
    queue = queue_of(*(replace(message(seq), mode="follow_up") for seq in (1, 2)))
    assert started(queue) == [("m1",)]
    queue.task_ended(message(1).lane)
    assert started(queue) == [("m2",)]


def collected(seq: int, at: float, hold_s: float = 1.5) -> Waiting:
    return replace(message(seq), mode="collect", arrived_at=at, hold_s=hold_s)


def test_a_burst_waits_for_its_end() -> None:
    """Each message puts the start off, a media message or a button ends the wait, and so does the clock."""
    queue = queue_of(collected(1, 100.0))
    assert queue.start_next(one, 100.0) == Wait(reason="more", until=101.5)
    queue.add(collected(2, 101.0))
    assert queue.start_next(one, 101.6) == Wait(reason="more", until=102.5)
    task = queue.start_next(one, 102.5)
    assert isinstance(task, StartTask)
    assert task.message_ids == ("m1", "m2")

    queue = queue_of(collected(1, 100.0), collected(2, 100.1, hold_s=0.0))
    assert isinstance(queue.start_next(one, 100.1), StartTask)


def test_pieces_of_a_paste_are_one_message_in_every_mode() -> None:
    """Whatever the mode, what came in time after a piece is answered along with it; a follow-up that came later is not,
    nor one after the last piece."""
    for mode in MODES:
        first = replace(message(1), mode=mode, arrived_at=100.0, hold_s=3.0)
        last = replace(message(2), mode=mode, arrived_at=101.0)
        queue = queue_of(first)
        assert queue.start_next(one, 100.0) == Wait(reason="more", until=103.0)
        queue.add(last)
        queue.add(replace(message(3), mode="follow_up", arrived_at=101.5))
        task = queue.start_next(one, 101.6)
        assert isinstance(task, StartTask)
        assert task.message_ids == ("m1", "m2"), mode
    queue = queue_of(first, replace(message(2), mode="follow_up", arrived_at=103.0))
    assert started(queue) == [], "it waits for its next piece"
    task = queue.start_next(one, 103.0)
    assert isinstance(task, StartTask)
    assert task.message_ids == ("m1",)


def test_who_never_stops_typing_is_answered_all_the_same() -> None:
    """A burst has an end, however long it goes on."""
    queue = queue_of(*(collected(seq, 100.0 + seq) for seq in range(20)))
    assert queue.start_next(one, 100.0 + LONGEST_HOLD_S - 0.1) == Wait(reason="more", until=100.0 + LONGEST_HOLD_S)
    assert isinstance(queue.start_next(one, 100.0 + LONGEST_HOLD_S), StartTask)


def test_a_burst_of_one_chat_holds_no_other() -> None:
    """While one group's message waits for more, the next group's starts."""
    queue = queue_of(collected(1, 100.0), message(2, B))
    task = queue.start_next(one, 100.0)
    assert isinstance(task, StartTask)
    assert task.message_ids == ("m2",)


def test_a_submission_takes_its_place_among_messages() -> None:
    """After the messages that were there when it came, before those that came later; in a task of its own."""
    scheduled = Waiting(
        order=(1, 1),
        work=SubmissionId("sub"),
        lane=message(1).lane,
        group_id=A,
        chat=ChatKey("c1"),
        kind="submission",
    )
    queue = queue_of(message(1), message(2), scheduled)
    kinds = []
    while isinstance(task := queue.start_next(one), StartTask):
        kinds.append((task.kind, task.works))
        queue.task_ended(task.lane)
    assert kinds == [("message", ("m1",)), ("submission", ("sub",)), ("message", ("m2",))]


def test_a_task_that_goes_on_goes_first() -> None:
    """It has waited for a person already."""
    resumed = Waiting(
        order=(0, 0), work=TaskId("task"), lane=message(1).lane, group_id=A, chat=ChatKey("c1"), kind="resumption"
    )
    queue = queue_of(message(1), resumed)
    task = queue.start_next(one)
    assert isinstance(task, StartTask)
    assert (task.kind, task.works, task.message_ids) == ("resumption", ("task",), ())


def test_a_place_in_line_counts_what_starts_before() -> None:
    """Of the group alone while the machine has room, of all in turn when it is full; None for what is not in line."""
    queue = queue_of(message(1), message(2, session="s2"), message(3, session="s3"), message(4, B), max_running=1)
    assert isinstance(queue.start_next(one), StartTask)
    assert queue.place(message(4, B), one) == Place(number=1, behind="machine")
    assert queue.place(message(2, session="s2"), one) == Place(number=2, behind="machine")
    queue.add(message(5, B, session="s2"))
    assert queue.place(message(2, session="s2"), one) == Place(number=2, behind="machine")
    assert queue.place(message(5, B, session="s2"), one) == Place(number=3, behind="machine")
    queue.max_running = 5
    assert queue.place(message(3, session="s3"), one) == Place(number=2, behind="group")
    assert queue.place(message(1), one) is None, "it runs"
    assert queue.place(message(3, session="s3"), lambda _: 0) is None, "its group is held back"


def test_who_waits_behind_their_own_conversation_is_in_line() -> None:
    """Behind the task of their session: each follow-up for itself, another chat's messages together; not what the task
    is told, nor what is answered along with what is before it."""
    queue = queue_of(*(replace(message(seq), mode="follow_up") for seq in (1, 2, 3)))
    assert isinstance(queue.start_next(one), StartTask)
    assert [queue.place(message(seq), one) for seq in (2, 3)] == [
        Place(number=1, behind="session"),
        Place(number=2, behind="session"),
    ]
    queue = queue_of(message(1))
    assert isinstance(queue.start_next(one), StartTask)
    told, other, along = message(2), message(3, chat="c2"), message(4, chat="c2")
    for each in (told, other, along):
        queue.add(each)
    assert queue.steer_next(told.lane) == ("m2",)
    assert queue.place(told, one) is None
    assert queue.place(other, one) == Place(number=1, behind="session")
    assert queue.place(along, one) is None


def test_work_is_withdrawn_once() -> None:
    """What a person takes back does not start; what does not wait is not found."""
    queue = queue_of(message(1), message(2))
    assert queue.withdraw(message(2).lane, MessageId("m2"))
    assert not queue.withdraw(message(2).lane, MessageId("m2"))
    assert started(queue) == [("m1",)]


MODES: tuple[QueueMode, ...] = ("steer", "follow_up", "collect", "interrupt")


def may_go_along(before: Waiting, after: Waiting) -> bool:
    if {before.kind, after.kind} != {"message"} or before.chat != after.chat:
        return False
    if before.mode != "follow_up" != after.mode:
        return True
    return after.arrived_at - before.arrived_at < before.hold_s


class Days(RuleBasedStateMachine):
    """Messages and submissions come, tasks start, hear of more and end, chats stop, limits change, time passes; a plain
    model of lists says what must hold."""

    lanes = Bundle("lanes")

    def __init__(self) -> None:
        super().__init__()
        self.max_running = 2
        self.parallel = {GroupId(name): 1 for name in "abc"}
        self.queue = SessionQueue(max_running=self.max_running)
        self.now = 1_000.0
        self.seq = 0
        self.submissions = 0
        self.waiting: dict[Lane, list[Waiting]] = {}
        self.running: dict[Lane, StartTask] = {}
        self.offered: dict[Lane, list[str]] = {}
        self.seen: set[str] = set()
        self.passed_over: dict[GroupId, int] = {}

    @rule(
        target=lanes,
        group=st.sampled_from("abc"),
        session=st.sampled_from(["s1", "s2", "s3"]),
        chat=st.sampled_from(["x", "y"]),
        mode=st.sampled_from(MODES),
        hold_s=st.sampled_from([0.0, 1.5, 4.0]),
    )
    def comes(self, group: str, session: str, chat: str, mode: QueueMode, hold_s: float) -> Lane:
        """A message comes in; one that interrupts says so exactly where its own chat's task runs."""
        self.seq += 1
        new = replace(
            message(self.seq, GroupId(group), session, f"{group}-{chat}"),
            mode=mode,
            arrived_at=self.now,
            hold_s=hold_s,
        )
        running = self.running.get(new.lane)
        is_interrupt = mode == "interrupt" and running is not None and running.kind == "message"
        is_interrupt = is_interrupt and running is not None and running.chat == new.chat
        assert self.queue.add(new) == (Interrupt(lane=new.lane) if is_interrupt else None)
        self.waiting.setdefault(new.lane, []).append(new)
        return new.lane

    @rule(target=lanes, group=st.sampled_from("abc"), session=st.sampled_from(["s1", "s2", None]))
    def is_submitted(self, group: str, session: str | None) -> Lane:
        """Work comes that no message brought, in a session or in none."""
        self.submissions += 1
        work = SubmissionId(f"sub{self.submissions}")
        new = Waiting(
            order=(self.seq, self.submissions),
            work=work,
            lane=Lane(f"{group}-{session}" if session else work),
            group_id=GroupId(group),
            chat=None,
            kind="submission",
        )
        assert self.queue.add(new) is None
        self.waiting.setdefault(new.lane, []).append(new)
        return new.lane

    @rule(lane=lanes)
    def is_read_again(self, lane: Lane) -> None:
        """The slow re-read finds work that is known."""
        for known in self.waiting.get(lane, []):
            self.queue.add(known)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        """The monotonic clock goes on."""
        self.now += seconds

    @rule()
    def starts_what_can(self) -> None:
        """All that can start does."""
        while isinstance(task := self.queue.start_next(self.parallel.__getitem__, self.now), StartTask):
            self._check_start(task)
        self._check_nothing_idles(task)

    def _check_start(self, task: StartTask) -> None:
        candidates = self._groups_that_could_start()
        assert task.group_id in candidates
        assert task.lane not in self.running, "two tasks of one session"
        waiting = self.waiting[task.lane]
        together, rest = waiting[: len(task.works)], waiting[len(task.works) :]
        assert tuple(each.work for each in together) == task.works, "reordered or lost"
        assert {each.chat for each in together} == {task.chat}
        assert all(starmap(may_go_along, pairwise(together))), "what is to be answered alone was not"
        assert not rest or not may_go_along(together[-1], rest[0]), "what could have been answered along was left"
        assert not self.seen & set(task.works), "doubled"
        self.seen.update(task.works)
        self.waiting[task.lane] = rest
        self.running[task.lane] = task
        for group in candidates - {task.group_id}:
            self.passed_over[group] = self.passed_over.get(group, 0) + 1
            assert self.passed_over[group] < len(self.parallel), "a group was passed over for the same one again"
        self.passed_over[task.group_id] = 0

    def _is_complete(self, waiting: list[Waiting]) -> bool:
        """Return whether what a lane begins with waits for nothing more."""
        burst: list[Waiting] = []
        for each in waiting:
            if burst and not may_go_along(burst[-1], each):
                break
            burst.append(each)
        if not burst or any(not each.hold_s for each in burst):
            return True
        newest = burst[-1].arrived_at + burst[-1].hold_s
        return self.now >= min(newest, burst[0].arrived_at + LONGEST_HOLD_S)

    def _groups_that_could_start(self) -> set[GroupId]:
        running = [task.group_id for task in self.running.values()]
        return {
            waiting[0].group_id
            for lane, waiting in self.waiting.items()
            if waiting
            and lane not in self.running
            and self._is_complete(waiting)
            and running.count(waiting[0].group_id) < self.parallel[waiting[0].group_id]
        }

    def _check_nothing_idles(self, wait: Wait) -> None:
        if len(self.running) < self.max_running:
            assert not self._groups_that_could_start(), "something could have started"
        if wait.reason == "more":
            assert wait.until is not None
            assert wait.until > self.now, "asked to be asked again at once"

    @rule(lane=lanes)
    def running_task_is_told(self, lane: Lane) -> None:
        """What may go into the running task is handed to it once, in order, and waits on."""
        task, told = self.running.get(lane), list(self.queue.steer_next(lane))
        expected = []
        for each in self.waiting.get(lane, []):
            if task is None or task.kind != "message" or each.chat != task.chat:
                break
            if each.kind != "message" or each.mode != "steer":
                break
            expected.append(each.work)
        assert self.offered.get(lane, []) + told == expected
        self.offered[lane] = list(expected)

    @precondition(lambda self: any(self.offered.values()))
    @rule(data=st.data())
    def running_task_takes_some_in(self, data: st.DataObject) -> None:
        """The model has seen the first of them: they are the task's, and wait no more."""
        lane = data.draw(st.sampled_from(sorted(lane for lane, offered in self.offered.items() if offered)))
        count = data.draw(st.integers(1, len(self.offered[lane])))
        taken = tuple(MessageId(work) for work in self.offered[lane][:count])
        self.queue.steered(lane, taken)
        assert not self.seen & set(taken), "doubled"
        self.seen.update(taken)
        self.offered[lane] = self.offered[lane][count:]
        self.waiting[lane] = [each for each in self.waiting[lane] if each.work not in taken]

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_task_ends(self, data: st.DataObject) -> None:
        """Some running task ends; what it was told and did not take in waits as before."""
        lane = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[lane]
        self.offered.pop(lane, None)
        self.queue.task_ended(lane)

    @rule(group=st.sampled_from("abc"), chat=st.sampled_from(["x", "y"]))
    def a_chat_stops(self, group: str, chat: str) -> None:
        """Somebody says /stop in a chat."""
        key = ChatKey(f"{group}-{chat}")
        expected = sorted(
            (each for waiting in self.waiting.values() for each in waiting if each.chat == key), key=_order
        )
        assert self.queue.drop(key) == tuple(expected)
        dropped = {each.work for each in expected}
        for lane, waiting in self.waiting.items():
            self.waiting[lane] = [each for each in waiting if each.work not in dropped]
            self.offered[lane] = [work for work in self.offered.get(lane, []) if work not in dropped]

    @rule(lane=lanes, data=st.data())
    def one_is_withdrawn(self, lane: Lane, data: st.DataObject) -> None:
        """One piece of waiting work is taken back."""
        if self.waiting.get(lane):
            each = data.draw(st.sampled_from(self.waiting[lane]))
            assert self.queue.withdraw(lane, each.work)
            self.waiting[lane].remove(each)
            self.offered[lane] = [work for work in self.offered.get(lane, []) if work != each.work]

    @rule(group=st.sampled_from("abc"), parallel=st.integers(0, 3), max_running=st.integers(1, 4))
    def limits_change(self, group: str, parallel: int, max_running: int) -> None:
        """Settings are read again, a budget is spent, a group is held back or let go."""
        self.parallel[GroupId(group)] = parallel
        self.max_running = self.queue.max_running = max_running
        self.passed_over.clear()

    @invariant()
    def counts_agree(self) -> None:
        """What the queue counts is what is there: nothing lost, nothing doubled."""
        assert self.queue.waiting_count() == sum(map(len, self.waiting.values()))
        assert self.queue.running_count() == len(self.running)
        for lane, waiting in self.waiting.items():
            assert self.queue.waiting_count(lane) == len(waiting)

    @invariant()
    def places_are_in_line(self) -> None:
        """In each conversation one place follows the other, from 1 on behind its own task; the first ones of the other
        conversations are all different. What the running task was handed has none."""
        firsts: dict[object, list[int]] = {}
        for lane, waiting in self.waiting.items():
            places = [self.queue.place(each, self.parallel.__getitem__, self.now) for each in waiting]
            offered = self.offered.get(lane, [])
            assert not any(place for each, place in zip(waiting, places, strict=True) if each.work in offered)
            taken = [place for place in places if place is not None]
            if not taken:
                continue
            assert [place.number for place in taken] == list(range(taken[0].number, taken[0].number + len(taken)))
            if lane in self.running:
                assert (taken[0].number, taken[0].behind) == (1, "session")
            else:
                key = None if self.queue.is_full else waiting[0].group_id
                firsts.setdefault(key, []).append(taken[0].number)
        assert all(len(set(numbers)) == len(numbers) for numbers in firsts.values())

    def teardown(self) -> None:
        """With every limit lifted and every task ending all that waits is answered: nothing starves."""
        self.parallel = dict.fromkeys(self.parallel, 2)
        self.passed_over.clear()
        self.now += 60.0
        for _ in range(sum(map(len, self.waiting.values())) + 1):
            self.starts_what_can()
            for lane in list(self.running):
                del self.running[lane]
                self.offered.pop(lane, None)
                self.queue.task_ended(lane)
        assert self.queue.waiting_count() == 0


def _order(waiting: Waiting) -> tuple[int, int]:
    return waiting.order


TestDays = Days.TestCase
TestDays.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
