"""How fast Telegram lets a bot speak, and what its refusals mean."""

from __future__ import annotations

import pytest

from channels.telegram.failures import in_plain_words
from channels.telegram.flood import PUBLISHED, Floods, build_pace, text_cost
from twins.telegram.limits import Limits


def test_a_chat_that_is_told_to_wait_waits_alone() -> None:
    """One chat's 429, again and again, is that chat's; two chats' within moments are the account's."""
    floods = Floods()
    assert [floods.whose(1, now) for now in (0.0, 1.0, 2.0)] == [1, 1, 1]
    assert floods.whose(2, 60.0) == 2
    assert floods.whose(3, 61.0) is None


@pytest.mark.parametrize("factor", [1, 1000])
def test_our_pace_stays_within_the_published_one(factor: int) -> None:
    """Ten minutes of as much as we allow ourselves, in chats and groups, long texts and short: never one too many."""
    pace, limits, now = build_pace(PUBLISHED), Limits(is_on=True), 1000.0
    chats = [*range(1, 40), *range(-20, 0)]
    sent = 0
    for step in range(6000):
        now += 0.1
        for chat in chats:
            text = "x" * (600 if (step + chat) % 5 == 0 else 10)
            if pace.wait_s(chat, now, text_cost(text)) == 0:
                pace.took(chat, now, text_cost(text))
                assert limits.take(chat, len(text), now) == 0
                sent += 1
    assert sent > 6000
    assert factor * PUBLISHED.chat.per_s == pytest.approx(PUBLISHED.times(factor).chat.per_s)


def test_all_that_shows_work_leaves_an_answer_its_turn() -> None:
    """Fifty chats that grow, and a group whose line is edited, as fast as they may: an answer goes at once."""
    pace, now = build_pace(PUBLISHED), 0.0
    for _ in range(3000):
        now += 0.01
        for chat in (*range(1, 50), -7):
            if pace.wait_s(chat, now, is_courtesy=True) == 0:
                pace.took(chat, now)
        assert pace.wait_s(7, now, 2.0) == pace.wait_s(-7, now, 2.0) == pace.wait_s(99, now, 2.0) == 0


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("Forbidden: bot was blocked by the user", "the person has blocked the bot"),
        ("Forbidden: user is deactivated", "account is gone"),
        ("Forbidden: bot was kicked from the supergroup chat", "removed from the chat"),
        ("Message thread not found", "the topic was deleted"),
        ("Topic_closed", "the topic is closed"),
        ("Not enough rights to send text messages to the chat", "may not do this"),
    ],
)
def test_a_refusal_is_told_in_plain_words(description: str, words: str) -> None:
    """Who reads it learns what it means, and what Telegram said."""
    told = in_plain_words(description)
    assert words in told
    assert description in told
    assert in_plain_words("Something new") == "Telegram: Something new"
