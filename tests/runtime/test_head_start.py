"""A message whose task begins with its filing: at a waiting container, whatever happens in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.envelope import MAX_MESSAGE_CHARS
from runtime.store.database import Transaction
from runtime.store.errors import StoreFull
from runtime.store.records import Binding, MessageState, StoredMessage
from tests.runtime.host_bench import MAIN, AgentStopped, HostBench, ScriptedAgent, echo, open_bench

OTHER = GroupId("other")
CHAT = ChatKey("stage:1")
SECOND = ChatKey("stage:2")
THIRD = ChatKey("stage:3")
ADA = PersonKey("stage:ada")


@asynccontextmanager
async def at_home(path: Path, *, settings: str = "", group: str = "") -> AsyncIterator[HostBench]:
    """A home in which Ada may speak: in two chats to one group, in a third to another."""
    async with open_bench(path, settings=settings, groups={"main": group, "other": ""}) as bench:
        await bench.store.save_person(ADA, "Ada", "owner", "cli")
        for chat, group_id in ((CHAT, MAIN), (SECOND, MAIN), (THIRD, OTHER)):
            await bench.store.bind(Binding(chat=chat, chat_kind="direct", group_id=group_id))
        yield bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with at_home(tmp_path) as opened:
        yield opened


async def acquaint(bench: HostBench, *chats: ChatKey) -> None:
    """Have a first message answered in each chat: from then on it is known whom the chat talks to."""
    for number, chat in enumerate(chats or (CHAT,), 1):
        await bench.hear("first", chat=chat)
        await bench.channel.texts(number)
        await bench.idle()
    bench.channel.sent.clear()
    bench.proxy.leases.clear()
    bench.proxy.held.clear()
    bench.room.assignments.clear()
    bench.room.taken = 0


async def ready(bench: HostBench, *chats: ChatKey, spares: int = 1) -> None:
    await acquaint(bench, *chats)
    bench.room.spares = spares


@contextmanager
def held_up(bench: HostBench) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the next message up in its transaction: the first event says that it is there, the second lets it go on."""
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go_on.wait(10)

    bench.while_deciding = wait
    try:
        yield reached, go_on
    finally:
        go_on.set()


@asynccontextmanager
async def held_while_writing(bench: HostBench) -> AsyncIterator[tuple[threading.Event, threading.Event]]:
    """Hold each task up in its transaction when all is read and half is written."""
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> int:
        reached.set()
        assert go_on.wait(10)
        return 0

    def hold(transaction: Transaction) -> None:
        transaction.connection.create_function("held_up", 0, wait)
        trigger = "CREATE TEMP TRIGGER hold AFTER INSERT ON attempts BEGIN SELECT held_up(); END"
        transaction.connection.execute(trigger)

    await bench.store.write(hold)
    try:
        yield reached, go_on
    finally:
        go_on.set()
        await bench.store.write(lambda transaction: transaction.connection.execute("DROP TRIGGER hold") and None)


def fill_up_while_writing(transaction: Transaction) -> None:
    """Have the disk be full for every task that is being stored, and for nothing small."""
    (pages,) = transaction.connection.execute("PRAGMA page_count").fetchone()
    transaction.connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    large = "INSERT INTO payloads (subject, body) VALUES ('', hex(zeroblob(1000000)))"
    transaction.connection.execute(f"CREATE TEMP TRIGGER fill AFTER INSERT ON attempts BEGIN {large}; END")


def make_room(transaction: Transaction) -> None:
    transaction.connection.execute("PRAGMA max_page_count = 1000000")
    transaction.connection.execute("DROP TRIGGER fill")


async def reach(reached: threading.Event) -> None:
    assert await asyncio.to_thread(reached.wait, 10)


async def newest(bench: HostBench) -> StoredMessage:
    return (await bench.store.recent_messages(1))[-1]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - of many things, in threads too; nobody sets an event
            await asyncio.sleep(0)


