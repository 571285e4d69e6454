"""People and chats as they are met on a platform: strangers, cards, groups, settings, links, limits."""

from __future__ import annotations

import asyncio

import pytest

from runtime.store.records import MessageState
from tests.runtime.people.conftest import (
    ADA,
    ADA_KEY,
    BEN,
    BEN_KEY,
    TIMEOUT_S,
    YARD,
    TelegramHouse,
    buttons_of,
    code_in,
)


async def test_a_stranger_gets_one_reply_and_the_owner_a_card(there: TelegramHouse) -> None:
    """Somebody unknown is told their id and a code, and no agent is asked; a yes lets them in and answers them."""
    await there.pair()
    await there.phone.type("hello there", person=BEN)
    notice = await there.reads(BEN, "I do not know you yet")
    assert "telegram:1002" in notice["text"]
    card = await there.reads(ADA, "wants to talk")
    assert code_in(notice).replace("-", "") in card["text"]
    assert "hello there" in card["text"]
    assert buttons_of(card) == ["Member", "Admin", "Only listen", "Refuse"]
    await there.phone.type("are you there?", person=BEN)
    await there.press(ADA, card, "Member")
    question = await there.reads(ADA, "with which agent?")
    assert (await there.house.store.status()).running_tasks == 0
    assert buttons_of(question) == ["main", "side"]
    await there.press(ADA, question, "side")
    await there.reads(BEN, "You are in: a member")
    await there.reads(BEN, "You said hello there")
    assert len([each for each in await there.phone.sees(BEN) if "do not know you" in each.get("text", "")]) == 1
    ben = (await there.ask("person_show", person=BEN_KEY))["roles"]
    assert ben == {"side": "member"}
    await there.phone.type(f"/person yes {code_in(notice)} admin")  # the card has no button for it any more
    await there.reads(ADA, "nothing waits under")


async def test_who_is_refused_hears_nothing_more(there: TelegramHouse) -> None:
    """After a no there is no reply and no card, until an owner lets them in by their id."""
    await there.pair()
    await there.phone.type("hello", person=BEN)
    await there.press(ADA, await there.reads(ADA, "wants to talk"), "Refuse")
    await there.reads(ADA, "Refused.")
    seen = len(await there.phone.sees(BEN))
    await there.phone.type("hello again", person=BEN)
    await there.phone.type("/whoami")
    await there.reads(ADA, "You are telegram:1001")
    assert len(await there.phone.sees(BEN)) == seen
    assert len([each for each in await there.phone.sees(ADA) if "wants to talk" in each.get("text", "")]) == 1
    log = await there.ask("access_log")
    (line,) = [each for each in log["refusals"] if each["code"] == "stranger"]
    assert (line["person"], line["count"]) == (BEN_KEY, 2)
    assert [each["state"] for each in log["requests"]] == ["denied"]
    await there.ask("person_approve", who=BEN_KEY)
    await there.reads(BEN, "You said hello")


async def test_the_first_who_is_approved_becomes_the_owner(there: TelegramHouse) -> None:
    """Without any owner the machine's word makes one; the next is a member."""
    await there.phone.type("hello")
    code = code_in(await there.reads(ADA, "If this is your bot"))
    assert (await there.ask("person_approve", who=code.lower()))["role"] == "owner"
    await there.reads(ADA, "You said hello")
    await there.phone.type("hello", person=BEN)
    code = code_in(await there.reads(BEN, "My owner has been asked"))
    approved = await there.ask("person_approve", who=code)
    assert (approved["role"], approved["group"]) == ("member", "main")


async def test_an_unknown_chat_is_given_an_agent(there: TelegramHouse) -> None:
    """A chat of many that mentions the bot is a card for the owner; after the yes what was said there is answered."""
    await there.pair()
    await there.phone.type("@rehearsal_bot what is new?", chat=YARD, person=BEN)
    card = await there.reads(ADA, "a chat of many people")
    assert buttons_of(card) == ["main", "side", "A new agent", "Refuse"]
    await there.ask("person_approve", who=BEN_KEY, group="side")
    await there.press(ADA, card, "side")
    await there.reads(YARD, "You said @rehearsal_bot what is new?")
    (binding,) = (await there.ask("bindings", chat=f"telegram:{YARD}"))["bindings"]
    assert (binding["group"], binding["when"], binding["session"]) == ("side", "mention", "thread")


async def test_a_thread_asks_for_its_whole_chat(there: TelegramHouse) -> None:
    """Where each question may begin a thread, an owner is asked once: what waits in several is one card, and the yes
    holds in all of them."""
    await there.pair()
    await there.phone.type("@rehearsal_bot one", chat=YARD, thread=7)
    card = await there.reads(ADA, "a chat of many people")
    assert f"has no agent: telegram:{YARD}\n" in card["text"]
    await there.phone.type("@rehearsal_bot two", chat=YARD)
    await there.phone.type("/whoami")  # Ada's own lane: what came before is filed, or will join the same request
    await there.reads(ADA, "You are telegram:1001")
    await there.press(ADA, card, "main")
    for said in ("one", "two"):
        await there.reads(YARD, f"You said @rehearsal_bot {said}")
    (binding,) = (await there.ask("bindings", chat=f"telegram:{YARD}"))["bindings"]
    assert (binding["chat"], binding["group"]) == (f"telegram:{YARD}", "main")
    assert len([each for each in await there.phone.sees(ADA) if "chat of many" in each.get("text", "")]) == 1


