"""Archived conversations: packed when they ended long ago, listed and exported as before, and taken up again whole."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol.ids import ChatKey, PersonKey, SessionId
from protocol.transcript import ToolCall
from runtime.lasting.retention import Retention
from runtime.sessions.archive import SessionArchive
from runtime.sessions.compaction import Compactor
from runtime.sessions.desk import SessionDesk
from runtime.store import retry_rows
from runtime.store.records import MessageState
from runtime.submission import NewSubmission
from tests.runtime.host_bench import MAIN, HostBench, ScriptedAgent, open_bench
from tests.runtime.lasting.test_forget import ANNA, CANARY, forget_desk, found, say

BOB = PersonKey("stage:bob")
CALL = ToolCall(call_id="call_1", name="shell", arguments={"command": f"echo {CANARY}"})
LATER = timedelta(days=31)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with asyncio.timeout(60), open_bench(tmp_path) as opened:
        yield opened


async def work(agent: ScriptedAgent) -> None:
    """Use a tool that says much, and answer."""
    await agent.turn(0, "let me look", CALL)
    await agent.tool_started(1, CALL)
    await agent.tool_finished(2, CALL, f"{CANARY}! " * 500)
    await agent.answer(3, "it is a bird")


async def fail(agent: ScriptedAgent) -> None:
    await agent.fail("agent_crashed", "It crashed.")


async def talk(bench: HostBench, person: PersonKey, *texts: str) -> SessionId:
    """Have things said in a person's own chat and answered; return the conversation."""
    chat = ChatKey(f"{person}-chat")
    for text in texts:
        bench.room.scripts = [work]
        seen = len(bench.channel.sent)
        await say(bench, text, person, chat)
        await bench.channel.texts(seen + 1)
        await bench.idle()
    session = await bench.store.current_session(MAIN, chat)
    assert session is not None
    return session


def desk_of(bench: HostBench) -> SessionDesk:
    compactor = Compactor(bench.store, bench.submissions, bench.delivery.wake)
    return SessionDesk(bench.store, bench.home, compactor, lambda: UTC)


async def sweep(bench: HostBench, later: timedelta = LATER) -> int:
    return await SessionArchive(bench.store, bench.around).sweep(datetime.now(UTC) + later)


def ask(bench: HostBench, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(bench.home.store)) as connection:
        return connection.execute(query).fetchall()


async def test_an_old_conversation_is_packed_and_taken_up_again_whole(bench: HostBench) -> None:
    """Once it has ended and 30 days have passed, its turns and steps are packed, to a fraction; the list says so, its
    export is the same text, and the current conversation is left alone. Resumed, its agent sees every turn again, and
    the chain is whole."""
    chat = ChatKey(f"{ANNA}-chat")
    async with bench.host():
        old = await talk(bench, ANNA, "what is a zebra?", "and a canary?")
        desk = desk_of(bench)
        before = await bench.store.transcript_of(old)
        text = (await desk.export_session(old))[0].read_text("utf-8")
        await bench.store.new_session(MAIN, chat)
        current = await talk(bench, ANNA, "something else")
        assert await sweep(bench, timedelta(days=29)) == 0
        assert await sweep(bench) == 1
        assert await sweep(bench) == 0
        ((session, unpacked, packed),) = ask(bench, "SELECT session_id, text_bytes, packed_bytes FROM v_archives")
        assert session == old
        assert isinstance(unpacked, int) and isinstance(packed, int) and packed < unpacked / 5
        bodies = "SELECT p.body FROM steps AS s JOIN tasks AS t USING (task_id) JOIN payloads AS p USING (payload_id)"
        assert {body for (body,) in ask(bench, f"{bodies} WHERE t.session_id = '{old}'")} == {""}
        assert "" not in {body for (body,) in ask(bench, f"{bodies} WHERE t.session_id = '{current}'")}
        assert [line.is_archived for line in await desk.list(MAIN, chat)] == [False, True]
        assert (await desk.export_session(old))[0].read_text("utf-8") == text

        line = await desk.resume(MAIN, chat, "2")
        assert line.session_id == old
        assert ask(bench, "SELECT * FROM archives") == []
        assert await bench.store.transcript_of(old) == before
        assert await talk(bench, ANNA, "go on") == old
        assert bench.room.assignments[-1].transcript[: len(before)] == before
        assert [line.is_archived for line in await desk.list(MAIN, chat)] == [False, False]
        assert (await bench.store.verify_journal()).broken_at is None
    kinds = [kind for (kind,) in ask(bench, "SELECT kind FROM journal")]
    assert kinds.count("session_archived") == 1


