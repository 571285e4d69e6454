"""Claude Code as an agent: the real program in its image, in real containers, against the model twin."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.installation import Installation
from client.tasks import TaskClient
from protocol.task import TaskStatus
from tests.faults.house import (
    find_agent,
    talk,
    tool_processes,
    until_true,
    workspace,
)
from tests.harness.claude_house import CHILD, TOOL, claude_house, doors, rows, spare_waits, steps

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

KEY_MARKS = ("sk-ant-", "twin-key")
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
GROUPS = {
    "main": "",
    "watched": "constraints:\n  - command: rm precious\n",
    "limited": "limits:\n  rounds: 3\n",
    "analyst": "",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home() -> AsyncIterator[Installation]:
    async with claude_house(GROUPS) as running:
        yield running


async def test_a_person_talks_with_claude_code(home: Installation) -> None:
    """It answers, uses its tools, is refused the network in words that help, and knows in the next task, in the
    container that has waited, what was said before; after /new it does not."""
    async with talk(home, name="whole") as chat:
        assert await chat.ask("hello, I am markerada") == "hi from the script"
        assert chat.read("delta") and "".join(chat.read("delta")) == "hi from the script"
        said = await chat.ask("make a file")
        assert said.startswith("it says made") and "shell" in chat.read("progress")
        assert (workspace(home) / "made.txt").read_text() == "made\n"
        assert steps(home, "make a file") == ["model_turn", "tool_started", "tool_finished", "model_turn"]
        await spare_waits(home)
        known = rows(home, "SELECT door_id FROM v_attempts")
        waiting = next(door for door in doors(home) if (door,) not in known)
        assert await chat.ask("recall markerbob") == "I know markerada,markerbob"
        assert rows(home, "SELECT door_id FROM v_attempts ORDER BY started_at")[-1] == (waiting,)
        refused = await chat.ask("go out")
        assert "403" in refused and "example" in refused.partition("would allow it with:")[2]
        assert await chat.ask("/new")
        assert await chat.ask("recall markercarl") == "I know markercarl"


@pytest.mark.long
async def test_a_key_is_nowhere_in_the_container(home: Installation) -> None:
    """What stands in its environment and files is a placeholder: the proxy alone has the key."""
    async with talk(home, name="keys") as chat:
        await chat.ask("look for keys")
        outputs = rows(home, "SELECT p.body FROM steps AS s JOIN payloads AS p USING (payload_id)")
        text = "".join(row[0] for row in outputs)
        assert "ANTHROPIC_AUTH_TOKEN=added-by-the-proxy" in text
        assert not any(mark in text for mark in KEY_MARKS)


@pytest.mark.long
async def test_what_is_said_meanwhile_is_heard(home: Installation) -> None:
    """Two messages during a tool reach the model before its answer, in order, and count as its task's then."""
    async with talk(home, name="steer") as chat:
        await chat.say("work gate")
        await chat.until("progress", "shell")
        await chat.say("and markerone")
        await chat.say("and markertwo")
        query = "SELECT count(*) FROM v_messages WHERE text LIKE 'and marker%' AND state = 'queued'"
        await until_true(lambda: rows(home, query) == [(2,)])
        (workspace(home) / "gate").touch()
        assert await chat.answer() == "said meanwhile: markerone,markertwo"
        kinds = ["model_turn", "tool_started", "tool_finished", "steered", "steered", "model_turn"]
        assert steps(home, "work gate") == kinds == steps(home, "and markertwo")


@pytest.mark.long
async def test_a_stop_ends_program_and_tools_and_keeps_the_session(home: Installation) -> None:
    """/stop is confirmed, no process is left, and the next task knows what was said."""
    async with talk(home, name="stop") as chat:
        await chat.ask("hello markerstay")
        shutil.rmtree(workspace(home) / "began", ignore_errors=True)
        await chat.say("hang on")
        await until_true(lambda: bool(tool_processes(TOOL)) and bool(tool_processes(CHILD)))
        await chat.say("/stop")
        await chat.until("message", "Stopped.")
        await until_true(lambda: not tool_processes(TOOL) and not tool_processes(CHILD))
        assert (await chat.ask("recall markernow")).endswith("markerstay,markernow")


