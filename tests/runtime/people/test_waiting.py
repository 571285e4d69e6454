"""What waits for an owner's word: who spoke to a chat without an agent, or is not known, is answered after a yes."""

from __future__ import annotations

import asyncio

import pytest

from client.errors import ControlError
from runtime.store import access_rows
from tests.runtime.people.conftest import ADA, BEN, BEN_KEY, TIMEOUT_S, YARD, TelegramHouse, code_in

CYD = 1003
BOT = "@rehearsal_bot"
WAITS = "SELECT message_id FROM access_waits"


def code_of(card: dict[str, str]) -> str:
    return card["text"].split(": ")[1].splitlines()[0]


async def column(there: TelegramHouse, query: str) -> list[str]:
    return await there.house.store.read(lambda transaction: [row[0] for row in transaction.connection.execute(query)])


async def heard(there: TelegramHouse) -> list[str]:
    """Return what the agent was told, in order."""
    return await column(
        there,
        "SELECT p.body ->> '$.inbound.text' FROM messages JOIN payloads AS p USING (payload_id) "
        "WHERE state IN ('answered', 'claimed') ORDER BY seq",
    )


async def wait_for_rows(there: TelegramHouse, query: str, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while len(await column(there, query)) < count:
            await there.phone.get("log", after=await there.phone.last_event(), wait_s=0.1)


async def test_all_that_waited_is_answered_in_order(there: TelegramHouse) -> None:
    """After a yes to a chat the stranger on the card is its guest, and all that they asked is answered, oldest first;
    another stranger's words are not, and they are told how to be known. No task was made before."""
    await there.pair()
    there.twin.world.add_person(CYD, "Cyd")
    for text in ("one", "two", "three"):
        await there.phone.type(f"{BOT} {text}", chat=YARD, person=BEN)
    await there.phone.type(f"{BOT} four", chat=YARD, person=CYD)
    card = await there.reads(ADA, "a chat of many people")
    assert "becomes a guest of it" in card["text"]
    await wait_for_rows(there, WAITS, 4)
    assert await heard(there) == []
    await there.press(ADA, card, "main")
    await there.reads(YARD, "You said @rehearsal_bot three")
    await there.reads(YARD, "Whom I do not know I do not answer")
    assert await heard(there) == [f"{BOT} one", f"{BOT} two", f"{BOT} three"]
    assert (await there.ask("person_show", person=BEN_KEY))["roles"] == {"main": "guest"}
    (binding,) = (await there.ask("bindings", chat=f"telegram:{YARD}"))["bindings"]
    assert (binding["whom"], binding["whom_names"]) == ("roles", ["admin", "member", "guest"])
    await there.phone.type(f"{BOT} five", chat=YARD, person=BEN)
    await there.reads(YARD, "You said @rehearsal_bot five")
    assert len([each for each in await there.phone.sees(ADA) if "a chat of many" in each.get("text", "")]) == 1


async def test_a_known_person_who_asks_twice_is_answered_twice(there: TelegramHouse) -> None:
    """Who may ask the agent anyway makes nobody a guest."""
    await there.pair()
    await there.let_ben_in()
    for text in ("one", "two"):
        await there.phone.type(f"{BOT} {text}", chat=YARD, person=BEN)
    card = await there.reads(ADA, "a chat of many people")
    assert "guest" not in card["text"]
    await wait_for_rows(there, WAITS, 2)
    assert (await there.ask("approval_approve", approval=code_of(card), choice="main"))["state"] == "approved"
    await there.reads(YARD, "You said @rehearsal_bot two")
    (binding,) = (await there.ask("bindings", chat=f"telegram:{YARD}"))["bindings"]
    assert binding["whom"] == "known"
    await there.reads(ADA, "was approved by cli")


async def test_one_word_decides_however_it_is_given(there: TelegramHouse) -> None:
    """A command, a button and the machine decide the same thing, once; it is in the journal with its end."""
    await there.pair()
    await there.phone.type(f"{BOT} hi", chat=YARD, person=BEN)
    card = await there.reads(ADA, "a chat of many people")
    code = code_of(card)
    (waiting,) = (await there.ask("approval_list"))["waiting"]
    assert (waiting["approval"], waiting["kind"], waiting["who"]) == (code, "chat", "owner")
    shown = await there.ask("approval_show", approval=code)
    assert f"| {BOT} hi" in shown["lines"]
    await there.phone.type(f"/approve {code}")
    await there.reads(ADA, "which agent answers there? (known: main, side)")
    await there.phone.type(f"/approve {code} new fresh")
    await there.reads(ADA, f"{code}: yes.")
    await there.reads(YARD, f"You said {BOT} hi")
    (binding,) = (await there.ask("bindings", chat=f"telegram:{YARD}"))["bindings"]
    assert binding["group"] == "fresh"
    await there.phone.type(f"/chat yes {code} side")  # as a button of a card that did not hear of it would say
    await there.reads(ADA, "nothing waits under")
    with pytest.raises(ControlError, match="was approved by telegram:1001"):
        await there.ask("approval_approve", approval=code, choice="side")
    with pytest.raises(ControlError, match="was approved by telegram:1001"):
        await there.ask("approval_deny", approval=code)
    kinds = await column(there, "SELECT kind FROM v_journal")
    for kind in ("access_asked", "approval_asked", "approval_approved", "access_granted"):
        assert kinds.count(kind) == 1, kind


async def test_only_owners_decide(there: TelegramHouse) -> None:
    """A member's yes makes no agent and connects nothing."""
    await there.pair()
    await there.let_ben_in()
    there.twin.world.add_person(CYD, "Cyd")
    await there.phone.type(f"{BOT} hi", chat=YARD, person=CYD)
    code = code_of(await there.reads(ADA, "a chat of many people"))
    await there.phone.type(f"/approve {code} new mine", person=BEN)
    await there.reads(BEN, f"{code} is not yours to decide: owners may")
    assert not (there.house.fork / "groups" / "mine").exists()
    assert (await there.ask("bindings", chat=f"telegram:{YARD}"))["bindings"] == []


async def test_a_person_is_let_in_by_any_way(there: TelegramHouse) -> None:
    """/approve with a role and an agent lets somebody in; everything that they wrote is answered."""
    await there.pair()
    for text in ("one", "two"):
        await there.phone.type(text, person=BEN)
    code = code_in(await there.reads(BEN, "I do not know you yet"))
    await wait_for_rows(there, WAITS, 2)
    await there.phone.type(f"/approve {code} king side")
    await there.reads(ADA, "is no choice: [ROLE] [AGENT]")
    await there.phone.type(f"/approve {code} admin side")
    await there.reads(BEN, "You said two")
    assert (await heard(there))[-2:] == ["one", "two"]
    assert (await there.ask("person_show", person=BEN_KEY))["roles"] == {"side": "admin"}


async def test_what_is_changed_while_it_waits(there: TelegramHouse) -> None:
    """An edit of what waits replaces it, whoever may not speak yet."""
    await there.pair()
    number = await there.phone.type("frist", person=BEN)
    code = code_in(await there.reads(BEN, "I do not know you yet"))
    await there.phone.type("first", person=BEN, edit=number)
    await wait_for_rows(there, "SELECT 1 FROM messages WHERE kind = 'edit'", 1)
    await there.ask("person_approve", who=code)
    await there.reads(BEN, "You said first")
    assert "frist" not in await heard(there)


async def test_more_than_are_kept_are_told(there: TelegramHouse) -> None:
    """Beyond the last twenty the messages are counted, and whoever wrote them is told that they are gone."""
    await there.pair()
    total = access_rows.MAX_WAITING_MESSAGES + 3
    for number in range(total):
        await there.phone.type(f"number {number}", person=BEN)
    code = code_in(await there.reads(BEN, "I do not know you yet")).replace("-", "")
    await wait_for_rows(there, "SELECT 1 FROM messages WHERE state = 'refused'", total)
    await there.ask("person_approve", who=code)
    await there.reads(BEN, "3 messages before those were more than I keep")
    await there.reads(BEN, f"You said number {total - 1}")
    assert [text for text in await heard(there) if text.startswith("number")] == [
        f"number {number}" for number in range(3, total)
    ]


async def test_pairing_is_locked_with_one_word(there: TelegramHouse) -> None:
    """After too many wrong codes somebody is told once that pairing is locked, and then nothing; all are counted."""
    await there.ask("pair", channel="telegram")
    for number in range(9):
        await there.phone.type(f"0000-000{number}", person=BEN)
    await wait_for_rows(there, "SELECT 1 FROM messages", 9)
    await there.reads(BEN, "pairing is locked for an hour")
    await there.phone.type("hello", person=BEN)
    await there.reads(BEN, "I do not know you yet")
    told = [each["text"] for each in await there.phone.sees(BEN) if "text" in each]
    assert sum("That code is wrong" in text for text in told) == 5
    assert sum("pairing is locked" in text for text in told) == 1
    (line,) = [each for each in (await there.ask("access_log"))["refusals"] if each["code"] == "wrong_code"]
    assert line["count"] == 9


async def test_a_no_in_one_chat_silences_no_other(there: TelegramHouse) -> None:
    """Who was just refused in a direct chat is told in a chat of many why they are not answered, and so is the next."""
    await there.pair()
    there.twin.world.add_person(CYD, "Cyd")
    await there.ask("bind", chat=f"telegram:{YARD}", group="main", kind="many")
    await there.phone.type("hello", person=BEN)
    await there.reads(BEN, "I do not know you yet")
    for person in (BEN, CYD):
        await there.phone.type(f"{BOT} hi", chat=YARD, person=person)
    await wait_for_rows(there, "SELECT 1 FROM outbox WHERE chat LIKE '%-100%'", 2)


async def test_what_waits_is_shown_to_who_decides(there: TelegramHouse) -> None:
    """In a chat of many nobody reads what waits for a decision; in a direct chat only who may decide it does."""
    await there.pair()
    await there.let_ben_in()
    there.twin.world.add_person(CYD, "Cyd")
    await there.ask("bind", chat=f"telegram:{YARD}", group="main", kind="many")
    await there.phone.type("my words", person=CYD)
    code = code_in(await there.reads(CYD, "I do not know you yet"))
    await there.phone.type("/approvals", person=BEN)
    await there.reads(BEN, "Nothing waits for a decision.")
    await there.phone.type(f"/approvals {code}", person=BEN)
    await there.reads(BEN, "is not yours to see")
    await there.phone.type(f"/approvals@{BOT[1:]}", chat=YARD)
    await there.reads(YARD, "1 of yours to decide")
    await there.phone.type(f"/approvals@{BOT[1:]} {code}", chat=YARD)
    await there.reads(YARD, "works in a direct chat with me only")
    await there.phone.type(f"/approvals {code}")
    await there.reads(ADA, "Waits; owners may decide.")