async def queued(bench: HostBench) -> StoredMessage:
    """Wait until a message waits for a task; return it."""
    async with asyncio.timeout(10):
        while not (waiting := await bench.store.waiting_messages()):
            pass
    return waiting[0]


async def is_idle_spare(bench: HostBench) -> None:
    """Wait until the container is back, and check that it may do nothing."""
    await until(lambda: bool(bench.room.waiting))
    assert not bench.proxy.held.keys() & {session.door_id for session in bench.room.waiting}
    assert bench.dispatcher.running_count == 0


# -- A message begins at once ------------------------------------------------------------------------------------------


async def test_a_message_to_an_idle_group_begins_with_its_filing(bench: HostBench) -> None:
    """It is stored, queued, claimed and its attempt runs at the waiting container's door, before it is accepted."""
    async with bench.host():
        await ready(bench)
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            (door_id,) = bench.room.lent
            go_on.set()
            await accepting
        message = await newest(bench)
        assert message.task_id is not None
        (attempt,) = await bench.store.attempts_of(message.task_id)
        assert (attempt.door_id, attempt.number) == (door_id, 1)
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert await bench.state_of(message.message_id) == ("answered", "reply")
        (assignment,) = bench.room.assignments
        assert [entry.text for entry in assignment.transcript][-1] == "echo: first"
        (lease,) = bench.proxy.leases
        assert (lease.task_id, lease.attempt_id) == (message.task_id, attempt.attempt_id)
        assert (bench.room.taken, bench.room.given_back) == (1, [])
        trace = await bench.store.trace(message.task_id)
        assert trace is not None
        assert [entry.kind for entry in trace.journal] == [
            "message_queued", "task_started", "message_claimed", "attempt_started", "attempt_running", "step_stored",
            "task_ended", "message_answered", "outbox_pending", "attempt_ended", "outbox_sending", "outbox_sent",
        ]  # fmt: skip
        assert (await bench.store.verify_journal()).broken_at is None


async def test_without_a_spare_or_in_an_unknown_chat_a_message_goes_the_longer_way(bench: HostBench) -> None:
    """It is answered all the same, and the spare of a group that nobody has asked for yet stays where it is."""
    async with bench.host():
        bench.room.spares = 1
        await bench.hear("unknown")
        assert await bench.channel.texts(1) == ["echo: unknown"]
        await bench.idle()
        assert bench.room.spares == 1
        bench.room.spares = 0
        await bench.hear("no spare")
        assert (await bench.channel.texts(2))[1] == "echo: no spare"


async def test_a_command_an_edit_of_settings_and_a_full_machine_make_no_offer(tmp_path: Path) -> None:
    """A command, a suspended group, other groups that fill the machine: the container is not touched."""
    go_on = asyncio.Event()

    async def wait(agent: ScriptedAgent) -> None:
        await go_on.wait()
        await echo(agent)

    async with at_home(tmp_path, settings="containers: {max_running: 1}") as bench, bench.host():
        await ready(bench, CHAT, THIRD)
        await bench.hear("/status")
        assert bench.room.spares == 1
        bench.room.spares, bench.room.scripts = 0, [wait]
        await bench.hear("busy", chat=THIRD)
        await until(lambda: bool(bench.room.assignments))
        bench.room.spares = 1
        await bench.hear("later")
        assert (await queued(bench)).inbound.text == "later"
        assert bench.room.spares == 1
        go_on.set()
        assert await bench.channel.texts(2) == ["echo: busy", "echo: later"]
        await bench.idle()
        (bench.fork / "groups/main/group.yaml").write_text("modle: x\n")
        bench.around.reload("containers: {max_running: 1}")
        await bench.hear("suspended")
        assert "modle" in (await bench.channel.texts(3))[2]
        assert bench.room.spares == 1


# -- The offer is not taken --------------------------------------------------------------------------------------------


