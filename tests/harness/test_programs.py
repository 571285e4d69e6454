"""Codex and OpenCode as agents: the real programs in their images, in real containers, against the model twin."""

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
from tests.faults.house import find_agent, tool_processes, until_true, workspace
from tests.harness.claude_house import CHILD, TOOL, rows, spare_waits, steps
from tests.harness.programs_house import KEY, patient_talk, programs_house

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
GROUPS = {
    "main": "",
    "watched": "constraints:\n  - command: rm precious\n",
    "limited": "limits:\n  rounds: 3\n",
    "analyst": "",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["codex", "opencode"])
async def home(request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    async with programs_house(request.param, GROUPS) as running:
        yield running


async def test_a_person_talks_with_it(home: Installation) -> None:
    """It answers, uses its tools as the agent's user, and knows in the next task, from a waiting container, what was
    said before; a new conversation knows nothing of it."""
    async with patient_talk(home, name="whole") as chat:
        assert await chat.ask("hello, I am markerada") == "hi from the script"
        assert chat.read("delta") and "".join(chat.read("delta")) == "hi from the script"
        said = await chat.ask("make a file")
        assert said.startswith("it says") and "made" in said and "shell" in chat.read("progress")
        assert (workspace(home) / "made.txt").read_text() == "made\n"
        assert steps(home, "make a file") == ["model_turn", "tool_started", "tool_finished", "model_turn"]
        await spare_waits(home)
        assert await chat.ask("recall markerbob") == "I know markerada,markerbob"
        prompts = [call["said"] for call in home.twin("GET", "/twin/log")]
        assert not any("<earlier>" in prompt for prompt in prompts)  # its own session has gone on
        assert await chat.ask("open the skill") == "it is there: a skill of the yard"
        assert await chat.ask("/new")
        assert await chat.ask("recall markercarl") == "I know markercarl"


async def test_a_key_is_nowhere_in_the_container(home: Installation) -> None:
    """The twin is shown the key, which nothing inside holds: not an environment, not a file, not a process."""
    async with patient_talk(home, name="keys") as chat:
        await chat.ask("look for keys")
        outputs = rows(home, "SELECT p.body FROM steps AS s JOIN payloads AS p USING (payload_id)")
        text = "".join(row[0] for row in outputs)
        assert "NIGHTYARD_HARNESS" in text and KEY not in text
        assert {call["key"] for call in home.twin("GET", "/twin/log")} == {KEY}


async def test_what_is_said_meanwhile_is_heard(home: Installation) -> None:
    """Two messages during a tool reach the model before its answer, in order, and count as its task's then."""
    async with patient_talk(home, name="steer") as chat:
        (workspace(home) / "gate").unlink(missing_ok=True)
        await chat.say("work gate")
        await chat.until("progress", "shell")
        await chat.say("and markerone")
        await chat.say("and markertwo")
        query = "SELECT count(*) FROM v_messages WHERE text LIKE 'and marker%' AND state = 'queued'"
        await until_true(lambda: rows(home, query) == [(2,)])
        (workspace(home) / "gate").touch()
        answer = await chat.answer()
        assert "markerone" in answer and "markertwo" in answer
        kinds = steps(home, "work gate")
        assert kinds == steps(home, "and markerone") == steps(home, "and markertwo")
        assert kinds[:4] == ["model_turn", "tool_started", "tool_finished", "steered"] and kinds.count("steered") == 2


async def test_a_stop_ends_program_and_tools_and_keeps_the_session(home: Installation) -> None:
    """/stop is confirmed, no process is left, and the next task knows what was said."""
    async with patient_talk(home, name="stop") as chat:
        await chat.ask("hello markerstay")
        shutil.rmtree(workspace(home) / "began", ignore_errors=True)
        await chat.say("hang on")
        await until_true(lambda: bool(tool_processes(TOOL)) and bool(tool_processes(CHILD)))
        await chat.say("/stop")
        await chat.until("message", "Stopped.")
        await until_true(lambda: not tool_processes(TOOL) and not tool_processes(CHILD))
        assert (await chat.ask("recall markernow")).endswith("markerstay,markernow")


async def test_a_killed_container_is_followed_by_another(home: Installation) -> None:
    """The second attempt goes on in the session, and its model is told what was under way."""
    async with patient_talk(home, name="kill") as chat:
        await chat.ask("hello markerbefore")
        shutil.rmtree(workspace(home) / "began", ignore_errors=True)
        await chat.say("hang again")
        await until_true((workspace(home) / "began").is_dir)  # the shell's own line names the tool, too
        agent = await find_agent(home, TOOL)
        os.kill(agent, signal.SIGKILL)
        assert (await chat.answer()).startswith("after")
        prompts = [call["said"] for call in home.twin("GET", "/twin/log")]
        assert "It may have happened" in prompts[-1]
        assert "markerbefore" in await chat.ask("recall it")


async def test_a_file_is_sent_and_a_question_answered(home: Installation) -> None:
    """Our tools reach the program: a file arrives, and the answer to a question is the model's."""
    async with patient_talk(home, name="tools") as chat:
        await chat.say("send it")
        await chat.until("file", "sent.txt")
        assert "sent: " in (await chat.until("message", "sent: ")).text
        await chat.say("ask me")
        await chat.until("message", "Which colour?")
        assert "blue" in await chat.ask("blue")


async def test_calls_of_one_turn_are_stored_once_each(home: Installation) -> None:
    """Two calls at once: each is part of a turn, and begins and ends."""
    async with patient_talk(home, name="calls") as chat:
        said = await chat.ask("two things")
        assert "one" in said and "two" in said
        assert sorted(steps(home, "two things")) == [*["model_turn"] * 3, *["tool_finished"] * 2, *["tool_started"] * 2]


async def test_rounds_have_an_end(home: Installation) -> None:
    """A model that goes on and on is ended in plain words."""
    async with patient_talk(home, "limited", name="rounds") as chat:
        assert "3 rounds" in await chat.ask("never ends")


async def test_a_constraint_holds_for_its_own_tools(home: Installation) -> None:
    """A command that an owner wants to be asked about waits for a yes; after a no it is not made."""
    async with patient_talk(home, "watched", name="asked") as chat:
        precious = workspace(home, "watched") / "precious"
        precious.parent.mkdir(parents=True, exist_ok=True)
        precious.write_text("x")
        await chat.say("remove it")
        asked = await chat.until("message", "rm precious")
        await chat.say(next(button.value for button in asked.buttons if button.label == "No"))
        is_codex = "codex" in (home.fork / "groups/watched/group.yaml").read_text()
        await chat.until("message", "was refused" if is_codex else "rejected")
        assert precious.exists()


async def test_a_structured_task_ends_with_its_result(home: Installation) -> None:
    """`task_result` comes over our own server; a task whose model never calls it fails with the reason."""
    await home.control.request("program_add", {"program": "counter", "groups": ["analyst"], "token": False})
    client = TaskClient(home.home / "run" / "task.sock", program="counter")
    for given, status in (("decide", TaskStatus.STRUCTURED), ("hello", TaskStatus.FAILED)):
        submitted = await client.submit("analyst", given, result_schema=SCHEMA)
        async with asyncio.timeout(120):
            envelope = await client.wait(submitted.submission)
        assert envelope.result is not None and envelope.result.status is status, envelope


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 401, "message": "no such key", "times": 20}, "refused its key"),
        ({"kind": "status", "status": 400, "message": "maximum context length is 9 tokens", "times": 20}, "/new"),
    ],
)
async def test_a_service_that_refuses_is_told_in_plain_words(
    home: Installation, fault: dict[str, object], words: str
) -> None:
    """The same words as for our own loop."""
    async with patient_talk(home, name=f"fault-{fault['status']}") as chat:
        home.twin("POST", "/twin/fault", fault)
        try:
            assert words in await chat.ask("hello")
        finally:
            home.twin("DELETE", "/twin/fault")
        assert await chat.ask("hello") == "hi from the script"
