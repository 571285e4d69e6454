"""What agents find again, through real intake, store and links: only what all who are present may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PersonKey, TaskId
from protocol.transcript import ToolCall
from runtime.approvals.records import Taint, TaintSource
from runtime.recall.room import MAX_QUESTION_CHARS, Recall
from runtime.refusal import OperationRefused
from runtime.store import taint_rows
from runtime.store.records import Binding, Role
from tests.runtime.host_bench import MAIN, HostBench, Script, ScriptedAgent, open_bench

CALL = ToolCall(call_id="call_1", name="memory", arguments={})
CHATS = {"ada": "stage:1", "bob": "stage:2", "eve": "stage:3"}
ROLES: dict[str, Role] = {"ada": "member", "bob": "member", "eve": "owner"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path, groups={"main": "", "side": ""}) as bench:
        for name, role in ROLES.items():
            await bench.store.save_person(PersonKey(f"stage:{name}"), name, role, "cli")
            chat = ChatKey(CHATS[name])
            await bench.store.bind(Binding(chat=chat, chat_kind="direct", group_id=MAIN, added_by="cli"))
        yield bench


def recall_of(bench: HostBench) -> Recall:
    async def taint_of(task_id: TaskId) -> Taint:
        return await bench.store.read(taint_rows.taint_of, task_id)

    async def mark(task_id: TaskId, source: TaintSource, origin: str) -> None:
        await bench.store.write(taint_rows.mark, task_id, source, origin)

    return Recall(bench.home, bench.store, taint_of=taint_of, mark=mark)


def looking_for(query: str, limit: int = 8) -> Script:
    """Return an agent that replies with what it finds."""

    async def script(agent: ScriptedAgent) -> None:
        payload: Json = {"query": query, "limit": limit}
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        answered = await agent.ask("memory", call=CALL, payload=payload)
        await agent.tool_finished(2, CALL, answered.answer)
        await agent.answer(3, f"error: {answered.answer}" if answered.is_error else answered.answer)

    return script


async def talk(bench: HostBench, name: str, text: str, script: Script | None = None) -> str:
    """Say something in somebody's direct chat and return the answer."""
    before = len(bench.channel.sent)
    if script is not None:
        bench.room.scripts = [script]
    await bench.hear(text, chat=CHATS[name], person=f"stage:{name}")
    answer = (await bench.channel.texts(before + 1))[before]
    await bench.idle()
    return answer


async def test_each_finds_what_was_said_to_them(bench: HostBench) -> None:
    """Not what the agent talked of with others; an owner, alone with it, finds all."""
    recall = recall_of(bench)
    bench.rooms["memory"] = recall.asked
    async with bench.host():
        await talk(bench, "ada", "my dentist is Dr. Jones")
        await talk(bench, "bob", "my dentist is Dr. Brown")
        found = await talk(bench, "ada", "who?", looking_for("the dentist"))
        assert "Jones" in found
        assert "Brown" not in found
        assert "in this chat]" in found
        found = await talk(bench, "eve", "who?", looking_for("the dentist"))
        assert {name for name in ("Jones", "Brown") if name in found} == {"Jones", "Brown"}
        assert "in another chat]" in found
    assert {each.audience for each in await recall.for_owner(MAIN, "dentist")} >= {"stage:1", "stage:2"}
    assert not await recall.for_owner(GroupId("side"), "dentist")


async def test_notes_are_found_as_they_are_now(bench: HostBench) -> None:
    """A file that changed, or went, is known as it is when somebody looks; links are not followed."""
    recall = recall_of(bench)
    folder = bench.home.group(MAIN) / "memory"
    folder.mkdir(parents=True)
    (folder / "people.md").write_text("# People\n\nAnna likes tulips.\n")
    (folder / "link.md").symlink_to("/etc/passwd")
    assert [each.source for each in await recall.for_owner(MAIN, "tulips")] == ["people.md"]
    (folder / "people.md").write_text("# People\n\nAnna likes roses.\n")
    assert not await recall.for_owner(MAIN, "tulips")
    assert [each.source for each in await recall.for_owner(MAIN, "roses")] == ["people.md"]
    (folder / "people.md").unlink()
    assert not await recall.for_owner(MAIN, "roses root bash")


async def test_what_was_untrusted_stays_so(bench: HostBench) -> None:
    """Who finds the words of a task that read a stranger's has read them too."""
    recall = recall_of(bench)
    bench.rooms["memory"] = recall.asked
    async with bench.host():
        await talk(bench, "ada", "the page says: tulips are blue")
        (tainted,) = [message.task_id for message in await bench.store.recent_messages()]
        assert tainted is not None
        await bench.store.write(taint_rows.mark, tainted, "web", "tulips.example")
        await talk(bench, "eve", "what of tulips?", looking_for("tulips"))
        newest = max((message for message in await bench.store.recent_messages()), key=lambda each: each.seq)
        assert newest.task_id is not None
        taint = await bench.store.read(taint_rows.taint_of, newest.task_id)
        assert ("web", "tulips.example") in taint.sources


@pytest.mark.parametrize(
    ("query", "said"),
    [("?!", "there is no word"), ("x" * (MAX_QUESTION_CHARS + 1), "at most"), ("nothing of the kind", "was found")],
)
async def test_a_search_without_words_or_finds_says_so(bench: HostBench, query: str, said: str) -> None:
    """The agent reads why, and goes on."""
    bench.rooms["memory"] = recall_of(bench).asked
    async with bench.host():
        assert said in await talk(bench, "ada", "look", looking_for(query))


async def test_what_was_dropped_comes_back_from_what_is_left(bench: HostBench) -> None:
    """The index is no place of its own: after it was dropped a search finds what the store still has."""
    recall = recall_of(bench)
    async with bench.host():
        await talk(bench, "ada", "the code word is heron")
    assert len(await recall.for_owner(MAIN, "heron")) == 1
    await recall.drop()
    assert len(await recall.for_owner(MAIN, "heron")) == 1
    with pytest.raises(OperationRefused):
        await recall.for_owner(MAIN, "")
