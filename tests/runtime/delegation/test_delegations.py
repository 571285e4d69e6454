"""One agent asks another, over a real store, with hosts that die at every point."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import ChatKey, FileId, GroupId, TaskId
from protocol.link import Answered, Ask
from protocol.message import OutboundMessage
from protocol.task import Effects, ModelRoute, Task, TaskResult, TaskStatus
from runtime.approvals.approvals import Approvals
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import CLI, Taint, TaintSource
from runtime.asks.tool_sets import checked
from runtime.delegation.decisions import MAX_PER_PAIR_AN_HOUR
from runtime.delegation.delegations import Delegations
from runtime.delegation.records import HandedFile
from runtime.group import Group, Groups
from runtime.home import Home
from runtime.refusal import OperationRefused
from runtime.store import delegation_rows, submission_rows
from runtime.store.records import Binding, MessageState, NewOutbound, TaskRow
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import StoredSubmission
from runtime.submissions import NewSubmission, Submissions
from runtime.task_ends import TaskEnds
from runtime.waiting_tasks import Asked, WaitingTasks
from tests.runtime.schedules.bench import House, Killed, MortalRoom, Queue

MAIN, SIDE, THIRD = GroupId("main"), GroupId("side"), GroupId("third")
CHAT = ChatKey("telegram:100")
MODEL = ModelRoute(route="r", api="anthropic", model="m")


class Read:
    """What tasks have read of others' words."""

    def __init__(self) -> None:
        self.sources: dict[TaskId, tuple[tuple[TaintSource, str], ...]] = {}

    async def taint_of(self, task_id: TaskId) -> Taint:
        return Taint(sources=self.sources.get(task_id, ()))

    async def mark(self, task_id: TaskId, source: TaintSource, origin: str) -> None:
        self.sources[task_id] = (*self.sources.get(task_id, ()), (source, origin))


class Bench:
    def __init__(self, store: Store, home: Home) -> None:
        self.store = store
        self.home = home
        self.house = House()
        self.house.groups = Groups(
            ready={
                MAIN: Group(group_id=MAIN, instructions="", model=MODEL, delegates=("side", "gone")),
                SIDE: Group(group_id=SIDE, instructions="", model=MODEL, delegates=("main", "third")),
                THIRD: Group(group_id=THIRD, instructions="", model=MODEL, delegates=("main",)),
            },
            suspended={},
        )
        self.read = Read()
        self.room = MortalRoom(Submissions(store, self.house, Queue(store), TaskEnds()))
        self.answers: list[Answered] = []
        self.waiting = WaitingTasks(store)
        self.waiting.when_answered(self._answered)
        self.delegations = self.new_host()

    def new_host(self) -> Delegations:
        """Another host's delegations over the same store."""
        self.room.dies = ""
        self.delegations = Delegations(
            self.store,
            self.room,
            self.read,
            self.home,
            groups=lambda: self.house.groups,
            may_send=lambda group_id, chat: False,
            resume=self.waiting.resume,
        )
        return self.delegations

    async def _answered(self, task_id: TaskId, answered: Answered) -> None:
        self.answers.append(answered)

    async def task(self, group_id: GroupId = MAIN, chat: ChatKey | None = CHAT) -> TaskRow:
        """A task that a person's words began."""
        new = NewSubmission(submitter="cli", group_id=group_id, prompt="Ask around", chat=chat)
        submission = await self.room.submit(new)
        return (await self.store.write(submission_rows.claim, submission.submission_id)).task

    async def ask(self, task: TaskRow, to: str = "side", call_id: str = "call_1", **more: object) -> str | None:
        """Have a task ask: its question is stored, and its room is told."""
        payload = {"to": to, "prompt": "Look this up", **more}
        ask = Ask(call_id=call_id, kind="delegate", payload=payload)
        await self.waiting.asked(task, ask)
        return await self.delegations.asked(Asked(task=task, ask=ask))

    async def queued(self) -> tuple[StoredSubmission, ...]:
        return await self.store.read(submission_rows.waiting_submissions, 100)

    async def begin(self) -> TaskRow:
        """Have the one submission that is queued become a task."""
        (submission,) = await self.queued()
        return (await self.store.write(submission_rows.claim, submission.submission_id)).task

    async def work(self, result: TaskResult) -> TaskRow:
        """End the one task that is queued so."""
        task = await self.begin()
        await self.store.finish_task(task.task_id, result, message_state=MessageState.ANSWERED)
        return task

    async def file(self, task: TaskRow, call_id: str, name: str, content: str) -> None:
        """A file that a task's agent has sent to the host."""
        file = HandedFile(
            task_id=task.task_id,
            call_id=call_id,
            file_id=FileId(f"file_{call_id}"),
            name=name,
            size_bytes=len(content),
            sha256=hashlib.sha256(content.encode()).hexdigest(),
        )
        outbox = self.home.group(task.group_id) / "outbox"
        outbox.mkdir(parents=True, exist_ok=True)
        (outbox / file.file_id).write_text(content)
        await self.store.write(delegation_rows.add_handed_file, file, task.group_id)

    async def begin_reviews(self) -> Approvals:
        """Make the group side a copilot."""
        side = replace(self.house.groups.ready[SIDE], mode="copilot")
        self.house.groups = Groups(ready={**self.house.groups.ready, SIDE: side}, suspended={})
        await PolicyBook(self.store, lambda: self.house.groups, lambda: "UTC").load()
        return Approvals(
            self.store, wake_delivery=lambda: None, zone_name=lambda: "UTC", files=lambda group: self.home.path
        )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_store(tmp_path) as store:
        yield Bench(store, Home(tmp_path))