@pytest.mark.long
async def test_a_killed_container_is_followed_by_another(home: Installation) -> None:
    """The second attempt goes on in the session, and its model is told what was under way."""
    async with talk(home, name="kill") as chat:
        await chat.ask("hello markerbefore")
        shutil.rmtree(workspace(home) / "began", ignore_errors=True)
        await chat.say("hang again")
        await until_true((workspace(home) / "began").is_dir)  # the shell's own line names the tool, too
        agent = await find_agent(home, TOOL)
        os.kill(agent, signal.SIGKILL)
        await chat.until("message", "after", 90)
        prompts = [call["said"] for call in home.twin("GET", "/twin/log")]
        assert "It may have happened" in prompts[-1]
        assert "markerbefore" in await chat.ask("recall it")


@pytest.mark.long
async def test_a_file_is_sent_and_a_question_answered(home: Installation) -> None:
    """Our tools reach the program: a file arrives, and the answer to a question is the model's."""
    async with talk(home, name="tools") as chat:
        await chat.say("send it")
        await chat.until("file", "sent.txt")
        assert "sent: " in (await chat.until("message", "sent: ")).text
        await chat.say("ask me")
        await chat.until("message", "Which colour?")
        assert "blue" in await chat.ask("blue")


@pytest.mark.long
async def test_calls_of_one_turn_are_stored_once_each(home: Installation) -> None:
    """Two calls at once, then a sub-agent's inside its call."""
    async with talk(home, name="calls") as chat:
        said = (await chat.ask("two things")).removeprefix("got ")
        assert sorted(said.splitlines()) == ["one", "two"]
        kinds = steps(home, "two things")
        assert kinds[0] == "model_turn" and kinds[-1] == "model_turn"
        assert sorted(kinds[1:-1]) == ["tool_finished", "tool_finished", "tool_started", "tool_started"]
        assert "it says made" in await chat.ask("delegate inside")


@pytest.mark.long
async def test_rounds_have_an_end(home: Installation) -> None:
    """A model that goes on and on is ended in plain words."""
    async with talk(home, "limited", name="rounds") as chat:
        assert "3 rounds" in await chat.ask("never ends")


@pytest.mark.long
async def test_a_constraint_holds_for_its_own_tools(home: Installation) -> None:
    """A command that an owner wants to be asked about waits for a yes; after a no it is not made."""
    async with talk(home, "watched", name="asked") as chat:
        precious = workspace(home, "watched") / "precious"
        precious.parent.mkdir(parents=True, exist_ok=True)
        precious.write_text("x")
        await chat.say("remove it")
        asked = await chat.until("message", "rm precious")
        await chat.say(next(button.value for button in asked.buttons if button.label == "No"))
        await chat.until("message", "done: ")
        assert precious.exists()


@pytest.mark.long
async def test_a_structured_task_ends_with_its_result(home: Installation) -> None:
    """`task_result` comes over our own server; a task whose model never calls it fails with the reason."""
    await home.control.request("program_add", {"program": "counter", "groups": ["analyst"], "token": False})
    client = TaskClient(home.home / "run" / "task.sock", program="counter")
    for given, status in (("decide", TaskStatus.STRUCTURED), ("hello", TaskStatus.FAILED)):
        submitted = await client.submit("analyst", given, result_schema=SCHEMA)
        async with asyncio.timeout(60):
            envelope = await client.wait(submitted.submission)
        assert envelope.result is not None and envelope.result.status is status, envelope
        if status is TaskStatus.STRUCTURED:
            assert envelope.result.structured == {"colour": "blue"}
        else:
            assert envelope.result.reason


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 401, "message": "no such key", "times": 20}, "refused its key"),
        ({"kind": "status", "status": 400, "message": "prompt is too long: 9 tokens > 8 maximum", "times": 20}, "/new"),
        ({"kind": "status", "status": 429, "message": "slow", "retry_after": "7200", "times": 20}, "slow down"),
    ],
)
async def test_a_service_that_refuses_is_told_in_plain_words(
    home: Installation, fault: dict[str, object], words: str
) -> None:
    """The same words as for our own loop."""
    async with talk(home, name=f"fault-{fault['status']}") as chat:
        await chat.ask("/new")  # the twin's window is small: a long conversation would be summed up first
        home.twin("POST", "/twin/fault", fault)
        try:
            assert words in await chat.ask("hello")
        finally:
            home.twin("DELETE", "/twin/fault")
        assert await chat.ask("hello") == "hi from the script"
