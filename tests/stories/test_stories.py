"""Ten stories of a person and an agent in a real container, each on a terminal and on Telegram: what the person sees,
what is on the disk, and that nothing is left undone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from client.tasks import TaskClient
from protocol.task import TaskStatus
from tests.faults.house import LOOK_EVERY_S, WAIT_S, tool_processes, until_true, workspace
from tests.stories.conftest import House
from tests.stories.phones import Phone
from tests.stories.script import JUDGED, SCHEMA, SLEEP

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="session")]

POEM = "Yard of night,\nsmall light — ☾\n".encode()
WINDOW_BYTES = 32_768 * 4
"""Of the model of these stories; a token has about four bytes."""


async def test_a_file_is_written_and_sent(house: House) -> None:
    """The bytes that the agent wrote are those that the person gets."""
    async with house.phone() as phone:
        await phone.say("write a poem to poem.txt")
        assert await phone.receives("poem.txt") == POEM
        await phone.reads("It is on its way.")
        assert (workspace(house.running) / "poem.txt").read_bytes() == POEM
        await house.all_is_well()


async def test_a_question_is_answered_by_a_button(house: House) -> None:
    """The agent waits; the button's words come back to it, in the same task."""
    async with house.phone() as phone:
        await phone.say("paint the fence of Ada")
        await phone.reads("Which colour for Ada?")
        await phone.press("Green")
        assert "Green" in await phone.reads("painted Ada: ")
        await house.until("SELECT count(*) FROM v_questions WHERE state NOT IN ('answered')", 0)
        await house.all_is_well()


async def test_a_word_in_between_changes_the_course(house: House) -> None:
    """What is said while a tool runs is heard before the answer, which is one for both."""
    async with house.phone() as phone:
        await phone.say("tidy up beds")
        await until_true(lambda: bool(tool_processes("sleep 0.1")))
        await phone.say("and water beds")
        await said(house, "and water beds")
        (workspace(house.running) / "beds").touch()
        await phone.reads("tidied and watered beds")
        await house.all_is_well()
        assert not any("nothing else" in each for each in phone.messages())
        assert await steps(house, "and water beds") == [
            "model_turn",
            "tool_started",
            "tool_finished",
            "steered",
            "model_turn",
        ]


async def test_a_stop_is_one(house: House) -> None:
    """The tool and its process are gone, nothing of the answer comes, and the conversation goes on."""
    async with house.phone() as phone:
        await phone.say("sleep")
        await until_true(lambda: bool(tool_processes(SLEEP)))
        await phone.say("/stop")
        await phone.reads("Stopped.")
        await until_true(lambda: not tool_processes(SLEEP))
        await phone.say("good morning")
        await phone.reads("noted: good morning")
        assert not any("never said" in each for each in phone.messages())
        await house.all_is_well()


async def test_long_work_shows_how_far_it_is(house: House) -> None:
    """The person sees which step is under way, reads a word in between, and the answer at the end."""
    async with house.phone() as phone:
        await phone.say("move house Ben")
        await phone.sees_work("Ben.boxes")
        (workspace(house.running) / "Ben.boxes").touch()
        await phone.reads("half of Ben is moved")
        await phone.sees_work("Ben.rest")
        (workspace(house.running) / "Ben.rest").touch()
        await phone.reads("Ben is moved")
        await house.all_is_well()


async def test_a_skill_brings_a_script(house: House) -> None:
    """The agent opens the skill and runs what lies in it, in its container."""
    async with house.phone() as phone:
        await phone.say("stamp yard")
        assert "[YARD / " in await phone.reads("stamped: ")
        await house.all_is_well()