async def test_an_event_that_comes_twice_is_answered_once(bench: HostBench) -> None:
    """The second time nothing is stored, and the container waits again, without a lease, and is used by the next."""
    async with bench.host():
        await ready(bench)
        await bench.hear("hello", event_id="event-1")
        await bench.channel.texts(1)
        await bench.idle()
        bench.room.spares, bench.proxy.held = 1, {}
        await bench.hear("hello", event_id="event-1")
        await is_idle_spare(bench)
        await acquaint_again(bench)
        await bench.hear("more")
        assert (await bench.channel.texts(3))[2] == "echo: more"
        assert bench.room.taken == 3
        assert len(await bench.store.recent_messages()) == 4


async def acquaint_again(bench: HostBench) -> None:
    """Have a message go the longer way, past the spare that waits."""
    waiting, bench.room.waiting = bench.room.waiting, []
    await bench.hear("again")
    await bench.channel.texts(2)
    await bench.idle()
    bench.room.waiting = waiting


async def test_a_stranger_takes_nobodys_container(bench: HostBench) -> None:
    """What is not for the agent is filed as ever; in that chat no offer is made again until somebody is heard there."""
    async with bench.host():
        await ready(bench)
        await bench.hear("let me in", person="stage:eve")
        await is_idle_spare(bench)
        await until(lambda: bool(bench.channel.sent))
        message = await newest(bench)
        assert (message.state, message.inbound.person) == (MessageState.REFUSED, "stage:eve")
        given_back = len(bench.room.given_back)
        await bench.hear("please", person="stage:eve")
        await bench.hear("hello")
        await until(lambda: "echo: hello" in [each.text for each in bench.channel.sent])
        assert len(bench.room.given_back) == given_back == 1


async def test_a_chat_that_talks_to_another_group_now_is_answered_by_that_one(bench: HostBench) -> None:
    """The container of the group that it talked to before is not used for it."""
    async with bench.host():
        await ready(bench)
        await bench.store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=OTHER))
        await bench.hear("hello")
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert bench.room.assignments[0].task.group_id == OTHER
        await is_idle_spare(bench)


async def test_a_freeze_that_comes_first_holds_the_message_back(bench: HostBench) -> None:
    """It is kept waiting and told so; the container waits without a lease; unfrozen, the message is answered."""
    async with bench.host():
        await ready(bench)
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.store.set_frozen(True, "cli"))
            group.create_task(bench.hear("hello"))
        await is_idle_spare(bench)
        assert "frozen" in (await bench.channel.texts(1))[0]
        assert (await newest(bench)).state is MessageState.QUEUED
        await bench.store.set_frozen(False, "cli")
        bench.dispatcher.wake()
        assert (await bench.channel.texts(2))[1] == "echo: hello"


async def test_a_long_text_is_in_the_inbox_before_its_task_begins(bench: HostBench) -> None:
    """Such a task needs a file and is built the longer way; its spare waits again."""
    async with bench.host():
        await ready(bench)
        await bench.hear("x" * (MAX_MESSAGE_CHARS + 1))
        await bench.channel.texts(1)
        await bench.idle()
        message = await newest(bench)
        assert message.state is MessageState.ANSWERED
        file = bench.home.inbox(MAIN) / f"{message.message_id}.txt"
        assert len(file.read_text()) == MAX_MESSAGE_CHARS + 1
        await is_idle_spare(bench)


# -- Something comes in between ----------------------------------------------------------------------------------------


async def test_a_stop_in_between_reaches_the_task(bench: HostBench) -> None:
    """Asked for while the message is being stored, it ends the task that comes of it before its agent has begun, and
    says that it has stopped one."""
    async with bench.host() as dispatcher:
        await ready(bench)
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            stopping = asyncio.create_task(dispatcher.stop_chat(CHAT, "enough"))
            await asyncio.sleep(0)
            go_on.set()
            await accepting
        stopped = await stopping
        message = await newest(bench)
        assert (stopped.tasks, stopped.messages) == ((message.task_id,), 0)
        await bench.idle()
        await bench.delivery.settled()
        assert await bench.state_of(message.message_id) == ("dead", "stopped")
        assert bench.channel.sent == []
        assert bench.room.assignments == []
        assert all(agent.done() for agent in bench.room.engine.running.values())