async def test_a_chat_that_was_refused_is_not_asked_about_again(there: TelegramHouse) -> None:
    """The bot says nothing there, and the owner has peace."""
    await there.pair()
    await there.phone.type("@rehearsal_bot hi", chat=YARD, person=BEN)
    await there.press(ADA, await there.reads(ADA, "a chat of many people"), "Refuse")
    await there.reads(ADA, "you are not asked about that chat again")
    await there.phone.type("@rehearsal_bot hi", chat=YARD, person=BEN)
    await there.phone.type("/whoami")
    await there.reads(ADA, "You are telegram:1001")
    assert len([each for each in await there.phone.sees(ADA) if "chat of many" in each.get("text", "")]) == 1
    assert await there.phone.sees(YARD) == []


@pytest.mark.parametrize("where", ["here", "at the machine"])
async def test_a_decided_card_has_no_buttons_any_more(there: TelegramHouse, where: str) -> None:
    """Wherever it was decided: what is left to press is what waits."""
    await there.pair()
    await there.phone.type("@rehearsal_bot hi", chat=YARD, person=BEN)
    card = await there.reads(ADA, "a chat of many people")
    assert buttons_of(card)
    if where == "here":
        await there.press(ADA, card, "main")
    else:
        await there.ask("bind", chat=f"telegram:{YARD}", group="main")
    bare = await there.sees(
        ADA, lambda message: message["message_id"] == card["message_id"] and "reply_markup" not in message
    )
    assert bare["text"] == card["text"]
    assert (await there.ask("letters"))["letters"] == []


async def test_a_chat_may_get_a_new_agent(there: TelegramHouse) -> None:
    """An owner makes one by a button; a name that is no name is refused with the reason."""
    await there.pair()
    await there.phone.type("@rehearsal_bot hi", chat=YARD)
    card = await there.reads(ADA, "a chat of many people")
    await there.press(ADA, card, "A new agent")
    offered = await there.reads(ADA, "What is it called?")
    await there.phone.type(f"/chat new {code_in(offered)} ../x")
    await there.reads(ADA, "cannot be an agent's name")
    await there.press(ADA, offered, "telegram-2")
    await there.reads(YARD, "You said @rehearsal_bot hi")
    assert (there.house.fork / "groups" / "telegram-2" / "AGENTS.md").exists()


async def test_the_skills_of_an_agent_made_by_a_card_are_journalled_with_who_made_it(there: TelegramHouse) -> None:
    """The journal names the person behind the card; what else was found in the files is nobody's in a chat."""
    house = there.house
    for group, skill in (("example", "greet"), ("side", "write")):
        folder = house.fork / "skills" / skill
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(f"---\nname: {skill}\ndescription: Says it.\n---\nSay it.\n")
        (house.fork / "groups" / group / "group.yaml").write_text(f"skills: [{skill}]\n")
    book = house.decisions.book
    house.state.when_reloaded(lambda: book.reload(*house.state.reloaded_by))
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as parts:
        following = parts.create_task(book.run())
        await there.pair()
        await there.phone.type("@rehearsal_bot hi", chat=YARD)
        await there.press(ADA, await there.reads(ADA, "a chat of many people"), "A new agent")
        await there.press(ADA, await there.reads(ADA, "What is it called?"), "telegram-2")
        await there.reads(YARD, "You said @rehearsal_bot hi")
        with house.store.watched() as grown:
            while len(found := await mounted(there)) < 2:
                grown.clear()
                await grown.wait()
        following.cancel()
    assert found == {("telegram-2", "greet"): ADA_KEY, ("side", "write"): "file"}


async def mounted(there: TelegramHouse) -> dict[tuple[str, str], str]:
    """Return who mounted which skill in which agent, as `nightyard journal tail` shows it."""
    entries = (await there.ask("journal_tail", limit=100))["entries"]
    return {
        (each["refs"]["group"], each["refs"]["skill"]): each["by"]
        for each in entries
        if each["kind"] == "skill_mounted"
    }