async def test_a_result_of_a_shape_is_looked_at_in_the_chat(house: House) -> None:
    """A program asks for a result by a schema; a person sees it in their chat, with how sure the agent is, and lets it
    go; the program gets exactly that."""
    async with house.phone("analyst") as phone:
        await phone.say("good morning")
        await phone.reads("noted: good morning")
        name = f"counter-{len(house.rows('SELECT 1 FROM v_submissions'))}"
        await house.running.control.request("program_add", {"program": name, "groups": ["analyst"], "token": False})
        client = TaskClient(house.running.home / "run" / "task.sock", program=name)
        submitted = await client.submit("analyst", "count the files", result_schema=SCHEMA)
        card = await phone.reads("counted them one by one")
        assert "files: 3" in card and "confidence: 0.9" in card
        await phone.press("Yes")
        async with asyncio.timeout(WAIT_S):
            envelope = await client.wait(submitted.submission)
        assert envelope.result is not None and envelope.result.status is TaskStatus.STRUCTURED
        assert envelope.result.structured == JUDGED["found"]
        await house.all_is_well()


async def test_a_sub_agent_does_a_part(house: House) -> None:
    """It works in the same container; its last word is all that comes back."""
    async with house.phone() as phone:
        await phone.say("compare roses")
        assert "roses has 6" in await phone.reads("compared: ")
        assert (workspace(house.running) / "seen.roses").read_text() == "roses\n"
        await house.all_is_well()


@pytest.mark.parametrize("messages", [20, pytest.param(200, marks=pytest.mark.long)])
async def test_two_hundred_turns_are_one_conversation(house: House, messages: int) -> None:
    """Whatever is summed up meanwhile: instructions, what was decided, what is open and where files are stay known, and
    no question to the model outgrows its window. `messages`: each of ten turns of the model, or of one."""
    async with house.phone() as phone:
        before = summaries(house)
        house.running.twin("DELETE", "/twin/log")
        for fact in ("[decided: blue]", "[open: call anna]", "[file: out/plan.txt]"):
            await phone.say(f"remember {fact}")
            await phone.reads(f"noted: remember {fact}")
        for number in range(messages):
            await turns(phone, number, is_worked=messages < 200)
        await phone.say("what do you know")
        known = await phone.reads("I know: ")
        for fact in ("[rule: never shout]", "[decided: blue]", "[open: call anna]", "[file: out/plan.txt]"):
            assert fact in known
        asked = await asyncio.to_thread(house.running.twin, "GET", "/twin/log")
        made = summaries(house) - before
        sizes = [each["bytes"] for each in asked]
        print(
            f"\n{len(asked)} questions, {made} summaries; the largest question {max(sizes)} bytes, the last {sizes[-1]}"
        )
        assert len(asked) >= 200 and made >= 3 and max(sizes) < WINDOW_BYTES
        assert not any("Sum up" in each for each in phone.messages())
        await house.all_is_well()


async def test_another_service_answers_and_says_so(house: House) -> None:
    """Where the first service refuses its key the next one answers, and the person reads both."""
    async with house.phone("wary") as phone:
        await phone.say("good evening")
        answer = await phone.reads("noted: good evening")
        assert "refusing" in answer and "bench/scripted answers instead" in answer
        await house.all_is_well()


async def turns(phone: Phone, number: int, *, is_worked: bool) -> None:
    if is_worked:
        await phone.say(f"read part {number + 10}")
        await phone.reads(f"read part {number + 10}")
    else:
        await phone.say(f"read on {number}")
        await phone.reads("what was read: ")


def summaries(house: House) -> int:
    return int(house.rows("SELECT count(*) FROM v_compactions WHERE state = 'done'")[0][0])


async def said(house: House, text: str) -> dict[str, Any]:
    """Return the newest message of this text, as soon as the host has it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            recent: Any = await house.running.control.request("recent", {"limit": 10})
            found = [message for message in recent["messages"] if message["text"] == text]
            if found:
                return dict(found[0])
            await asyncio.sleep(LOOK_EVERY_S)


async def steps(house: House, text: str) -> list[str]:
    """Return the kinds of the steps of the task that answered a text."""
    message = await said(house, text)
    trace: Any = await house.running.control.request("trace", {"reference": message["message"]})
    return [str(step["kind"]) for step in trace["steps"]]