async def test_a_stop_of_everything_in_between_reaches_the_task(bench: HostBench) -> None:
    """Its chat is told, as with any other task."""
    async with bench.host() as dispatcher:
        await ready(bench)
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            await dispatcher.stop_all("enough")
            go_on.set()
            await accepting
        await bench.idle()
        await bench.delivery.settled()
        assert await bench.state_of((await newest(bench)).message_id) == ("dead", "stopped")
        assert [message.text for message in bench.channel.sent] == ["Stopped: enough."]
        assert bench.room.assignments == []


async def test_a_stop_in_between_ends_a_message_that_waits_after_all(bench: HostBench) -> None:
    """Its storing begins no task, because everything is frozen: it is ended as one that waited."""
    async with bench.host() as dispatcher:
        await ready(bench)
        await bench.store.set_frozen(True, "cli")
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            stopping = asyncio.create_task(dispatcher.stop_chat(CHAT, "enough"))
            await asyncio.sleep(0)
            go_on.set()
            await accepting
        stopped = await stopping
        assert (stopped.tasks, stopped.messages) == ((), 1)
        assert await bench.state_of((await newest(bench)).message_id) == ("dead", "enough")
        await bench.store.set_frozen(False, "cli")
        dispatcher.wake()
        await bench.idle()
        assert bench.room.assignments == []


async def test_a_task_that_cannot_be_planned_ends_with_a_word(bench: HostBench) -> None:
    """A fault of ours while the message is being stored does not undo that: the task's own run meets it and says so."""

    async with bench.host():
        await ready(bench)
        sound = bench.around.settings
        bench.around.settings = replace(sound, settings=replace(sound.settings, time_zone=cast(str, 7)))
        await bench.hear("hello")
        assert "TypeError" in (await bench.channel.texts(1))[0]
        await bench.idle()
        assert (await newest(bench)).state is MessageState.DEAD
        await is_idle_spare(bench)
        bench.around.settings = sound
        await bench.hear("again")
        assert (await bench.channel.texts(2))[1] == "echo: again"


async def test_who_goes_while_a_container_is_looked_for_holds_nobody_up(bench: HostBench) -> None:
    """Nothing was accepted; the chat's next message is answered."""
    async with bench.host():
        await ready(bench)
        accepting = asyncio.create_task(bench.hear("hello"))
        await until(lambda: bench.room.taken == 1)
        accepting.cancel()
        await asyncio.wait({accepting})
        assert accepting.cancelled()
        assert bench.dispatcher.running_count == 0
        await bench.hear("again")
        assert await bench.channel.texts(1) == ["echo: again"]
        assert len(await bench.store.recent_messages()) == 2


async def test_what_comes_in_between_is_answered_afterwards_in_order(bench: HostBench) -> None:
    """Messages of the same chat wait for the first; the group's other chat waits until its container is settled."""
    async with bench.host():
        await ready(bench, CHAT, SECOND, spares=3)
        with held_up(bench) as (reached, go_on):
            chats = {"one": CHAT, "two": CHAT, "three": CHAT, "beside": SECOND}
            accepting = [asyncio.create_task(bench.hear("one"))]
            await reach(reached)
            bench.while_deciding = lambda: None
            accepting += [asyncio.create_task(bench.hear(text, chat=chats[text])) for text in list(chats)[1:]]
            await asyncio.sleep(0)
            assert len(bench.room.lent) == 1, "one group was lent two containers at once"
            go_on.set()
            await asyncio.gather(*accepting)
        await bench.channel.until(lambda: len(_answered(bench)) == len(chats))
        assert _answered(bench, CHAT) == ["one", "two", "three"]
        assert _answered(bench, SECOND) == ["beside"]


