"""Dead letters: nothing that failed is forgotten until somebody has ended it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol.ids import ChatKey, PersonKey, TaskId
from protocol.task import TaskResult, TaskStatus
from runtime.commands.desk import Given
from runtime.commands.letters import letter_handlers
from runtime.commands.table import Command
from runtime.lasting.letters import LetterDesk, LetterEnds
from runtime.refusal import OperationRefused
from runtime.store.records import MessageState, StoredMessage
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import NotTaken, take_in
from runtime.store.submission_rows import claim as claim_submission
from runtime.submission import NewSubmission
from tests.runtime.store.support import ANNA, CHANNEL, MAIN, filed, reply, running, said

CRASHED = TaskResult(status=TaskStatus.FAILED, code="agent_crashed", reason="It crashed.")


class Ends:
    """What was asked to try again."""

    def __init__(self) -> None:
        self.tasks: list[tuple[TaskId, str]] = []
        self.woken: list[str] = []
        self.refusal: OperationRefused | None = None

    async def task(self, task_id: TaskId, by: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.tasks.append((task_id, by))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def desk(store: Store, ends: Ends) -> LetterDesk:
    woken = ends.woken
    return LetterDesk(
        store,
        LetterEnds(
            task=ends.task,
            run=lambda: woken.append("run"),
            delivery=lambda: woken.append("delivery"),
            update=lambda: woken.append("update"),
        ),
    )


@pytest.mark.parametrize("submitter", ["program:pipes", "cli", "group:side", "schedule:1", "person:telegram:7"])
async def test_what_was_handed_in_leaves_no_letter(store: Store, desk: LetterDesk, submitter: str) -> None:
    """Retrying and giving up belong to who handed it in; what a schedule's run leaves is the run's."""
    taken = await store.write(take_in, NewSubmission(submitter=submitter, group_id=MAIN, prompt="do"))
    assert not isinstance(taken, NotTaken)
    claim = await store.write(claim_submission, taken[0].submission_id)
    await store.finish_task(claim.task.task_id, CRASHED)
    assert await desk.letters(with_ended=True) == ()


async def failed(store: Store) -> TaskId:
    claim = await running(store)
    await store.finish_task(claim.task.task_id, CRASHED, message_state=MessageState.DEAD)
    return claim.task.task_id


async def undelivered(store: Store, text: str = "Hello, Anna") -> str:
    claim = await running(store)
    await store.finish_task(claim.task.task_id, TaskResult(status=TaskStatus.REPLY), outbound=[reply(text)])
    (row,) = await store.claim_outbox()
    await store.outbox_dead(row.outbox_id, "the bot was blocked")
    return f"out_{row.outbox_id}"


async def unreadable(store: Store) -> str:
    update = await store.store_raw(CHANNEL, "event-x", b"?????")
    assert update is not None
    await store.file_dead_letter(update.raw_id, "no such kind")
    return f"raw_{update.raw_id}"


async def test_each_kind_is_listed_with_its_reason(store: Store, desk: LetterDesk) -> None:
    """A failed task, an undelivered message and an unreadable update are letters, newest first, each explained."""
    task, delivery, update = await failed(store), await undelivered(store), await unreadable(store)
    found = {each.letter.reference: each for each in await desk.letters()}
    assert list(found) == [update, delivery, task]
    assert (found[task].what, found[task].why) == ("hi", "It crashed. (agent_crashed)")
    assert (found[delivery].what, found[delivery].why) == ("Hello, Anna", "the bot was blocked (after 1 try)")
    assert found[update].what == "event event-x of telegram, 5 bytes"
    assert found[update].why == "no such kind"
    assert await desk.counts() == {"task": 1, "delivery": 1, "update": 1}


async def test_what_ends_well_is_no_letter(store: Store, desk: LetterDesk) -> None:
    """A reply that is delivered leaves nothing behind."""
    claim = await running(store)
    await store.finish_task(claim.task.task_id, TaskResult(status=TaskStatus.REPLY), outbound=[reply()])
    assert await desk.letters() == ()


async def test_a_message_is_delivered_after_all(store: Store, desk: LetterDesk, ends: Ends) -> None:
    """Retried, it is in the outbox again with fresh tries, and the letter is not open any more."""
    letter = await undelivered(store)
    await desk.retry(letter, "cli")
    (row,) = await store.claim_outbox()
    assert (row.message.text, row.attempts) == ("Hello, Anna", 1)
    assert ends.woken == ["delivery"]
    assert await desk.letters() == ()
    (ended,) = await desk.letters(with_ended=True)
    assert (ended.letter.state, ended.letter.ended_by) == ("retried", "cli")


async def test_one_that_dies_again_is_a_letter_again(store: Store, desk: LetterDesk) -> None:
    """A retry that fails brings its letter back."""
    letter = await undelivered(store)
    await desk.retry(letter, "cli")
    (row,) = await store.claim_outbox()
    await store.outbox_dead(row.outbox_id, "still blocked")
    (again,) = await desk.letters()
    assert (again.letter.reference, again.why) == (letter, "still blocked (after 1 try)")


async def test_an_update_is_read_again(store: Store, desk: LetterDesk, ends: Ends) -> None:
    """Its bytes were kept: intake finds it among those that are not filed."""
    letter = await unreadable(store)
    await desk.retry(letter, "cli")
    (update,) = await store.pending_raws([CHANNEL])
    assert update.raw == b"?????"
    assert ends.woken == ["update"]


async def test_a_task_is_made_anew(store: Store, desk: LetterDesk, ends: Ends) -> None:
    """Whoever runs tasks is asked; if it cannot, the letter stays open."""
    task = await failed(store)
    ends.refusal = OperationRefused("no", "not now")
    with pytest.raises(OperationRefused, match="not now"):
        await desk.retry(task, "cli")
    assert len(await desk.letters()) == 1
    ends.refusal = None
    await desk.retry(task, "cli")
    assert ends.tasks == [(task, "cli")]
    assert await desk.letters() == ()


async def test_a_letter_ends_once(store: Store, desk: LetterDesk) -> None:
    """What somebody ended, another is told of; what there is not, is refused by its name."""
    letter = await undelivered(store)
    await desk.close(letter, "telegram:7")
    for act in (desk.retry, desk.close):
        with pytest.raises(OperationRefused, match="closed already, by telegram:7"):
            await act(letter, "cli")
    with pytest.raises(OperationRefused, match="no dead letter 'out_99'"):
        await desk.show("out_99")


async def test_what_nobody_could_read_goes_when_it_is_closed(store: Store, desk: LetterDesk) -> None:
    """The bytes of a closed update are not kept."""
    letter = await unreadable(store)
    await desk.close(letter, "cli")
    (ended,) = await desk.letters(with_ended=True)
    assert ended.what == "event event-x of telegram, 0 bytes"


async def test_age_closes_letters(store: Store, desk: LetterDesk) -> None:
    """Only those that died before the time."""
    await failed(store)
    assert await desk.close_all("age", before=datetime.now(UTC) - timedelta(days=1)) == 0
    assert await desk.close_all("age", before=datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert (await store.verify_journal()).broken_at is None


async def test_a_chat_retries_its_own(store: Store, desk: LetterDesk, ends: Ends) -> None:
    """/retry takes the chat's newest failed task; buttons of its list carry the words; other chats' are not reached."""
    handler = letter_handlers(desk, store)["retry"]
    task = await failed(store)
    here = await filed(store, said("/retry"), MessageState.COMMAND)
    elsewhere = await filed(store, said("/retry", chat=ChatKey("telegram:200")), MessageState.COMMAND)
    shown = await handler(Given(command=Command(name="retry", rest="list"), message=here))
    assert task in shown.text
    assert [button.value for button in shown.buttons] == [f"/retry {task}", f"/retry close {task}"]
    for rest in ("", task, f"close {task}"):
        with pytest.raises(OperationRefused):
            await handler(Given(command=Command(name="retry", rest=rest), message=elsewhere))
    assert (await handler(given(elsewhere, "list"))).text == "Nothing of this chat has failed and waits."
    assert (await handler(given(elsewhere, "close all"))).text == "Closed of this chat: 0."
    await handler(Given(command=Command(name="retry"), message=here))
    assert ends.tasks == [(task, str(ANNA))]


def given(message: StoredMessage, rest: str) -> Given:
    return Given(command=Command(name="retry", rest=rest), message=message)


async def test_an_owner_in_a_direct_chat_reaches_all(store: Store, desk: LetterDesk, ends: Ends) -> None:
    """Updates that nobody could read and what failed in other chats are listed page by page, tried again and closed; in
    a chat of many, and for anybody who is no owner, only what is of that chat."""
    handler = letter_handlers(desk, store)["retry"]
    await store.save_person(ANNA, "Anna", "owner", "cli")
    update = await unreadable(store)
    tasks = [await failed(store) for _ in range(6)]
    owner = await filed(store, said("/retry", chat=ChatKey("telegram:200")), MessageState.COMMAND)
    first = await handler(given(owner, "list"))
    assert first.text.endswith("2 more: `/retry list 2`. All at once: `/retry close all`.")
    assert [task in first.text for task in tasks] == [False, *[True] * 5]
    assert f"{tasks[-1]} (task, main, telegram:100, " in first.text
    assert first.buttons[-1].value == "/retry list 2"
    second = await handler(given(owner, "list 2"))
    assert update in second.text
    assert "no such kind" in second.text
    assert len(second.buttons) == 4
    assert "7 in all" in (await handler(given(owner, "list 3"))).text
    many = await filed(store, said("/retry", chat=ChatKey("telegram:-5"), chat_kind="many"), MessageState.COMMAND)
    other = said("/retry", chat=ChatKey("telegram:300"), person=PersonKey("telegram:9"))
    stranger = await filed(store, other, MessageState.COMMAND)
    for message in (many, stranger):
        with pytest.raises(OperationRefused, match="Nothing of this chat"):
            await handler(given(message, update))
    await handler(given(owner, update))
    assert ends.woken == ["update"]
    await handler(given(owner, tasks[0]))
    assert ends.tasks == [(tasks[0], str(ANNA))]
    assert (await handler(given(owner, f"close {tasks[1]}"))).text.startswith(f"{tasks[1]} is closed")
    assert (await handler(given(owner, "close all"))).text == "Closed: 4."
    assert (await handler(given(owner, "list"))).text == "Nothing has failed and waits."
    assert (await store.verify_journal()).broken_at is None