DONE = TaskResult(status=TaskStatus.REPLY, text="It is 42.")


async def test_the_answer_comes_back_to_who_asked(bench: Bench) -> None:
    """The other agent works for no chat; what it says last is the output of the call that asked, once."""
    task = await bench.task()
    assert await bench.ask(task) is None
    await bench.delegations.look()
    (submission,) = await bench.queued()
    new = submission.new
    assert (new.submitter, new.group_id, new.chat, new.session, new.trust) == (
        "group:main",
        SIDE,
        None,
        "none",
        "agent",
    )
    assert new.prompt.startswith("Look this up\n\n[The agent main asks this.")
    await bench.work(DONE)
    for _ in range(3):
        await bench.delegations.look()
    assert bench.answers == [Answered(call_id="call_1", answer="side answers:\n\nIt is 42.")]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            TaskResult(status=TaskStatus.FAILED, code="round_limit", reason="Too long."),
            "side could not do it: Too long.",
        ),
        (TaskResult(status=TaskStatus.STOPPED, reason="stopped by a person"), "side was stopped: stopped by a person"),
    ],
)
async def test_failed_work_comes_back_as_an_error(bench: Bench, result: TaskResult, words: str) -> None:
    """What could not be done is told as an error with its reason, so that the asking agent can go on."""
    await bench.ask(await bench.task())
    await bench.delegations.look()
    await bench.work(result)
    await bench.delegations.look()
    await bench.delegations.look()
    assert bench.answers == [Answered(call_id="call_1", answer=words, is_error=True)]


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("yes", "side answers:\n\nIt is 42.\n\nFiles from it:"),
        ("edit", "side answers:\n\nIt is 43.\n\nFiles from it:"),
        ("no", "side could not do it: a person looked at it and said no: wrong."),
    ],
)
async def test_a_copilots_answer_waits_for_a_review(bench: Bench, word: str, answer: str) -> None:
    """Neither words nor files reach the asking agent before an owner has let them go, over a restart too."""
    approvals = await bench.begin_reviews()
    await bench.ask(await bench.task())
    await bench.delegations.look()
    work = await bench.begin()
    await bench.file(work, "f1", "table.csv", "1,2")
    await bench.store.finish_task(work.task_id, DONE, message_state=MessageState.ANSWERED)
    for _ in range(3):
        await bench.new_host().look()
    assert bench.answers == [] and not list(bench.home.inbox(MAIN).glob("*"))
    (asked,) = await approvals.waiting()
    assert asked.payload == {
        "to": "group:main",
        "text": "It is 42.",
        "files": [{"file": "table.csv", "bytes": 3, "sha256": hashlib.sha256(b"1,2").hexdigest()}],
    }
    edited = "It is 43." if word == "edit" else None
    await approvals.decide(asked.approval_id, CLI, is_yes=word != "no", edited=edited, because="wrong")
    for _ in range(2):
        await bench.delegations.look()
    (answered,) = bench.answers
    assert answered.answer.startswith(answer) and answered.is_error == (word == "no")
    assert len(list(bench.home.inbox(MAIN).glob("*"))) == (0 if word == "no" else 1)


