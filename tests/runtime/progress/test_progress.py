"""The line that says what an agent does: its words, its clock, and the marks on messages."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from protocol.ids import ChatKey, TaskId
from protocol.transcript import Step, ToolCall
from runtime.progress.book import ProgressBook
from runtime.progress.line import build_line, note_line, output_lines, tool_call, tool_name
from runtime.submission import NewSubmission
from tests.runtime.host_bench import CHANNEL, MAIN, ScriptedAgent, open_bench

TASK, CHAT = TaskId("task_1"), ChatKey("stage:1")
CALL = ToolCall(call_id="c", name="shell", arguments={"command": "ls -la\u202e\n/tmp"})


def test_a_long_job_says_for_how_long() -> None:
    """After some minutes the line tells time and steps; before, only what is done."""
    assert build_line("shell", 3, 0) == "shell"
    assert build_line("shell", 12, 185) == "still working, 3 min, step 12: shell"
    assert build_line("", 12, 185) == "still working, 3 min, step 12"


def test_arguments_are_shown_only_where_they_are_wanted_and_made_visible() -> None:
    """`line` names the tool alone, `full` what it is called with, `off` nothing; hostile signs are made visible."""
    shown = {}
    for style in ("off", "line", "full"):
        book = ProgressBook()
        book.begin(TASK, CHAT, style, 0.0)
        step = Step(index=0, kind="tool_started", call=CALL)
        # As agents send them: first the step, which is stored, then that its tool runs.
        shown[style] = (book.stored(TASK, step, 1.0), book.tool(TASK, "shell", 1.0))
    assert shown == {"off": ("", ""), "line": ("", "shell"), "full": (tool_call(CALL), tool_call(CALL))}
    assert tool_call(CALL) == "shell ls -la⟨U+202E⟩ /tmp"
    assert len(tool_call(ToolCall(call_id="c", name="x" * 500, arguments={"a": "y" * 5_000}))) < 250


def test_a_flood_of_hostile_signs_is_cut_before_it_is_made_visible() -> None:
    """Whatever an agent sends, its beginning is shown, of an output its end; the rest is not even looked at."""
    flood = "é\u202e" * 200_000
    call = ToolCall(call_id="c", name=flood, arguments={"command": f"first {flood}"})
    began = time.process_time()
    shown = [tool_call(call), note_line(f"first {flood}"), output_lines(f"{flood}\nlast"), tool_name(flood)]
    assert time.process_time() - began < 0.5  # was four seconds
    assert all(len(line) <= 3 * 160 + 2 for line in shown)
    assert "first" in shown[0] and shown[1].startswith("first") and shown[2].endswith("\nlast")


async def test_the_clock_goes_on_while_nothing_else_happens() -> None:
    """A tool that takes long makes the line go on by itself, until the task ends."""
    book, shown, enough = ProgressBook(long_s=0.01, every_s=0.01), [], asyncio.Event()

    async def show(chat: ChatKey, line: str) -> None:
        shown.append((chat, line))
        if len(shown) >= 3:
            enough.set()

    book.begin(TASK, CHAT, "line", asyncio.get_running_loop().time())
    async with asyncio.timeout(5), asyncio.TaskGroup() as parts:
        running = parts.create_task(book.run(show))
        await enough.wait()
        book.end(TASK)
        running.cancel()
    assert {chat for chat, _ in shown} == {CHAT}
    assert shown[0][1].startswith("still working, ")


async def test_a_task_shows_its_tools_and_forgets_them(tmp_path: Path) -> None:
    """With `progress: full` a chat sees what a tool is called with, with `off` nothing but that work goes on."""

    async def use_a_tool(agent: ScriptedAgent) -> None:
        await agent.turn(0, "let me see", CALL)
        await agent.tool_started(1, CALL)
        await agent.tool_finished(2, CALL)
        await agent.turn(3, "done")
        await agent.reply("done")

    for name, expected in (("full", [tool_call(CALL)]), ("off", [])):
        (tmp_path / name).mkdir()
        async with open_bench(tmp_path / name, groups={"main": f"progress: {name}\n"}) as bench:
            bench.room.scripts = [use_a_tool]
            async with bench.host():
                await bench.say("go")
                await bench.channel.texts(1)
                await bench.idle()
                assert [text for _, kind, text in bench.channel.shown if kind == "progress"] == expected
                assert [kind for _, kind, _ in bench.channel.shown][-1] == "done"
    assert CHANNEL == "stage"


async def test_stop_keeps_what_waits_unless_asked(tmp_path: Path) -> None:
    """A stop that keeps what was said before it ends the work in under a second; what waits is answered then."""

    async def hang(agent: ScriptedAgent) -> None:
        await agent.say("working")
        await agent.wait_for_stop()

    async with open_bench(tmp_path) as bench:
        bench.room.scripts = [hang, hang]
        async with bench.host() as dispatcher:
            await bench.say("first", mode="follow_up")
            await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
            waiting = await bench.say("second", mode="follow_up")
            message = await bench.store.message(waiting)
            assert message is not None
            async with asyncio.timeout(1):
                stopped = await dispatcher.stop_chat(CHAT, "enough", message.seq + 1)
            assert (len(stopped.tasks), stopped.messages, stopped.kept) == (1, 0, 1)
            seen = len(bench.channel.shown)
            await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown[seen:]))
            await bench.say("third", mode="follow_up")
            stopped = await dispatcher.stop_chat(CHAT, "enough")
            assert (len(stopped.tasks), stopped.messages, stopped.kept) == (1, 1, 0)
            await bench.idle()
            assert bench.channel.sent == []


def test_what_an_agent_says_of_itself_is_shown_whole() -> None:
    """That a model is asked again, and why, is no tool's name: it stands on one line, not cut after a word or two."""
    book = ProgressBook()
    book.begin(TASK, CHAT, "line", 0.0)
    text = "The model's service answered 429 (too many requests).\nAsking again in 1 s."
    assert book.note(TASK, text) == "The model's service answered 429 (too many requests). Asking again in 1 s."
    assert len(book.note(TASK, "x" * 5_000)) < 400
    assert book.note(TaskId("task_other"), text) == ""


