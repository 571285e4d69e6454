"""What the host wants said, as messages of Discord's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import DeliveryFailed
from channels.discord.encode import (
    CONTENT_CHARS,
    MAX_MESSAGES,
    Place,
    build_calls,
    content_of,
    nonce_of,
    parse_place,
    place_key,
)
from channels.discord.speech import emoji_of
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import Button, OutboundFile, OutboundMessage

CHANNEL = ChannelId("d")
CHAT = ChatKey("d:50")


def _buttons(count: int, label: str = "Yes") -> tuple[Button, ...]:
    return tuple(Button(label=f"{label} {number}", value=f"v{number}") for number in range(count))


def test_places_and_keys_are_each_others_way_back() -> None:
    """A chat key names its place, a thread with its channel, and the place its key."""
    assert parse_place(CHANNEL, ChatKey("d:40:50")) == Place(channel=50, parent=40)
    for key in ("d:50", "d:40:50"):
        assert place_key(CHANNEL, parse_place(CHANNEL, ChatKey(key))) == key


@pytest.mark.parametrize("key", ["e:50", "d:", "d:x", "50", "d:4:x"])
def test_a_key_of_no_chat_is_refused(key: str) -> None:
    """A key of another channel, or of none, is refused for good."""
    with pytest.raises(DeliveryFailed) as failed:
        parse_place(CHANNEL, ChatKey(key))
    assert failed.value.permanent


def test_each_part_has_its_own_nonce() -> None:
    """The parts of an answer have different nonces of Discord's length, the same at each try; without a key none."""
    message = OutboundMessage(chat=CHAT, text="word " * 900, idempotency_key="task:1")
    nonces = [call.nonce for call in build_calls(CHANNEL, message)]
    assert len(nonces) == len(set(nonces)) > 1
    assert nonces == [call.nonce for call in build_calls(CHANNEL, message)]
    assert all(0 < len(nonce) <= 25 for nonce in nonces)
    assert nonce_of("task:1", 0) != nonce_of("task:2", 0)
    assert [call.nonce for call in build_calls(CHANNEL, OutboundMessage(chat=CHAT, text="x"))] == [""]


def test_the_first_part_replies_and_the_last_has_the_buttons() -> None:
    """Of several messages the first refers to the question, the last one carries the buttons."""
    message = OutboundMessage(chat=CHAT, text="word " * 900, reply_to=PlatformMessageId("7"), buttons=_buttons(2))
    calls = build_calls(CHANNEL, message)
    assert [call.reply_to for call in calls] == [7, *(None for _ in calls[1:])]
    assert [bool(call.rows) for call in calls] == [*(False for _ in calls[1:]), True]


def test_a_very_long_answer_is_a_beginning_and_a_file() -> None:
    """Beyond a handful of messages the whole text goes as a file, behind its beginning."""
    text = "word " * 4000
    (call,) = build_calls(CHANNEL, OutboundMessage(chat=CHAT, text=text))
    assert call.content.startswith("word word")
    assert len(call.content) <= CONTENT_CHARS
    assert [upload.content.decode() for upload in call.uploads] == [text]


@given(st.text(max_size=6000))
def test_no_message_is_too_long(text: str) -> None:
    """Whatever is said, each message holds what Discord takes."""
    calls = build_calls(CHANNEL, OutboundMessage(chat=CHAT, text=text, idempotency_key="k"))
    assert len(calls) <= MAX_MESSAGES
    assert all(0 < len(call.content) <= CONTENT_CHARS or call.uploads for call in calls)


def _files(count: int) -> OutboundMessage:
    more = tuple(OutboundFile(path=f"/tmp/{number}", name=f"{number}.txt") for number in range(1, count))
    return OutboundMessage(chat=CHAT, text="here", file_path="/tmp/0", file_name="0.txt", more_files=more)


def test_files_go_together_as_far_as_discord_takes_them() -> None:
    """Ten files go with the text in one message; more of them, or more bytes than a request holds, in several."""
    (one,) = build_calls(CHANNEL, _files(10), [1] * 10)
    assert (one.content, len(one.uploads)) == ("here", 10)
    two = build_calls(CHANNEL, _files(11), [1] * 11)
    assert [len(call.uploads) for call in two] == [10, 1]
    heavy = build_calls(CHANNEL, _files(5), [9 << 20] * 5)
    assert [len(call.uploads) for call in heavy] == [2, 2, 1]


def test_a_long_text_goes_before_its_files() -> None:
    """A text of several messages is said first; the files follow."""
    message = OutboundMessage(chat=CHAT, text="word " * 900, file_path="/tmp/0", file_name="0.txt")
    calls = build_calls(CHANNEL, message, [1])
    assert [bool(call.uploads) for call in calls] == [*(False for _ in calls[1:]), True]


def test_a_file_that_is_too_large_is_refused_in_words() -> None:
    """A file beyond Discord's limit is refused for good, by name and size."""
    with pytest.raises(DeliveryFailed) as failed:
        build_calls(CHANNEL, _files(1), [(10 << 20) + 1])
    assert failed.value.permanent
    assert "0.txt has 10.0 MiB" in failed.value.reason


@pytest.mark.parametrize(
    ("buttons", "widths"),
    [
        (_buttons(4), [3, 1]),
        (_buttons(3, "A rather long label"), [1, 1, 1]),
        (_buttons(7, "A rather long label"), [5, 2]),
        (_buttons(25), [5] * 5),
    ],
)
def test_buttons_stand_in_rows(buttons: tuple[Button, ...], widths: list[int]) -> None:
    """Short labels share a row, long ones have one each while Discord has rows for them."""
    (call,) = build_calls(CHANNEL, OutboundMessage(chat=CHAT, text="?", buttons=buttons))
    assert [len(row) for row in call.rows] == widths


@pytest.mark.parametrize("buttons", [_buttons(26), (Button(label="x", value="v" * 101),)])
def test_buttons_that_discord_does_not_take_are_refused(buttons: tuple[Button, ...]) -> None:
    """Too many buttons, or too long a value, are refused for good."""
    with pytest.raises(DeliveryFailed) as failed:
        build_calls(CHANNEL, OutboundMessage(chat=CHAT, text="?", buttons=buttons))
    assert failed.value.permanent


def test_an_edit_fits_one_message() -> None:
    """A new text that needs two messages cannot take the place of one."""
    assert content_of("**new**") == "**new**"
    for text in ("word " * 900, "  "):
        with pytest.raises(DeliveryFailed) as failed:
            content_of(text)
        assert failed.value.permanent


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        ("👍", "👍"),
        ("❤️", "❤️"),
        ("1️⃣", "1️⃣"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("<:party:123>", "party:123"),
        ("<a:party:123>", "party:123"),
        ("<:party:x>", None),
        ("ok", None),
        ("hällo", None),
        ("", None),
        ("👍 👍", None),
    ],
)
def test_what_is_an_emoji(text: str, emoji: str | None) -> None:
    """Any of Unicode's is one, and a server's own as Discord writes it; words are none."""
    assert emoji_of(text) == emoji