async def test_an_answer_that_is_shown_in_a_chat_is_reviewed_once_for_both(bench: Bench) -> None:
    """The card of the chat decides also what the asking agent is told."""
    approvals = await bench.begin_reviews()
    await bench.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=SIDE))
    await bench.ask(await bench.task(), deliver=True)
    await bench.delegations.look()
    work = await bench.begin()
    shown = NewOutbound(step="reply", message=OutboundMessage(chat=CHAT, text="It is 42."))
    await bench.store.finish_task(work.task_id, DONE, outbound=[shown], message_state=MessageState.ANSWERED)
    await bench.delegations.look()
    (asked,) = await approvals.waiting()
    assert bench.answers == [] and await bench.store.outbox_of(work.task_id) == ()
    await approvals.decide(asked.approval_id, CLI, is_yes=True, edited="It is 43.")
    for _ in range(2):
        await bench.delegations.look()
    assert [each.answer for each in bench.answers] == ["side answers:\n\nIt is 43."]
    assert [each.message.text for each in await bench.store.outbox_of(work.task_id)] == ["It is 43."]


async def test_a_stopped_task_takes_the_review_of_its_answer_along(bench: Bench) -> None:
    """Nobody is asked about an answer for which nobody waits."""
    approvals = await bench.begin_reviews()
    task = await bench.task()
    await bench.ask(task)
    await bench.delegations.look()
    await bench.work(DONE)
    await bench.delegations.look()
    assert len(await approvals.waiting()) == 1
    await bench.store.finish_task(task.task_id, TaskResult(status=TaskStatus.STOPPED, reason="stopped by a person"))
    await bench.delegations.look()
    assert await approvals.waiting() == ()


@pytest.mark.parametrize("point", ["before", "after", "noting"])
async def test_a_host_killed_anywhere_asks_once_and_answers_once(bench: Bench, point: str) -> None:
    """Killed before or after handing the work over, or while noting its end: the next host goes on."""
    task = await bench.task()
    await bench.ask(task)
    if point == "noting":
        await bench.delegations.look()
        await bench.work(DONE)
    bench.room.dies = point
    with pytest.raises(Killed):
        await bench.delegations.look()
    bench.new_host()
    await bench.ask(task)
    await bench.delegations.look()
    if point != "noting":
        await bench.work(DONE)
    for _ in range(3):
        await bench.delegations.look()
    assert await bench.queued() == ()
    assert [answer.answer for answer in bench.answers] == ["side answers:\n\nIt is 42."]


async def test_a_circle_is_broken(bench: Bench) -> None:
    """The agent that was asked cannot ask back: who stands behind its work is known from the store."""
    await bench.ask(await bench.task())
    await bench.delegations.look()
    inner = await bench.begin()
    with pytest.raises(OperationRefused, match="main asks side asks main") as caught:
        await bench.ask(inner, to="main", call_id="call_2")
    assert caught.value.code == "loop"