async def test_another_chat_of_the_group_does_not_start_beside_the_offer(bench: HostBench) -> None:
    """A message that was told of just then waits: the group works on one task at a time."""
    go_on_working = asyncio.Event()

    async def work(agent: ScriptedAgent) -> None:
        await go_on_working.wait()
        await echo(agent)

    async with bench.host() as dispatcher:
        await ready(bench, CHAT, SECOND)
        other = await bench.file("other", chat=SECOND)
        bench.room.scripts = [work]
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("one"))
            await reach(reached)
            dispatcher.arrived(other)
            for _ in range(10):
                await bench.store.status()
            go_on.set()
            await accepting
        for _ in range(10):
            await bench.store.set_frozen(False, "cli")
        assert (await bench.state_of(other.message_id))[0] == "queued"
        go_on_working.set()
        assert await bench.channel.texts(2) == ["echo: one", "echo: other"]


async def test_groups_that_begin_side_by_side_stay_below_the_machines_limit(tmp_path: Path) -> None:
    """Two groups' messages in the same moment, room for one: the other waits for its end."""
    async with at_home(tmp_path, settings="containers: {max_running: 1}") as bench, bench.host():
        await ready(bench, CHAT, THIRD, spares=2)
        with held_up(bench) as (reached, go_on):
            first = asyncio.create_task(bench.hear("one"))
            await reach(reached)
            second = asyncio.create_task(bench.hear("two", chat=THIRD))
            await asyncio.sleep(0)
            assert len(bench.room.lent) == 1
            go_on.set()
            await asyncio.gather(first, second)
        assert await bench.channel.texts(2) == ["echo: one", "echo: two"]


async def test_a_terminal_that_goes_in_between_changes_nothing(bench: HostBench) -> None:
    """Who sent the message does not wait any more; it is answered once, and its container is not leaked."""
    async with bench.host():
        await ready(bench)
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            accepting.cancel()
            await asyncio.wait({accepting})
            go_on.set()
            assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert (await newest(bench)).state is MessageState.ANSWERED
        assert (bench.room.taken, bench.dispatcher.running_count) == (1, 0)


async def test_a_new_conversation_begins_with_the_message_after_it(bench: HostBench) -> None:
    """`/new` and what is said right after it, in one breath: the agent is shown nothing of before."""
    async with bench.host():
        await ready(bench)
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.hear("/new"))
            group.create_task(bench.hear("hello"))
        await bench.channel.texts(1)
        assert bench.room.assignments[0].transcript == ()


async def test_a_full_disk_is_waited_for(bench: HostBench) -> None:
    """The message is not accepted before it is stored; then it is answered, once, and the container waits again."""
    fulls = 1

    def be_full() -> None:
        nonlocal fulls
        fulls -= 1
        if fulls >= 0:
            raise StoreFull("store.db")

    async with bench.host():
        await ready(bench)
        bench.while_deciding = be_full
        accepting = asyncio.create_task(bench.hear("hello"))
        await until(lambda: fulls == 0)
        assert not accepting.done()
        assert len(await bench.store.recent_messages()) == 1
        await accepting
        assert await bench.channel.texts(1) == ["echo: hello"]
        assert len(bench.room.given_back) == 1


async def test_a_proxy_that_did_not_answer_in_time_is_asked_again(bench: HostBench) -> None:
    """The lease that was pushed ahead and perhaps taken is pushed again with the task."""
    async with bench.host():
        await ready(bench)
        bench.proxy.refusals = 1
        await bench.hear("hello")
        assert await bench.channel.texts(1) == ["echo: hello"]
        first, second = bench.proxy.leases
        assert first == second


# -- The agent has its task before the start is on disk ---------------------------------------------------------------