def test_the_last_lines_of_a_command_are_shown_to_who_wants_them() -> None:
    """Under its tool, without colours and with hostile signs made visible; not more often than can be read, and an
    agent that says more than it should is cut."""
    said = "\x1b[32mok\x1b[0m one\ntwo\u202e\n\n" + "x" * 5_000
    shown = {}
    for style in ("off", "line", "full"):
        book = ProgressBook()
        book.begin(TASK, CHAT, style, 0.0)
        book.stored(TASK, Step(index=0, kind="tool_started", call=CALL), 1.0)
        shown[style] = [book.output(TASK, said, 2.0), book.output(TASK, "again", 2.5), book.output(TASK, "more", 3.5)]
    lines = f"ok one\ntwo⟨U+202E⟩\n{'x' * 160}"
    assert shown["full"] == [f"{tool_call(CALL)}\n{lines}", "", f"{tool_call(CALL)}\nmore"]
    assert shown["off"] == shown["line"] == ["", "", ""]


@pytest.mark.parametrize(("submitter", "progress"), [("schedule:s", "line"), ("webhook:main/h", "full")])
async def test_what_waits_for_a_review_does_not_grow_in_its_chat(tmp_path: Path, submitter: str, progress: str) -> None:
    """A copilot's words in a chat where nobody asked are seen by a reviewer first; that it works, by anybody."""

    async def speak(agent: ScriptedAgent) -> None:
        await agent.say("a secret ")
        await agent.turn(0, "a secret word", CALL)
        await agent.tool_started(1, CALL)
        await agent.tool_finished(2, CALL)
        await agent.reply("a secret word")

    async with open_bench(tmp_path, groups={"main": f"mode: copilot\nprogress: {progress}\n"}) as bench:
        bench.room.scripts = [speak, speak]
        async with bench.host():
            new = NewSubmission(submitter=submitter, group_id=MAIN, prompt="go", chat=CHAT)
            async with asyncio.timeout(10):
                await bench.submissions.wait_ended((await bench.submissions.submit(new)).submission_id)
            await bench.idle()
            assert not [shown for shown in bench.channel.shown if shown[1] in ("delta", "progress")]
            await bench.say("go")  # who asks in the chat sees it at once
            await bench.channel.until(lambda: any(kind == "delta" for _, kind, _ in bench.channel.shown))
            await bench.idle()