async def test_a_circle_of_three_is_broken(bench: Bench) -> None:
    """Who stands behind the work is handed on: the third agent cannot ask the first, and the second not the first."""
    await bench.ask(await bench.task())
    await bench.delegations.look()
    second = await bench.begin()
    await bench.ask(second, to="third", call_id="call_2")
    await bench.delegations.look()
    third = await bench.begin()
    with pytest.raises(OperationRefused, match="main asks side asks third asks main") as caught:
        await bench.ask(third, to="main", call_id="call_3")
    assert caught.value.code == "loop"


async def test_a_pair_that_asks_without_end_is_held(bench: Bench) -> None:
    """After ten requests of one task the eleventh is refused."""
    task = await bench.task()
    for number in range(10):
        await bench.ask(task, call_id=f"call_{number}")
        await bench.delegations.look()
        await bench.work(DONE)
        await bench.delegations.look()
    with pytest.raises(OperationRefused) as caught:
        await bench.ask(task, call_id="call_10")
    assert caught.value.code == "too_often"


async def test_work_goes_four_agents_deep_and_no_further(bench: Bench) -> None:
    """Three times it may be handed on; the fourth agent does it itself, and the answers find their way back."""
    names = [GroupId(f"deep{number}") for number in range(5)]
    groups = {
        name: Group(group_id=name, instructions="", model=MODEL, delegates=tuple(names[number + 1 : number + 2]))
        for number, name in enumerate(names)
    }
    bench.house.groups = Groups(ready=groups, suspended={})
    task = await bench.task(names[0])
    for number in range(1, 4):
        await bench.ask(task, to=names[number], call_id=f"call_{number}")
        await bench.delegations.look()
        task = await bench.begin()
        assert task.group_id == names[number]
    with pytest.raises(OperationRefused, match="handed on 3 times already") as caught:
        await bench.ask(task, to=names[4], call_id="call_4")
    assert caught.value.code == "too_deep"
    await bench.store.finish_task(task.task_id, DONE, message_state=MessageState.ANSWERED)
    await bench.delegations.look()
    await bench.delegations.look()
    assert [answer.answer for answer in bench.answers] == ["deep3 answers:\n\nIt is 42."]


async def test_a_pair_is_held_over_all_its_tasks_of_an_hour(bench: Bench) -> None:
    """New tasks are no way past the guard: the twenty-first request of one agent to another in an hour is refused."""
    for number in range(MAX_PER_PAIR_AN_HOUR):
        await bench.ask(await bench.task(), call_id=f"call_{number}")
        await bench.delegations.look()
        await bench.work(DONE)
        await bench.delegations.look()
    with pytest.raises(OperationRefused, match="20 times within an hour") as caught:
        await bench.ask(await bench.task(), call_id="call_last")
    assert caught.value.code == "too_often"


async def test_files_go_there_and_back_under_the_hosts_names(bench: Bench) -> None:
    """A file is copied into the other's inbox under a name of the host's, whatever the agent calls it, and so back."""
    task = await bench.task()
    await bench.file(task, "call_1.0", "../../etc/pass wd.PDF", "for you")
    await bench.file(task, "call_0.0", "other.txt", "of another call")
    await bench.ask(task, files=["call_1.0"])
    await bench.delegations.look()
    (submission,) = await bench.queued()
    (there,) = (bench.home.inbox(SIDE)).iterdir()
    assert there.read_text() == "for you"
    assert there.name.endswith("-in-0.pdf")
    assert f'path="/inbox/{there.name}"' in submission.new.prompt
    claim = await bench.store.write(submission_rows.claim, submission.submission_id)
    await bench.file(claim.task, "call_9", "made.csv", "for him")
    await bench.store.finish_task(claim.task.task_id, DONE, message_state=MessageState.ANSWERED)
    await bench.delegations.look()
    await bench.delegations.look()
    (back,) = (bench.home.inbox(MAIN)).iterdir()
    assert (back.read_text(), back.name.endswith("-back-0.csv")) == ("for him", True)
    assert f'name="made.csv" bytes="7" path="/inbox/{back.name}"' in bench.answers[0].answer


