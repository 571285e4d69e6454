"""Reviews: what waits before it goes out, by an agent's mode; nothing is lost on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChatKey, GroupId, TaskId
from protocol.message import OutboundMessage
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.records import CLI, Scope, Taint
from runtime.approvals.reviews import ReviewRule, decide_review, is_sampled
from runtime.refusal import OperationRefused
from runtime.store import hold_rows, taint_rows
from runtime.store.records import OutboxRow
from tests.runtime.approvals.support import OLGA, OTTO, Room, chat_of, room
from tests.runtime.store.support import CHAT, MAIN, claimed, reply

COPILOT = ReviewRule(
    group_id=MAIN, mode="copilot", who="owner", quorum=1, deadline_s=86_400, sample_percent=0, zone="UTC"
)
AUTONOMOUS = ReviewRule(
    group_id=MAIN, mode="autonomous", who="owner", quorum=1, deadline_s=86_400, sample_percent=0, zone="UTC"
)
SAMPLED = ReviewRule(
    group_id=MAIN, mode="autonomous", who="owner", quorum=1, deadline_s=86_400, sample_percent=100, zone="UTC"
)
ELSEWHERE = ChatKey("telegram:900")
DONE = TaskResult(status=TaskStatus.REPLY, text="Hello")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Room]:
    async with room(tmp_path) as made:
        yield made


async def said_elsewhere(here: Room, rule: ReviewRule, text: str = "Hello", *, has_read: str = "") -> TaskId:
    """Have a task that began in a chat say something in another."""
    await here.store.write(hold_rows.set_review_rules, (rule,))
    claim = await claimed(here.store)
    task_id = claim.task.task_id
    if has_read:
        await here.store.write(taint_rows.mark, task_id, "web", has_read)
    await here.store.finish_task(task_id, DONE, outbound=[reply(text, chat=ELSEWHERE)])
    return task_id


def of_review(cards: list[OutboxRow]) -> list[OutboxRow]:
    return [card for card in cards if card.idempotency_key.startswith("approval:")]


def to(cards: list[OutboxRow], chat: ChatKey) -> list[str]:
    return [card.message.text for card in cards if card.message.chat == chat]


async def test_answer_in_its_own_chat_never_waits(here: Room) -> None:
    """What a task answers where it was asked goes at once, in both modes."""
    for rule in (COPILOT, AUTONOMOUS):
        await here.store.write(hold_rows.set_review_rules, (rule,))
        claim = await claimed(here.store)
        await here.store.finish_task(claim.task.task_id, DONE, outbound=[reply("Hello")])
        assert to(await here.cards(), CHAT) == ["Hello"]


async def test_copilot_holds_what_goes_elsewhere_until_a_yes(here: Room) -> None:
    """The output is not sent; its reviewers see all of it; with the yes it goes, under its own key, once."""
    task_id = await said_elsewhere(here, COPILOT, "Dear customer")
    cards = await here.cards()
    assert {card.message.chat for card in of_review(cards)} == {chat_of(OLGA), chat_of(OTTO)}
    assert to(cards, ELSEWHERE) == []
    assert "| text: Dear customer" in cards[0].message.text
    (waiting,) = await here.approvals.waiting()
    assert (waiting.kind, waiting.task_id) == ("review", task_id)
    await here.approvals.decide(waiting.approval_id, OLGA, is_yes=True)
    (sent,) = await here.cards()
    assert (sent.message.chat, sent.message.text) == (ELSEWHERE, "Dear customer")
    assert (sent.idempotency_key, sent.task_id) == (f"{task_id}/reply", task_id)
    again = OutboundMessage(chat=ELSEWHERE, text="again")
    assert not await here.store.put_outbound(f"{task_id}/reply", again, task_id)


async def test_reviewers_words_are_sent_instead(here: Room) -> None:
    """Whoever lets it go may change its text first; the place stays."""
    await said_elsewhere(here, COPILOT, "Deer customer")
    await here.cards()
    (waiting,) = await here.approvals.waiting()
    await here.approvals.decide(waiting.approval_id, OLGA, is_yes=True, edited="Dear customer")
    (sent,) = await here.cards()
    assert (sent.message.chat, sent.message.text) == (ELSEWHERE, "Dear customer")


async def test_only_an_output_can_be_changed(here: Room) -> None:
    """A no, or another kind, takes no other words."""
    await said_elsewhere(here, COPILOT)
    (waiting,) = await here.approvals.waiting()
    with pytest.raises(OperationRefused) as refused:
        await here.approvals.decide(waiting.approval_id, OLGA, is_yes=False, edited="x")
    assert refused.value.code == "cannot_edit"


@pytest.mark.parametrize("end", ["no", "deadline"])
async def test_what_nobody_lets_go_is_not_sent_and_not_lost(here: Room, end: str) -> None:
    """A no and a deadline both leave it where it can be read."""
    task_id = await said_elsewhere(here, COPILOT)
    await here.cards()
    (waiting,) = await here.approvals.waiting()
    if end == "no":
        await here.approvals.decide(waiting.approval_id, OLGA, is_yes=False)
    else:
        here.clock.pass_s(2 * 86_400)
        await here.store.write(lambda transaction: here_due(transaction))
    assert to(await here.cards(), ELSEWHERE) == []
    (held,) = await here.store.read(hold_rows.held_of, task_id)
    assert (held.state, held.message.text) == ("refused", "Hello")
    assert not await here.store.put_outbound(f"{task_id}/reply", OutboundMessage(chat=ELSEWHERE, text="x"), task_id)


def here_due(transaction: object) -> None:
    from runtime.store.approval_rows import take_due

    take_due(transaction, "UTC")  # type: ignore[arg-type]  # a store's transaction


async def test_file_of_a_held_output_is_kept(here: Room) -> None:
    """The sweeper leaves what waits for a review."""
    await here.store.write(hold_rows.set_review_rules, (COPILOT,))
    claim = await claimed(here.store)
    message = OutboundMessage(chat=ELSEWHERE, file_path="/outbox/file_1", file_name="a.pdf")
    assert await here.store.put_outbound(f"{claim.task.task_id}:file:1", message, claim.task.task_id)
    assert "file_1" in await here.store.needed_files()
    assert of_review(await here.cards())


async def test_autonomous_sends_and_shows_a_sample(here: Room) -> None:
    """What is sampled goes at once; afterwards a reviewer is asked whether it was right."""
    await said_elsewhere(here, AUTONOMOUS, "first")
    assert [card.message.text for card in await here.cards()] == ["first"]
    await said_elsewhere(here, SAMPLED, "second")
    cards = await here.cards()
    assert to(cards, ELSEWHERE) == ["second"]
    assert all("was it right?" in card.message.text for card in of_review(cards))
    for card in of_review(cards):
        assert "A sample to look at" in card.message.text and "other words" not in card.message.text
        assert [button.label for button in card.message.buttons] == ["It was right", "It was not"]
    (waiting,) = await here.approvals.waiting()
    with pytest.raises(OperationRefused, match="has been sent"):
        await here.approvals.decide(waiting.approval_id, OLGA, is_yes=True, edited="too late")
    await here.approvals.decide(waiting.approval_id, OLGA, is_yes=False)
    assert await here.cards() == []


async def test_autonomous_holds_the_exception(here: Room) -> None:
    """A task that has read untrusted text may not by itself say something in another chat."""
    await said_elsewhere(here, AUTONOMOUS, has_read="evil.test")
    cards = await here.cards()
    assert to(cards, ELSEWHERE) == []
    assert of_review(cards)


async def test_remembered_yes_lets_the_same_words_go(here: Room) -> None:
    """Whoever said yes for longer is not asked about the very same output again."""
    await said_elsewhere(here, COPILOT, "Good morning")
    await here.cards()
    (waiting,) = await here.approvals.waiting()
    await here.approvals.decide(waiting.approval_id, CLI, is_yes=True, remember=Scope(until="week"))
    await here.cards()
    await said_elsewhere(here, COPILOT, "Good morning")
    assert [card.message.text for card in await here.cards()] == ["Good morning"]


async def test_flood_of_outputs_is_held_without_a_flood_of_cards(here: Room) -> None:
    """However many wait, each is kept and can be decided; the cards stop where nobody would read them."""
    for number in range(30):
        await said_elsewhere(here, COPILOT, f"text {number}")
    assert len(await here.cards()) == 40  # two owners, twenty questions
    waiting = await here.approvals.waiting()
    assert len(waiting) == 30
    for each in waiting:
        await here.approvals.decide(each.approval_id, CLI, is_yes=True)
    assert sorted(to(await here.cards(), ELSEWHERE)) == sorted(f"text {number}" for number in range(30))


@given(st.integers(0, 100), st.text(max_size=20), st.booleans(), st.booleans())
def test_copilot_never_lets_go(percent: int, task: str, is_tainted: bool, is_own_chat: bool) -> None:
    """Whatever else is so, an output that comes here waits in copilot, and in autonomous only the exception does."""
    taint = Taint(sources=(("web", "x.test"),)) if is_tainted else Taint()
    chats = {"began_in": CHAT, "to": CHAT if is_own_chat else ELSEWHERE}
    for rule in (COPILOT, AUTONOMOUS):
        mine = ReviewRule(
            group_id=GroupId("main"), mode=rule.mode, who="owner", quorum=1, deadline_s=60, zone="UTC",
            sample_percent=percent,
        )  # fmt: skip
        review = decide_review(mine, None, task_id=TaskId(task), taint=taint, **chats)
        assert (review == "hold") == (rule.mode == "copilot" or (is_tainted and not is_own_chat))


def test_samples_are_as_many_as_said() -> None:
    """Of ten thousand tasks, a tenth is a tenth, and the same ones each time."""
    picked = [number for number in range(10_000) if is_sampled(TaskId(f"task_{number}"), 10)]
    assert 850 < len(picked) < 1150
    assert picked == [number for number in range(10_000) if is_sampled(TaskId(f"task_{number}"), 10)]
    assert not any(is_sampled(TaskId(f"task_{number}"), 0) for number in range(1000))
