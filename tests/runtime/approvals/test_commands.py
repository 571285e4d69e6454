"""Decisions in a chat, and over control.sock: the same questions, the same answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client.control import ControlClient
from client.errors import Refused
from protocol.control import Say
from runtime.approvals.records import Approval, NewApproval
from tests.runtime.approvals.support import PUSH
from tests.scripted_house import House, scripted_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(20), scripted_house(tmp_path) as opened:
        yield opened


async def answer_to(house: House, text: str, holds: str = "") -> str:
    """Return the first message of the terminal's chat, after the text was said, that holds something and is no card."""
    async with ControlClient(house.home.control_socket).chat() as chat:
        await chat.say(Say(text=text))
        async for shown in chat.shown():
            if shown.kind == "message" and holds in shown.text and (holds or "decide before" not in shown.text):
                return shown.text
    raise AssertionError("the chat was closed")


async def ask_host(house: House, verb: str, **arguments: object) -> Any:
    """Any: the host's JSON."""
    return await ControlClient(house.home.control_socket).request(verb, arguments)


async def asked(house: House, **more: object) -> Approval:
    new: dict[str, object] = {"kind": "tool", "group_id": "main", "payload": PUSH.payload, "summary": "The tool shell."}
    return await house.decisions.approvals.ask(
        NewApproval(**{**new, "scope_offers": ("command",), **more})  # type: ignore[arg-type]  # the test's own words
    )


async def test_yes_and_no_in_a_chat(house: House) -> None:
    """The word is answered, the state follows, and a second word is told whose the first was."""
    one, other = await asked(house), await asked(house, payload={"tool": "shell", "arguments": {"command": "ls"}})
    assert await answer_to(house, f"/approve {one.approval_id.lower()}") == f"{one.approval_id}: yes."
    assert "was approved by terminal:owner" in await answer_to(house, f"/deny {one.approval_id} too late")
    assert (await answer_to(house, f"/deny {other.approval_id} not today")).startswith(f"{other.approval_id}: no.")
    assert (await house.decisions.approvals.find(other.approval_id)).because == "not today"


async def test_a_yes_for_longer(house: House) -> None:
    """The reach and the time are typed in any order; without a time a reach holds until tonight."""
    one = await asked(house)
    told = await answer_to(house, f"/approve {one.approval_id} command")
    assert told == f"{one.approval_id}: yes, and this command until tonight."
    (remembered,) = await house.decisions.approvals.remembered_decisions()
    assert (remembered.scope, remembered.is_yes) == ("command", True)
    assert await house.decisions.approvals.remembered("tool", PUSH.group_id, PUSH.payload) is True


async def test_what_waits_is_listed_and_shown(house: House) -> None:
    """A list with the codes; one of them with all that would happen."""
    one = await asked(house)
    assert "/approve CODE and /deny CODE decide" in await answer_to(house, "/approvals")
    assert "owners may decide" in await answer_to(house, f"/approvals {one.approval_id}", "git push")


async def test_nothing_waits(house: House) -> None:
    """An empty list says so."""
    assert await answer_to(house, "/approvals") == "Nothing waits for a decision."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/approve", "names no approval"),
        ("/deny", "names no approval"),
        ("/approve 00000000", "there is no approval"),
        ("/approvals nonsense", "there is no approval"),
        ("/constraint more", "neither add nor remove"),
        ("/constraint add", "names no tool"),
        ("/constraint add host UPPER..case ask sometimes", "says nothing to a constraint"),
        ("/constraint add host -x", "should be a host"),
        ("/constraint remove 00000000", "has no constraint"),
    ],
)
async def test_wrong_words_are_told(house: House, text: str, told: str) -> None:
    """Each says what is wrong, and what helps."""
    answer = await answer_to(house, text)
    assert told in answer
    assert "What helps:" in answer


async def test_wrong_reach_is_told(house: House) -> None:
    """A word that is no reach and no time decides nothing."""
    one = await asked(house)
    assert "no reach and no time" in await answer_to(house, f"/approve {one.approval_id} everything")
    assert (await house.decisions.approvals.find(one.approval_id)).is_open


async def test_constraints_from_a_chat(house: House) -> None:
    """Added, listed, compiled for the next task, lifted; each change is in the journal."""
    assert "No constraints hold" in await answer_to(house, "/constraint")
    made = await answer_to(house, '/constraint add command "git push" ask owner 2h')
    code = made.split("`")[1]
    assert 'command "git push": ask owner, for 2h' in await answer_to(house, "/constraint")
    (rule,) = house.decisions.book.tool_rules(PUSH.group_id)  # type: ignore[arg-type]  # main
    assert (rule.rule_id, rule.words) == (code, ("git", "push"))
    assert "does not hold any more" in await answer_to(house, f"/constraint remove {code.lower()}")
    kinds = [entry.kind for entry in await house.store.journal_tail()]
    assert "constraint_added" in kinds
    assert "constraint_removed" in kinds


async def test_the_same_over_the_control_socket(house: House) -> None:
    """List, show, decide, remember, forget, constraints: what a chat can do, a program can."""
    one = await asked(house)
    listed = await ask_host(house, "approval_list")
    assert [each["approval"] for each in listed["waiting"]] == [one.approval_id]
    shown = await ask_host(house, "approval_show", approval=one.approval_id, full=True)
    assert any("git push" in line for line in shown["lines"])
    decided = await ask_host(house, "approval_approve", approval=one.approval_id, scope="command", until="always")
    assert (decided["is_final"], decided["decided_by"]) == (True, "cli")
    with pytest.raises(Refused) as refused:
        await ask_host(house, "approval_deny", approval=one.approval_id)
    assert refused.value.code == "approval_decided"
    (remembered,) = (await ask_host(house, "approval_list", ended=True))["remembered"]
    assert (await ask_host(house, "approval_forget", decision=remembered["decision"]))["forgotten"]
    made = await ask_host(house, "constraint_add", group="main", terms="destination * deny")
    (listed_one,) = (await ask_host(house, "constraint_list", group="main"))["constraints"]
    assert (listed_one["constraint"], listed_one["added_by"]) == (made["constraint"], "cli")
    await ask_host(house, "constraint_remove", group="main", constraint=made["constraint"])
    assert (await ask_host(house, "constraint_list"))["constraints"] == []
    with pytest.raises(Refused) as unknown:
        await ask_host(house, "constraint_list", group="nobody")
    assert unknown.value.code == "unknown_group"


async def test_pressing_a_button_is_typing_its_command(house: House) -> None:
    """The card in the terminal has buttons whose values decide."""
    one = await asked(house)
    async with ControlClient(house.home.control_socket).chat() as chat:
        await chat.say(Say(text=f"/approve {one.approval_id}", kind="press"))
        async for shown in chat.shown():
            if shown.kind == "message" and one.approval_id in shown.text and ": yes." in shown.text:
                break
    assert (await house.decisions.approvals.find(one.approval_id)).is_approved