async def test_a_stopped_task_stops_what_it_asked_for(bench: Bench) -> None:
    """When the asking task ends, the work that waits for it is cancelled, and nobody is answered."""
    task = await bench.task()
    await bench.ask(task)
    await bench.delegations.look()
    stopped = TaskResult(status=TaskStatus.STOPPED, reason="stopped by a person")
    await bench.store.finish_task(task.task_id, stopped, message_state=MessageState.DEAD)
    await bench.delegations.look()
    await bench.delegations.look()
    assert await bench.queued() == ()
    assert bench.answers == []
    assert await bench.store.read(delegation_rows.open_delegations) == ()


async def test_strangers_words_stay_marked_on_their_way(bench: Bench) -> None:
    """Work of a task that read strangers' words is untrusted there; what the other agent read counts here."""
    task = await bench.task()
    bench.read.sources[task.task_id] = (("web", "example.com"),)
    await bench.ask(task)
    await bench.delegations.look()
    (submission,) = await bench.queued()
    assert submission.new.trust == "untrusted"
    done = await bench.work(DONE)
    bench.read.sources[done.task_id] = (("web", "example.org"),)
    await bench.delegations.look()
    assert bench.read.sources[task.task_id] == (("web", "example.com"), ("web", "example.org"))


async def test_an_answer_is_shown_only_where_the_asked_agent_is(bench: Bench) -> None:
    """Asked to show its answer, the other agent must be in the chat; else the request is refused."""
    task = await bench.task()
    with pytest.raises(OperationRefused, match="is not in this chat"):
        await bench.ask(task, deliver=True)
    await bench.store.bind(Binding(chat=CHAT, chat_kind="many", group_id=SIDE))
    await bench.ask(task, deliver=True)
    await bench.delegations.look()
    (submission,) = await bench.queued()
    assert submission.new.chat == CHAT


@pytest.mark.parametrize("effects", [Effects.SHADOW, Effects.TWIN])
async def test_a_task_that_rehearses_asks_no_other_agent(bench: Bench, effects: Effects) -> None:
    """The call is refused with the reason, and nothing is begun."""
    task = await bench.task()
    spec = Task(task_id=task.task_id, group_id=MAIN, submitter="cli", session_id=None, prompt="x", effects=effects)
    ask = Ask(call_id="call_1", kind="delegate", payload={"to": "side", "prompt": "Look this up"})
    room = checked("delegate", bench.delegations.asked, lambda: bench.house.groups)
    with pytest.raises(OperationRefused, match="only rehearses"):
        await room(Asked(task=replace(task, spec=spec), ask=ask))
    await bench.delegations.look()
    assert await bench.queued() == ()


async def test_an_agent_that_is_gone_is_an_error(bench: Bench) -> None:
    """A named agent that is not there any more fails the request with its reason."""
    await bench.ask(await bench.task(), to="gone")
    await bench.delegations.look()
    await bench.delegations.look()
    (answer,) = bench.answers
    assert (answer.is_error, "there is no group 'gone'" in answer.answer) == (True, True)


@pytest.mark.parametrize(
    "payload", [None, {}, {"to": 3, "prompt": "x"}, {"to": "side"}, "side", {"to": "side", "prompt": ["x"]}]
)
async def test_a_request_out_of_shape_is_refused(bench: Bench, payload: object) -> None:
    """What is no request is told so; nothing is asked."""
    task = await bench.task()
    ask = Ask(call_id="call_1", kind="delegate", payload=payload)
    with pytest.raises(OperationRefused) as caught:
        await bench.delegations.asked(Asked(task=task, ask=ask))
    assert caught.value.code == "wrong_request"