async def test_what_is_used_or_not_to_be_packed_stays(bench: HostBench) -> None:
    """A conversation in which somebody waits is not packed, nor is any where the policy says never."""
    chat = ChatKey(f"{ANNA}-chat")
    async with bench.host():
        await talk(bench, ANNA, "hello")
        waiting = await bench.file("wait", chat=chat)
        assert waiting.session_id is not None
        await bench.store.new_session(MAIN, chat)
        assert await sweep(bench) == 0
    (bench.fork / "groups" / "main" / "group.yaml").write_text("session: {archive_days: 0}\n")
    bench.around.reload()
    await bench.store.end_message(waiting.message_id, MessageState.DEAD, "stopped")
    assert await sweep(bench) == 0
    (bench.fork / "groups" / "main" / "group.yaml").write_text("session: {archive_days: 10}\n")
    bench.around.reload()
    assert await sweep(bench, timedelta(days=11)) == 1


async def test_what_failed_in_it_is_tried_again_with_all_its_turns(bench: HostBench) -> None:
    """A failed message of an archived conversation that is tried again finds the turns before it."""
    chat = ChatKey(f"{ANNA}-chat")
    async with bench.host():
        old = await talk(bench, ANNA, "hello")
        before = await bench.store.transcript_of(old)
        bench.room.scripts = [fail]
        await say(bench, "and now?", ANNA, chat)
        await bench.channel.texts(2)
        await bench.idle()
        failed = bench.room.assignments[-1].task.task_id
        await bench.store.new_session(MAIN, chat)
        assert await sweep(bench) == 1
        bench.room.scripts = [work]
        assert isinstance(await bench.store.write(retry_rows.retry, failed, "cli"), retry_rows.Retried)
        bench.dispatcher.wake()
        assert (await bench.channel.texts(3))[-1] == "it is a bird"
        await bench.idle()
        assert bench.room.assignments[-1].task.task_id != failed
        assert bench.room.assignments[-1].transcript[: len(before)] == before


async def test_work_that_names_it_finds_all_its_turns(bench: HostBench) -> None:
    """What is submitted to an archived conversation by its id, as a schedule may, goes on with it whole."""
    async with bench.host():
        old = await talk(bench, ANNA, "hello")
        before = await bench.store.transcript_of(old)
        await bench.store.new_session(MAIN, ChatKey(f"{ANNA}-chat"))
        assert await sweep(bench) == 1
        bench.room.scripts = [work]
        new = NewSubmission(submitter="schedule:1", group_id=MAIN, prompt="go on", session=old)
        submitted = await bench.submissions.submit(new)
        ended = await bench.submissions.wait_ended(submitted.submission_id)
        assert (ended.state, bench.room.assignments[-1].task.task_id) == ("reply", ended.task_id)
        assert bench.room.assignments[-1].transcript[: len(before)] == before


async def test_forgetting_reaches_into_archives(bench: HostBench) -> None:
    """No byte of somebody forgotten is in an archive; the archived conversation of another is whole, without their
    key."""
    async with bench.host():
        await talk(bench, ANNA, f"remember {CANARY}")
        bobs = await talk(bench, BOB, f"do you know {ANNA}?")
        for person in (ANNA, BOB):
            await bench.store.new_session(MAIN, ChatKey(f"{person}-chat"))
        turns = len(await bench.store.transcript_of(bobs))
        assert await sweep(bench) == 2
        await forget_desk(bench).forget(ANNA)
        assert len(await bench.store.transcript_of(bobs)) == turns
        assert found(bench.home.path, str(ANNA)) == set()
        assert await sweep(bench) == 2
        packed = [blob for (blob,) in ask(bench, "SELECT packed FROM archives")]
        assert not any(str(ANNA).encode() in zlib.decompress(blob) for blob in packed if isinstance(blob, bytes))
        await desk_of(bench).resume(MAIN, ChatKey(f"{BOB}-chat"), bobs)
        assert len(await bench.store.transcript_of(bobs)) == turns
        assert (await bench.store.verify_journal()).broken_at is None


async def test_words_that_are_not_to_be_kept_go_from_archives(bench: HostBench) -> None:
    """What is older than `keep_days` is taken out of an archive too."""

    async def drop_index() -> None:
        return

    async with bench.host():
        await talk(bench, ANNA, f"remember {CANARY}")
        await bench.store.new_session(MAIN, ChatKey(f"{ANNA}-chat"))
        assert await sweep(bench) == 1
        retention = Retention(bench.home, bench.store, lambda: 1, drop_index)
        assert await retention.sweep(datetime.now(UTC) + timedelta(days=60))
    assert ask(bench, "SELECT * FROM archives") == []
    assert ask(bench, f"SELECT body FROM payloads WHERE instr(body, '{CANARY}') > 0") == []
