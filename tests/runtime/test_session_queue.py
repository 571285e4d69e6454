"""The session queue: its words one by one, and a machine of random days that must keep every promise."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from protocol.ids import ChatKey, GroupId, MessageId
from runtime.session_queue import (
    MAX_MESSAGES_PER_TASK,
    MAX_WAITING_PER_SESSION,
    Lane,
    Refuse,
    SessionQueue,
    StartTask,
    Wait,
    Waiting,
)

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


class Days(RuleBasedStateMachine):
    """Messages come, tasks start and end, chats stop, limits change; a plain model of lists says what must hold."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.max_running = 2
        self.parallel = {GroupId(name): 1 for name in "abc"}
        self.queue = SessionQueue(max_running=self.max_running)
        self.seq = 0
        self.waiting: dict[Lane, list[Waiting]] = {}
        self.running: dict[Lane, GroupId] = {}
        self.seen: set[MessageId] = set()
        self.passed_over: dict[GroupId, int] = {}

    @rule(
        target=sessions,
        group=st.sampled_from("abc"),
        session=st.sampled_from(["s1", "s2", "s3"]),
        chat=st.sampled_from(["x", "y"]),
    )
    def comes(self, group: str, session: str, chat: str) -> Lane:
        """A message comes in."""
        self.seq += 1
        new = message(self.seq, GroupId(group), session, f"{group}-{chat}")
        assert self.queue.add(new) is None
        self.waiting.setdefault(new.lane, []).append(new)
        return new.lane

    @rule(session=sessions)
    def is_read_again(self, session: Lane) -> None:
        """The slow re-read finds messages that are known."""
        for known in self.waiting.get(session, []):
            assert self.queue.add(known) is None

    @rule()
    def starts_what_can(self) -> None:
        """All that can start does."""
        while isinstance(task := self.queue.start_next(self.parallel.__getitem__), StartTask):
            self._check_start(task)
        self._check_nothing_idles()

    def _check_start(self, task: StartTask) -> None:
        candidates = self._groups_that_could_start()
        assert task.group_id in candidates
        assert task.lane not in self.running, "two tasks of one session"
        waiting = self.waiting[task.lane]
        together = waiting[: len(task.message_ids)]
        assert tuple(each.work for each in together) == task.message_ids, "reordered or lost"
        assert {each.chat for each in together} == {task.chat}
        rest = waiting[len(task.message_ids) :]
        assert not rest or rest[0].chat != task.chat, "a message that could have been answered along was left"
        assert not self.seen & set(task.message_ids), "doubled"
        self.seen.update(task.message_ids)
        self.waiting[task.lane] = rest
        self.running[task.lane] = task.group_id
        for group in candidates - {task.group_id}:
            self.passed_over[group] = self.passed_over.get(group, 0) + 1
            assert self.passed_over[group] < len(self.parallel), "a group was passed over for the same one again"
        self.passed_over[task.group_id] = 0

    def _groups_that_could_start(self) -> set[GroupId]:
        running = list(self.running.values())
        return {
            waiting[0].group_id
            for session, waiting in self.waiting.items()
            if waiting
            and session not in self.running
            and running.count(waiting[0].group_id) < self.parallel[waiting[0].group_id]
        }

    def _check_nothing_idles(self) -> None:
        if len(self.running) < self.max_running:
            assert not self._groups_that_could_start(), "something could have started"

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_task_ends(self, data: st.DataObject) -> None:
        """Some running task ends."""
        session = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[session]
        self.queue.task_ended(session)

    @rule(group=st.sampled_from("abc"), chat=st.sampled_from(["x", "y"]))
    def a_chat_stops(self, group: str, chat: str) -> None:
        """Somebody says /stop in a chat."""
        key = ChatKey(f"{group}-{chat}")
        expected = sorted((each for waiting in self.waiting.values() for each in waiting if each.chat == key), key=_seq)
        assert self.queue.drop(key) == tuple(expected)
        for session, waiting in self.waiting.items():
            self.waiting[session] = [each for each in waiting if each.chat != key]

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
        for session, waiting in self.waiting.items():
            assert self.queue.waiting_count(session) == len(waiting)

    def teardown(self) -> None:
        """With every limit lifted and every task ending all that waits is answered: nothing starves."""
        self.parallel = dict.fromkeys(self.parallel, 2)
        self.passed_over.clear()
        for _ in range(sum(map(len, self.waiting.values())) + 1):
            self.starts_what_can()
            for session in list(self.running):
                del self.running[session]
                self.queue.task_ended(session)
        assert self.queue.waiting_count() == 0


def _seq(waiting: Waiting) -> tuple[int, int]:
    return waiting.order


TestDays = Days.TestCase
TestDays.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