async def test_an_agent_has_its_task_while_its_start_is_stored(bench: HostBench) -> None:
    """Nothing can be read of the task yet and the proxy holds the lease; both end when the start is on disk."""
    async with bench.host():
        await ready(bench)
        async with held_while_writing(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            await until(lambda: bool(bench.room.assignments and bench.proxy.leases))
            assert (accepting.done(), bench.proxy.released) == (False, [])
            assignment = bench.room.assignments[0]
            assert await bench.store.task(assignment.task.task_id) is None
            go_on.set()
            await accepting
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert bench.proxy.released == [assignment.attempt_id]
        assert (len(bench.room.assignments), len(bench.proxy.leases)) == (1, 1)


async def test_an_agent_whose_start_is_not_stored_is_ended(bench: HostBench) -> None:
    """The disk is full behind it: its lease is never released and its word not heard. The message is not accepted
    before it is stored; then it is answered once, by another task."""
    async with bench.host():
        await ready(bench)
        await bench.store.write(fill_up_while_writing)
        accepting = asyncio.create_task(bench.hear("hello"))
        await until(lambda: bool(bench.room.assignments))
        first = bench.room.assignments[0]
        (session,) = bench.room.lent.values()
        await until(lambda: bench.room.engine.running[session.container_id].done())
        assert bench.proxy.released == []
        await bench.store.write(make_room)
        await accepting
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert await bench.store.task(first.task.task_id) is None
        assert first.attempt_id not in bench.proxy.released
        assert (await newest(bench)).state is MessageState.ANSWERED
        assert (len(bench.channel.sent), len(await bench.store.recent_messages())) == (1, 2)
        assert bench.room.given_back == []


async def test_a_stop_after_the_agent_has_its_task_releases_nothing(bench: HostBench) -> None:
    """Asked for while the start is written: the agent is ended, and nothing that it asked for has left."""
    async with bench.host() as dispatcher:
        await ready(bench)
        async with held_while_writing(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            await until(lambda: bool(bench.room.assignments and bench.proxy.leases))
            stopping = asyncio.create_task(dispatcher.stop_chat(CHAT, "enough"))
            await asyncio.sleep(0)
            go_on.set()
            await accepting
        message = await newest(bench)
        assert (await stopping).tasks == (message.task_id,)
        await bench.idle()
        await bench.delivery.settled()
        assert await bench.state_of(message.message_id) == ("dead", "stopped")
        assert (bench.proxy.released, bench.channel.sent) == ([], [])
        assert all(agent.done() for agent in bench.room.engine.running.values())


async def test_a_host_that_goes_while_the_start_is_written_leaves_it_to_the_next(bench: HostBench) -> None:
    """Its agent had the task and a held lease; what is found on disk is gone on with, and answered once."""
    async with held_while_writing(bench) as (reached, go_on):
        go_on.set()
        async with bench.host():
            await ready(bench)
            go_on.clear()
            reached.clear()
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            await until(lambda: bool(bench.room.assignments and bench.proxy.leases))
        await asyncio.wait({accepting})
        assert (accepting.cancelled(), bench.proxy.released) == (True, [])
        go_on.set()
    async with bench.host():
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert (await newest(bench)).state is MessageState.ANSWERED
    assert len(bench.channel.sent) == 1


async def test_a_container_that_dies_before_it_has_its_task_is_replaced(bench: HostBench) -> None:
    """The attempt at it ends, the next one answers."""
    async with bench.host():
        await ready(bench)
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            (session,) = bench.room.lent.values()
            agent = bench.room.engine.running[session.container_id]
            agent.cancel()
            await asyncio.wait({agent})
            go_on.set()
            await accepting
        assert await bench.channel.texts(1) == ["echo: hello"]
        assert bench.room.assignments[0].attempt_number == 2


# -- The host goes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("are_patient", [True, False])
async def test_a_host_that_goes_in_between_leaves_the_message_to_the_next(bench: HostBench, are_patient: bool) -> None:
    """Ended without a fault while the message is being stored; the next host answers it once, whether the waiting
    agent lived on or not."""
    bench.room.are_patient = are_patient
    with held_up(bench) as (reached, go_on):
        go_on.set()
        async with bench.host():
            await ready(bench)
            go_on.clear()
            reached.clear()
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
        await asyncio.wait({accepting})
        assert accepting.cancelled()
        go_on.set()
        await bench.store.set_frozen(False, "cli")  # behind it: it is stored
    async with bench.host():
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.idle()
        assert (await newest(bench)).state is MessageState.ANSWERED
        attempts = await bench.store.attempts_of(bench.room.assignments[0].task.task_id)
        reasons = [attempt.end_reason for attempt in attempts]
        assert reasons == ["never_started" if are_patient else "crashed:0", "finished"]
    assert len(bench.channel.sent) == 1


async def test_a_shutdown_waits_for_what_is_being_stored(bench: HostBench) -> None:
    """Within the grace the task that comes of it is finished; nothing new is offered."""
    async with bench.host() as dispatcher:
        await ready(bench, spares=2)
        with held_up(bench) as (reached, go_on):
            accepting = asyncio.create_task(bench.hear("hello"))
            await reach(reached)
            closing = asyncio.create_task(dispatcher.close(5.0))
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(accepting, closing)
        assert await bench.channel.texts(1) == ["echo: hello"]
        await bench.hear("too late")
        assert (await queued(bench)).inbound.text == "too late"
        assert bench.room.spares == 1


async def test_an_interrupted_last_word_is_not_asked_for_again(bench: HostBench) -> None:
    """A shutdown in the moment in which the agent answers: the model's turn is kept, the next start goes on from it."""

    async def answer_when_stopped(agent: ScriptedAgent) -> None:
        await agent.say("thinking")
        with pytest.raises(AgentStopped):
            await agent.wait_for_stop()
        await agent.answer(0, "the answer")

    bench.room.scripts = [answer_when_stopped, lambda agent: agent.reply(f"after {len(agent.assignment.steps)} steps")]
    async with bench.host() as dispatcher:
        await bench.hear("think")
        await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
        await dispatcher.close(0.05)
        assert bench.channel.sent == []
    async with bench.host():
        assert await bench.channel.texts(1) == ["after 1 steps"]


# -- Order -------------------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.sampled_from([CHAT, SECOND, THIRD]), st.booleans(), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=25, deadline=None)
@given(EVENTS)
def test_every_message_is_answered_once_and_in_order(events: list[tuple[ChatKey, bool, bool]]) -> None:
    """Whatever way each of them goes, with a spare there or not, one after another or at once, some of them twice."""
    with TemporaryDirectory(prefix="ny-") as folder:
        asyncio.run(_answer_all(Path(folder), events))


async def _answer_all(folder: Path, events: list[tuple[ChatKey, bool, bool]]) -> None:
    async with at_home(folder, group="parallel: 2\n") as bench, bench.host():
        await acquaint(bench, CHAT, SECOND, THIRD)
        told: dict[ChatKey, list[str]] = {CHAT: [], SECOND: [], THIRD: []}
        async with asyncio.TaskGroup() as group:
            for number, (chat, has_spare, waits) in enumerate(events):
                bench.room.spares += has_spare
                told[chat].append(f"m{number}")
                accepting = group.create_task(bench.hear(f"m{number}", chat=chat, event_id=f"event-{number}"))
                if waits:
                    await accepting
                    await bench.hear(f"m{number}", chat=chat, event_id=f"event-{number}")
        await bench.channel.until(lambda: len(_answered(bench)) >= len(events))
        await bench.idle()
        for chat, texts in told.items():
            assert _answered(bench, chat) == texts
        assert bench.dispatcher.running_count == 0
        assert not bench.proxy.held.keys() & {session.door_id for session in bench.room.waiting}
        assert (await bench.store.verify_journal()).broken_at is None


def _answered(bench: HostBench, chat: ChatKey | None = None) -> list[str]:
    messages = [message for message in bench.channel.sent if chat in (None, message.chat)]
    return [text for message in messages for text in message.text.removeprefix("echo: ").split(" | ")]
