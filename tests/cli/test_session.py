"""`session export` and `/export`: the whole conversation in order, with answers and the names of files."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from client.control import ControlClient
from protocol.control import Say
from runtime.sessions.archive import SessionArchive
from runtime.sessions.desk import TURNS_AT_ONCE
from runtime.store.records import MessageState
from tests.cli.conftest import Run
from tests.scripted_house import House


async def talk(house: House, *said: Say) -> list[str]:
    """Say things one after another, each when the one before is answered; return the answers."""
    answers = []
    async with asyncio.timeout(50), ControlClient(house.home.control_socket).chat("main") as chat:
        shown = chat.shown()
        for each in said:
            await chat.say(each)
            async for one in shown:
                if one.kind == "message":
                    answers.append(one.text)
                    break
    return answers


async def answered(house: House, text: str) -> None:
    """Wait until the message with this text has its answer."""
    while not any(
        each.inbound.text == text and each.state is MessageState.ANSWERED
        for each in await house.store.recent_messages()
    ):
        pass


async def export_in_chat(house: House) -> str:
    """Return the text of the file that /export sends."""
    async with asyncio.timeout(20), ControlClient(house.home.control_socket).chat("main") as chat:
        await chat.say(Say(text="/export"))
        async for shown in chat.shown():
            if shown.kind == "file":
                assert re.match(r"conversation-main-\d{4}-\d\d-\d\d\.md", shown.text)
                return await asyncio.to_thread(Path(shown.path).read_text, "utf-8")
    raise AssertionError("the chat was closed")


async def test_an_export_holds_the_whole_conversation_in_order(nightyard: Run, house: House, tmp_path: Path) -> None:
    """Every message, answer and file's name, in the order in which they were said, over more turns than are read at
    once; the file of the chat, the verb's output and its `-o` file are the same text. A fresh conversation's export
    holds nothing of the one before, which is still there by its id."""
    (tmp_path / "plan.txt").write_text("the plan")
    many = [Say(text=f"number {number}.") for number in range(TURNS_AT_ONCE + 3)]
    answers = await talk(
        house, Say(text="Hello, *you*\n\n# my heading"), Say(text="look", files=(str(tmp_path / "plan.txt"),)), *many
    )
    assert answers[1] == "**You** said look [plan.txt: 8]"
    text = await export_in_chat(house)
    head, *sections = text.split("\n## ")
    assert re.fullmatch(r"# Conversation with main\n\nBegun \d{4}-\d\d-\d\d \d\d:\d\d UTC · `session_\w+`\n", head)
    spoken = [section.partition("\n\n") for section in sections]
    assert [body.strip() for _, _, body in spoken] == [
        "Hello, *you*\n\n### my heading",
        "**You** said Hello, *you*\n\n### my heading",
        "look\n[file: plan.txt]",
        "**You** said look [plan.txt: 8]",
        *(line for each in many for line in (each.text, f"**You** said {each.text}")),
    ]
    who = [title.partition(" · ")[0] for title, _, _ in spoken]
    assert who[1::2] == ["main"] * len(answers)
    assert len(set(who[0::2])) == 1 and who[0] != "main"
    assert (await nightyard("session", "export", "terminal:main")).out == text
    written = await nightyard("session", "export", "terminal:main", "-o", str(tmp_path / "talk.md"))
    assert written.out == f"Written to {tmp_path / 'talk.md'}.\n"
    assert (tmp_path / "talk.md").read_text("utf-8") == text

    session = re.search(r"session_\w+", head)
    assert session is not None
    assert (await nightyard("new", "terminal:main")).code == 0
    await talk(house, Say(text="afresh"))
    fresh = await export_in_chat(house)
    assert "afresh" in fresh and "number" not in fresh
    assert (await nightyard("session", "export", session[0])).out == text


async def test_an_answer_that_is_no_text_is_told_as_what_it_was(nightyard: Run, house: House) -> None:
    """A task with nothing to say, and one that was stopped, stand in the file as such, with the reason."""
    async with asyncio.timeout(30), ControlClient(house.home.control_socket).chat("main") as chat:
        await chat.say(Say(text="quiet"))
        await answered(house, "quiet")
        await chat.say(Say(text="slow"))
        await house.agent.working.wait()
        await chat.say(Say(text="/stop"))
        await answered(house, "slow")
    text = (await nightyard("session", "export", "terminal:main")).out
    assert "quiet\n\n## main · " in text
    assert "_(nothing_to_say: nothing to add)_" in text
    assert "_(stopped: stopped by a person)_" in text
    assert text.index("quiet") < text.index("_(nothing_to_say") < text.index("slow") < text.index("_(stopped")


async def test_an_archived_conversation_is_listed_and_taken_up_again(nightyard: Run, house: House) -> None:
    """A month after its end the list says that it is archived; it is exported and taken up again as before."""
    await talk(house, Say(text="the first"))
    assert (await nightyard("new", "terminal:main")).code == 0
    await talk(house, Say(text="the second"))
    earlier = re.search(r"2 +(session_\w+).* new +the first", (await nightyard("session", "list", "terminal:main")).out)
    assert earlier is not None
    text = (await nightyard("session", "export", earlier[1])).out
    archive = SessionArchive(house.store, house.state)
    assert await archive.sweep(datetime.now(UTC) + timedelta(days=29)) == 0
    assert await archive.sweep(datetime.now(UTC) + timedelta(days=31)) == 1
    assert re.search(r"new, archived +the first", (await nightyard("session", "list", "terminal:main")).out)
    async with asyncio.timeout(20), ControlClient(house.home.control_socket).chat("main") as chat:
        await chat.say(Say(text="/sessions"))
        async for shown in chat.shown():
            if shown.kind == "message":
                break
    assert re.search(r"2\. “the first” · .* \(archived\)", shown.text)
    assert (await nightyard("session", "export", earlier[1])).out == text
    assert "goes on with “the first”" in (await nightyard("session", "resume", "terminal:main", "2")).out
    assert "archived" not in (await nightyard("session", "list", "terminal:main")).out
    assert (await nightyard("session", "export", "terminal:main")).out == text
