"""Every command of the table, given by an owner in a terminal and on a phone, does what it is for: with agents in
containers, the real proxy, and what the store says afterwards.

Who may not give one, and is told so, is `tests/runtime/commands/test_every_command.py`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runtime.commands.table import COMMANDS
from tests.faults.house import talk, tool_processes, until_true, workspace
from tests.faults.phones import PERSON, Desk, Phone, PhoneHouse, phone_house

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

SLEEP = "sleep 1000.25"


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"tool": tool, "arguments": arguments}]}


SCRIPT = {
    "rules": [
        {"when": "^Sum up the conversation", "turns": [{"text": "- they said hello"}]},
        {"when": "^slow", "turns": [call("shell", command=SLEEP)]},
        {
            "when": "^push (\\w+)",
            "turns": [call("shell", command="echo pushed {1} >> log"), {"text": "push: {output}"}],
        },
        {"when": "^paint", "turns": [call("ask_user", question="Which colour?"), {"text": "painted: {output}"}]},
        {"when": "^write (\\w+)", "turns": [call("shell", command="echo {1} > note"), {"text": "{1} is written"}]},
        {"when": "^fail", "turns": [{"text": "", "stop": "refused"}]},
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}
SETTINGS = "budgets:\n  calls_per_day: 5000\n"
GROUP = "skills: [greet]\nconstraints:\n  - {command: echo pushed}\n"
SKILL = "---\nname: greet\ndescription: Greets in many languages.\n---\n\nSay hello.\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(agent_image: str) -> AsyncIterator[PhoneHouse]:
    async with phone_house(SCRIPT, settings=SETTINGS) as running:
        skill = running.running.fork / "skills" / "greet" / "SKILL.md"
        skill.parent.mkdir(parents=True)
        skill.write_text(SKILL, "utf-8")
        (running.running.fork / "groups" / "main" / "group.yaml").write_text(GROUP, "utf-8")
        assert (await running.ask("reload"))["problems"] == []
        yield running


class Person:
    """Somebody who gives commands in one chat; which, is written down."""

    def __init__(self, house: PhoneHouse, side: Phone | Desk, chat: str, word: str) -> None:
        self.house = house
        self.side = side
        self.chat = chat
        self.word = word
        """Of what a no is said to: the same is not asked again for a day."""
        self.given: set[str] = set()

    @property
    def workspace(self) -> Path:
        return workspace(self.house.running)

    async def gives(self, text: str, wanted: str, kind: str = "message") -> str:
        if text.startswith("/"):
            self.given.add(text[1:].split()[0])
        return await self.side.gives(text, wanted, kind=kind)

    async def begins(self, text: str, tool: str) -> None:
        """Say something, and wait until a tool runs because of it."""
        await (self.side.type(text) if isinstance(self.side, Phone) else self.side.say(text))
        await until_true(lambda: bool(tool_processes(tool)))

    async def ask(self, verb: str, **arguments: object) -> Any:
        return await self.house.ask(verb, **arguments)

    async def current(self) -> str:
        """Return the session that the chat is in."""
        sessions = (await self.ask("session_list", chat=self.chat))["sessions"]
        return next((str(each["session"]) for each in sessions if each["is_current"]), "")


async def about_the_house(me: Person) -> None:
    assert "/stop" in await me.gives("/start", "This is Nightyard; the agent here is main")
    assert "/freeze" in await me.gives("/help", "/stop")
    await me.gives("/whoami", "owner")
    await me.gives("/status", "Agent main, model bench/scripted")
    await me.gives("/skills", "Greets in many languages.")
    await me.gives("/model bench/other", "bench/other")
    assert (await me.ask("model_show", group="main", chat=me.chat))["model"] == "bench/other"
    await me.gives("/model default", "bench/scripted")
    await me.gives("/settings mode collect", "(mode: collect)")
    (binding,) = (await me.ask("bindings", chat=me.chat))["bindings"]
    assert binding["mode"] == "collect"
    await me.gives("/settings mode steer", "(mode: steer)")


async def conversations(me: Person) -> None:
    await me.gives("/new", "A fresh conversation begins")
    assert await me.current() == ""
    await me.gives("about the garden", "ok about the garden")
    await me.gives("and the roses", "ok and the roses")
    garden = await me.current()
    await me.gives("/sessions", "“about the garden”")
    await me.gives("/export", "This conversation:", "file")
    await me.gives("/compact", "Summing up 4 turns")
    await me.house.until("SELECT state FROM v_compactions ORDER BY asked_at DESC LIMIT 1", "done")
    await me.gives("/new", "A fresh conversation begins")
    await me.gives("about the kitchen", "ok about the kitchen")
    assert await me.current() not in ("", garden)
    await me.gives("/resume 2", "We go on with “about the garden”")
    assert await me.current() == garden
    await me.gives("/tasks", "✓ answered")


async def memory(me: Person) -> None:
    note = me.house.running.home / "groups" / "main" / "memory" / "note.md"
    note.write_text("water on Mondays\n", "utf-8")
    await me.gives("/memory", "note.md")
    await me.gives("/memory show note.md", "water on Mondays")
    await me.gives("/memory forget note.md", "is removed")
    assert not note.exists()


async def stopping(me: Person) -> None:
    await me.begins("slow", SLEEP)
    await me.gives("/stop", "Stopped.")
    await until_true(lambda: not tool_processes(SLEEP))
    newest = f"SELECT state FROM v_tasks WHERE chat = '{me.chat}' ORDER BY created_at DESC LIMIT 1"
    await me.house.until(newest, "stopped")
    await me.gives("/pause the roof is mended", "main is paused")
    assert (await me.ask("tasks", group="main"))["paused"] == ["the roof is mended"]
    await me.gives("/resume", "main goes on")
    assert (await me.ask("tasks", group="main"))["paused"] == []
    await me.gives("/freeze", "Frozen: no agent runs, and nothing goes out")
    status = await me.ask("status")
    assert (status["frozen"], status["proxy"]["state"]) == (True, "frozen")
    await me.gives("/unfreeze", "Unfrozen.")
    status = await me.ask("status")
    assert (status["frozen"], status["proxy"]["state"]) == (False, "ok")


async def decisions(me: Person) -> None:
    log = me.workspace / "log"
    log.unlink(missing_ok=True)
    code = code_in(await me.gives("push this", "echo pushed this"))
    await me.gives("/approvals", code)
    await me.gives(f"/approve {code}", f"{code}: yes")
    await me.house.until("SELECT state FROM v_tasks ORDER BY created_at DESC LIMIT 1", "reply")
    assert log.read_text("utf-8") == "pushed this\n"
    other = code_in(await me.gives(f"push {me.word}", f"echo pushed {me.word}"))
    await me.gives(f"/deny {other} not today", f"{other}: no")
    await me.house.until("SELECT state FROM v_tasks ORDER BY created_at DESC LIMIT 1", "reply")
    assert log.read_text("utf-8") == "pushed this\n"
    states = {each["approval"]: each["state"] for each in (await me.ask("approval_list", ended=True))["ended"]}
    assert (states[code], states[other]) == ("approved", "denied")
    await me.gives("paint it", "Which colour?")
    question = (await me.gives("/answer", "Which colour?")).split()[0].strip("`")
    await me.gives(f"/answer {question} purple", "Answered")
    await me.house.until("SELECT reply LIKE '%purple%' FROM v_tasks ORDER BY created_at DESC LIMIT 1", 1)
    made = await me.gives('/constraint add command "git push" deny', "holds for main")
    name = made.split()[0].strip("`")
    assert name in {each["constraint"] for each in (await me.ask("constraint_list", group="main"))["constraints"]}
    await me.gives(f"/constraint remove {name}", "does not hold any more")
    assert name not in {each["constraint"] for each in (await me.ask("constraint_list", group="main"))["constraints"]}


async def mending(me: Person) -> None:
    note = me.workspace / "note"
    await me.gives("write old", "old is written")
    await me.gives("write new", "new is written")
    assert note.read_text("utf-8") == "new\n"
    task = found(r"task_\w+", await me.gives("/undo", "Going back to before task_"))
    await me.gives(f"/undo {task} yes", "Undone.")
    assert note.read_text("utf-8") == "old\n"
    await me.gives("fail", "⚠")
    letter = found(r"task_\w+", await me.gives("/retry list", "task_"))
    await me.gives("/retry", f"Trying {letter} again")
    newest = "FROM v_tasks ORDER BY created_at DESC LIMIT 1"
    await me.house.until(f"SELECT task_id <> '{letter}' AND state <> 'running' {newest}", 1)
    again = found(r"task_\w+", await me.gives("/retry list", "task_"))
    assert again != letter
    await me.gives(f"/retry close {again}", "is closed")
    assert [each["letter"] for each in (await me.ask("letters"))["letters"]] == []


async def time_and_money(me: Person) -> None:
    number = found(r"Schedule (\d+)", await me.gives("/schedule every day 08:00 water the roses", "Schedule "))
    (schedule,) = [each for each in (await me.ask("schedule_list"))["schedules"] if each["chat"] == me.chat]
    assert str(schedule["schedule"]) == number
    await me.gives(f"/schedule remove {number}", "is removed")
    assert [each for each in (await me.ask("schedule_list"))["schedules"] if each["chat"] == me.chat] == []
    calls = found(r"main, 7 days: (\d+) model calls", (await me.gives("/usage", "main, 7 days")).replace("*", ""))
    assert int(calls) > 10
    await me.gives("/budget", "of 5,000")


async def people(me: Person) -> None:
    await me.gives("/person", f"telegram:{PERSON}")
    await me.gives(f"/person limit telegram:{PERSON} per_hour=5000", "are set")
    assert (await me.ask("person_show", person=f"telegram:{PERSON}"))["limits"]["per_hour"] == 5000
    await me.gives("/chat", f"telegram:{PERSON}")
    await me.gives("/access", "Nobody was refused")
    if isinstance(me.side, Phone):
        await me.gives("/link", "Your code")
        assert me.house.rows("SELECT count(*) FROM pairing_codes WHERE person = ?", f"telegram:{PERSON}") == [(1,)]
    else:
        await me.gives("/link", "a terminal belongs to whoever owns this machine")


PARTS: tuple[Callable[[Person], Awaitable[None]], ...] = (
    about_the_house,
    conversations,
    memory,
    stopping,
    decisions,
    mending,
    time_and_money,
    people,
)


async def all_of_it(me: Person) -> None:
    for part in PARTS:
        await part(me)
    assert me.given == {spec.name for spec in COMMANDS}


async def test_every_command_on_a_phone(house: PhoneHouse) -> None:
    """An owner in a direct chat on Telegram."""
    await all_of_it(Person(house, house.phone(), f"telegram:{PERSON}", "phone"))


async def test_every_command_in_a_terminal(house: PhoneHouse) -> None:
    """Whoever can open a terminal owns the home."""
    async with talk(house.running, name="commands") as terminal:
        await all_of_it(Person(house, Desk(terminal), "terminal:main:commands", "terminal"))


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[match.re.groups]


def code_in(text: str) -> str:
    """Return the code of a card."""
    return found(r"\b[0-9A-HJKMNP-TV-Z]{8}\b", text)
