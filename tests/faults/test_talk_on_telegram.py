"""What people see and may do on Telegram while agents work, over the whole way: processes, containers, the twin."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.house import talk, tool_processes, until_true, workspace, write_group
from tests.faults.phones import PERSON, PhoneHouse, phone_house, words_of

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

BEN, OTHER_PHONE, CAY = 7002, 7003, 7004
YARD = -1001000000001
SLEEP = "sleep 1000.75"


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"tool": tool, "arguments": arguments}]}


def wait_for(name: str) -> dict[str, Any]:
    return call("shell", command=f"while [ ! -e {name} ]; do sleep 0.2; done; rm {name}")


SCRIPT = {
    "rules": [
        {"when": "^work", "turns": [wait_for("one"), wait_for("two"), {"text": "the work is done"}]},
        {"when": "^slow", "turns": [call("shell", command=SLEEP)]},
        {"when": "^push", "turns": [call("shell", command="echo pushed >> log"), {"text": "it is pushed"}]},
        {"when": "^tell (\\S+)", "turns": [call("send_message", text="psst", to="{1}"), {"text": "{output}"}]},
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}
GROUP = "constraints:\n  - {command: echo pushed}\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(agent_image: str) -> AsyncIterator[PhoneHouse]:
    people = (BEN, OTHER_PHONE, CAY)
    async with phone_house(SCRIPT, group=GROUP, groups=("main", "side", "wordy"), people=people) as running:
        write_group(running.running, "wordy", "progress: full\n")
        assert (await running.ask("reload"))["problems"] == []
        running.telegram.world.sees_all_in_groups = True
        running.telegram.world.chats[YARD].members += [PERSON, BEN]
        ben = running.phone(BEN)
        await running.pair(ben, "member")
        await running.pair(running.phone(CAY), "member", "wordy")
        code = (await ben.gives("/link", "Your code")).split("Your code: ")[1].split()[0]
        await running.phone(OTHER_PHONE).gives(code, "are one person")
        yield running


def reactions(house: PhoneHouse, chat: int, number: int) -> list[str]:
    return list(house.telegram.world.chats[chat].reactions.get(number, []))


async def test_what_is_seen_of_work(house: PhoneHouse) -> None:
    """A mark on receipt, typing, one silent line with the tool's name and nothing of its arguments; at the end both are
    gone, and the answer is a message of its own that makes the phone sound."""
    phone = house.phone()
    number = await phone.type("work on it")
    await until_true(lambda: reactions(house, PERSON, number) == ["👀"])
    await until_true(lambda: any(each["method"].lower() == "sendchataction" for each in calls(house)))
    line = await phone.reads("shell", number)
    assert words_of(line) == "shell"
    (workspace(house.running) / "one").touch()
    (workspace(house.running) / "two").touch()
    answer = await phone.reads("the work is done", number)
    assert answer["message_id"] > line["message_id"]
    await until_true(lambda: [words_of(each) for each in phone.sees(number)] == ["the work is done"])
    await until_true(lambda: reactions(house, PERSON, number) == [])
    assert sent(house, "shell") == [True]
    assert sent(house, "the work is done") == [False]


async def test_the_line_is_edited_as_work_goes_on(house: PhoneHouse) -> None:
    """Where the agent's settings want it, the line tells what tools are called with; the next tool's is the same
    message."""
    phone = house.phone(CAY)
    number = await phone.type("work on it")
    line = await phone.reads("shell while [ ! -e one ]", number)
    (workspace(house.running, "wordy") / "one").touch()
    edited = await phone.reads("shell while [ ! -e two ]", number)
    assert edited["message_id"] == line["message_id"]
    (workspace(house.running, "wordy") / "two").touch()
    await phone.reads("the work is done", number)
    await until_true(lambda: len(phone.sees(number)) == 1)


@pytest.mark.parametrize("wish", ["slow", "push"])
async def test_another_account_of_theirs_stops_it(house: PhoneHouse, wish: str) -> None:
    """A member's /stop on another phone ends what they asked on the first, while a tool runs and while an approval
    waits; the process is gone, and nothing waits for a decision any more."""
    phone, other = house.phone(BEN), house.phone(OTHER_PHONE)
    number = await phone.type(wish)
    if wish == "slow":
        await until_true(lambda: bool(tool_processes(SLEEP)))
    else:
        await house.phone().reads("echo pushed")
    began = time.monotonic()
    await other.gives("/stop", "Stopped what you had asked for elsewhere")
    print(f"\n/stop from another account, confirmed: {time.monotonic() - began:.2f} s")
    await phone.reads("Stopped", number)
    await until_true(lambda: not tool_processes(SLEEP))
    await house.until("SELECT state FROM v_tasks ORDER BY created_at DESC LIMIT 1", "stopped")
    await house.until("SELECT count(*) FROM v_approvals WHERE state = 'waiting'", 0)


async def test_a_stop_does_not_wait_for_the_rest_of_a_paste(house: PhoneHouse) -> None:
    """A piece of a paste waits for the next one; /stop does not, and the piece is answered by nobody."""
    phone = house.phone()
    await phone.type("x" * 4_096)
    number = await phone.type("/stop")
    await phone.reads("Stopped.", number)
    await house.until("SELECT state FROM v_messages ORDER BY seq DESC LIMIT 1 OFFSET 1", "dead")


async def test_several_agents_answer_in_one_chat(house: PhoneHouse) -> None:
    """Who is named or whose pattern matches answers, else the default one if the bot is mentioned; and nobody else."""
    await house.ask("bind", chat=f"telegram:{YARD}", group="main", kind="many", when="mention")
    await house.ask(
        "bind", chat=f"telegram:{YARD}", group="side", kind="many", when="pattern", pattern="invoice", default=False
    )
    phone = house.phone(chat=YARD)
    for text, group in (
        ("@rehearsal_bot good morning", "main"),
        ("an invoice came", "side"),
        ("side: are you there?", "side"),
    ):
        await phone.gives(text, f"ok {text}")
        (answered,) = house.rows(
            'SELECT "group" FROM v_tasks WHERE chat = ? ORDER BY created_at DESC LIMIT 1', f"telegram:{YARD}"
        )
        assert answered == (group,), text
    before = house.rows("SELECT count(*) FROM v_tasks")
    await phone.type("nobody is meant")
    await phone.gives("@rehearsal_bot the end", "ok @rehearsal_bot the end")
    assert house.rows("SELECT count(*) FROM v_tasks") == [(before[0][0] + 1,)]


async def test_one_agent_answers_in_many_chats(house: PhoneHouse) -> None:
    """Each chat has a conversation of its own; those that are bound as shared have one together."""
    assert len(await sessions_of_both(house)) == 2
    for person in (PERSON, BEN):
        await house.ask("bind", chat=f"telegram:{person}", group="main", session="shared")
    assert len(await sessions_of_both(house)) == 1
    for person in (PERSON, BEN):
        await house.ask("bind", chat=f"telegram:{person}", group="main", session="chat")
    assert len(await sessions_of_both(house)) == 2


async def sessions_of_both(house: PhoneHouse) -> set[str]:
    """Have two people say something; return the conversations that it was said in."""
    for person in (PERSON, BEN):
        await house.phone(person).gives("good evening", "ok good evening")
    newest = "SELECT session_id FROM v_tasks WHERE chat = ? ORDER BY created_at DESC LIMIT 1"
    return {house.rows(newest, f"telegram:{person}")[0][0] for person in (PERSON, BEN)}


async def test_an_agent_sends_where_its_list_says_and_nowhere_else(house: PhoneHouse) -> None:
    """A name of the list is a chat; any other name, a chat's own address too, is refused by the host."""
    await house.ask("destination_add", group="main", name="ben", chat=f"telegram:{BEN}")
    ben, after = house.phone(BEN), max(each["message_id"] for each in house.phone(BEN).sees())
    async with talk(house.running, name="tell") as chat:
        for name in ("boss", f"telegram:{BEN}"):
            assert "no destination" in (await chat.ask(f"tell {name}")).lower()
        assert "psst" not in [words_of(each) for each in ben.sees(after)]
        assert "Sent to ben" in await chat.ask("tell ben")
    await ben.reads("psst", after)


async def test_the_menus_are_there(house: PhoneHouse) -> None:
    """A bot that was just connected offers members' words to everybody, and owners' to its owner."""
    await house.ask("reload")
    commands = house.telegram.world.commands
    await until_true(lambda: f"chat:{PERSON}" in commands)
    assert "freeze" in {each["command"] for each in commands[f"chat:{PERSON}"]}
    assert "freeze" not in {each["command"] for each in commands["all_private_chats"]}


def calls(house: PhoneHouse) -> list[dict[str, Any]]:
    return house.telegram.world.log.read(event="call")


def sent(house: PhoneHouse, text: str) -> list[bool]:
    """Return for each message of this text whether it was sent silently."""
    return [
        each["arguments"].get("disable_notification") == "true"
        for each in calls(house)
        if each["method"].lower() == "sendmessage" and each["arguments"].get("text") == text
    ]