async def test_settings_are_changed_in_the_chat(there: TelegramHouse) -> None:
    """An owner changes how the agent answers by a button; a member sees the settings without buttons."""
    await there.pair()
    there.twin.world.sees_all_in_groups = True
    await there.ask("bind", chat=f"telegram:{YARD}", group="main", kind="many")
    await there.ask("person_approve", who=BEN_KEY)
    await there.phone.type("/settings", chat=YARD, person=BEN)
    shown = await there.reads(YARD, "answers what mentions me (when: mention)")
    assert "reply_markup" not in shown
    await there.phone.type("/settings main when always", chat=YARD, person=BEN)
    await there.reads(YARD, "only an owner, or an admin of main, may change that")
    await there.phone.type("/settings", chat=YARD)
    shown = await there.sees(YARD, lambda message: "reply_markup" in message)
    await there.phone.post("press", label="when: always", message_id=shown["message_id"], chat=YARD, person=ADA)
    await there.reads(YARD, "answers everything")
    await there.phone.type("no mention", chat=YARD, person=BEN)
    await there.reads(YARD, "You said no mention")


async def test_another_account_is_linked_by_a_code(there: TelegramHouse) -> None:
    """The code of one account, sent by another, makes them one person with the rights of the first."""
    await there.pair()
    await there.phone.type("/link")
    code = code_in(await there.reads(ADA, "Your code"))
    await there.phone.type(code, person=BEN)
    await there.reads(BEN, "Linked: this account and telegram:1001 are one person")
    await there.phone.type("/whoami", person=BEN)
    told = await there.reads(BEN, "You are telegram:1002, owner everywhere")
    assert "Also: telegram:1001" in told["text"]
    assert (await there.ask("person_show", person=BEN_KEY))["person"] == ADA_KEY
    await there.phone.type(code, person=BEN)
    await there.reads(BEN, f"You said {code}")


async def test_nobody_is_talked_out_of_their_rights(there: TelegramHouse) -> None:
    """A member's code that an owner is made to send links nobody."""
    await there.pair()
    await there.let_ben_in()
    await there.phone.type("/link", person=BEN)
    await there.phone.type(code_in(await there.reads(BEN, "from your other account")))
    await there.reads(ADA, "You have more rights here")
    assert (await there.ask("person_show", person=ADA_KEY))["role"] == "owner"
    assert (await there.ask("person_show", person=BEN_KEY))["identities"] == []


async def test_a_limit_is_told_and_counted(there: TelegramHouse) -> None:
    """Beyond their limit somebody is told so once, the agent is not asked, and it stands in the log."""
    await there.pair()
    await there.let_ben_in()
    await there.ask("person_limit", person=BEN_KEY, per_minute=2)
    for text in ("one", "two", "three"):
        await there.phone.type(text, person=BEN)
    await there.reads(BEN, "You said one")
    await there.reads(BEN, "more messages in a minute than I take from one person, which is 2")
    await there.phone.type("/whoami", person=BEN)
    told = await there.reads(BEN, "You are telegram:1002")
    assert "Used: 2 of 2 messages a minute." in told["text"]
    states = [each.state for each in await there.house.store.recent_messages() if each.inbound.person == BEN_KEY]
    assert states.count(MessageState.REFUSED) == 2
    (line,) = [each for each in (await there.ask("access_log"))["refusals"] if each["code"] == "rate"]
    assert line["count"] == 2


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/whoami", "You are telegram:1001, owner everywhere"),
        ("/settings", "Agent main:"),
        ("/link", "Your code: "),
        ("/person", "owner (telegram:1001)"),
        ("/person role telegram:1002 admin main", "telegram:1002 is an admin with main now."),
        ("/person role telegram:1002 admin", "telegram:1002 is an admin now."),
        ("/person role telegram:1001 member", "is the only owner"),
        ("/person role telegram:1002 king", "is no role"),
        ("/person limit telegram:1002 per_hour=50", "The limits of telegram:1002 are set."),
        ("/person limit telegram:1002 per_year=1", "is no limit"),
        ("/person link telegram:1002 telegram:3", "telegram:3 is telegram:1002 from now on."),
        ("/person unlink telegram:4", "is linked to nobody"),
        ("/person remove telegram:1002", "telegram:1002 may not speak to agents any more."),
        ("/person remove telegram:9", "nobody known has the id"),
        ("/person dance", "what I understand"),
        ("/person yes 0000-0000 member", "nothing waits under"),
        ("/chat", "telegram:1001: main, always"),
        ("/chat yes 0000-0000 main", "nothing waits under"),
        ("/chat dance", "what I understand"),
        ("/settings whom known", "whom it answers, whoever may ask (whom: known)"),
        ("/settings mode collect", "(mode: collect)"),
        ("/settings main session shared", "(session: shared)"),
        ("/settings mode fast", "mode is one of steer, follow_up, collect, interrupt"),
        ("/settings whom persons telegram:9", "nobody known has the id"),
        ("/settings pattern (", "cannot be used"),
        ("/settings nobody when always", "is no setting of a chat"),
        ("/access", "Nobody was refused."),
    ],
)
async def test_each_command_is_answered(there: TelegramHouse, text: str, answer: str) -> None:
    """Every command about people and chats is answered on Telegram, without a task."""
    await there.pair()
    await there.house.store.save_person(BEN_KEY, "Ben", "member", "cli")
    await there.phone.type(text)
    await there.reads(ADA, answer)
    assert (await there.house.store.status()).claimed == 0
