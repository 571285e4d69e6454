"""What the host wants said becomes calls that Telegram takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.channel import DeliveryFailed
from channels.markdown.telegram import Entity, utf16_units
from channels.telegram.calls import ApiCall, OneFile, SendFiles, SendText, simpler_call
from channels.telegram.encode import MAX_MESSAGES, build_calls, preview_text, safe_name
from channels.telegram.places import Place, parse_place, place_key
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import Button, OutboundFile, OutboundMessage

ADA = Place(chat_id=1001)


def calls(*sizes: int, **content: Any) -> tuple[ApiCall, ...]:
    message = OutboundMessage(**{"chat": ChatKey("telegram:1001"), **content})
    known = sizes or ((10,) * (1 + len(message.more_files)) if message.file_path else ())
    return build_calls(ChannelId("telegram"), message, known)


def test_a_short_text_is_one_call() -> None:
    """A short text is one message with its entities."""
    entity = Entity(type="bold", offset=0, length=2)
    assert calls(text="**hi**") == (SendText(place=ADA, text="hi", entities=(entity,)),)


def test_a_topic_is_part_of_the_place() -> None:
    """The thread in a chat's key is the topic that is written to."""
    (call,) = calls(chat=ChatKey("telegram:-100:7"), text="x")
    assert call.place == Place(chat_id=-100, topic_id=7)


@pytest.mark.parametrize("chat", ["telegram:x", "slack:1", "telegram", "", "telegram:1:x"])
def test_a_chat_of_another_kind_fails_for_good(chat: str) -> None:
    """A key that names no Telegram chat is a permanent failure."""
    with pytest.raises(DeliveryFailed) as failed:
        calls(chat=ChatKey(chat), text="x")
    assert failed.value.permanent


def test_reply_goes_first_and_buttons_last() -> None:
    """In an answer of several messages the first one replies and the last one has the buttons."""
    buttons = (Button(label="A", value="a"),)
    first, *_, last = calls(text="word " * 1500, reply_to=PlatformMessageId("9"), buttons=buttons)
    assert (first.reply_to, first.button_rows) == (9, ())
    assert (last.reply_to, last.button_rows) == (None, (buttons,))


def test_a_reply_to_no_number_is_no_reply() -> None:
    """The id of a message on another platform is not taken for one here."""
    (call,) = calls(text="x", reply_to=PlatformMessageId("ts-1.2"))
    assert call.reply_to is None


def test_short_labels_share_a_row() -> None:
    """Short labels stand three in a row, long ones each in its own."""
    short = tuple(Button(label=str(number), value=str(number)) for number in range(4))
    (call,) = calls(text="x", buttons=short)
    assert [len(row) for row in call.button_rows] == [3, 1]
    (call,) = calls(text="x", buttons=(*short, Button(label="a label of many words", value="v")))
    assert [len(row) for row in call.button_rows] == [1] * 5


@pytest.mark.parametrize("value", ["", "é" * 33, "x" * 65])
def test_a_button_value_that_telegram_refuses_fails_with_a_word(value: str) -> None:
    """A value of no or more than 64 bytes is refused by us, with the label and the number."""
    with pytest.raises(DeliveryFailed, match=f"{len(value.encode())} bytes"):
        calls(text="x", buttons=(Button(label="L", value=value),))


def test_an_empty_text_is_no_call() -> None:
    """White space alone needs no call."""
    assert calls(text="\n \t") == ()


def test_a_caption_too_long_becomes_messages_before_the_file() -> None:
    """What does not fit under a file is said before it."""
    first, second = calls(text="x" * 1001, file_path="/host/a", file_name="a.pdf", reply_to=PlatformMessageId("9"))
    assert isinstance(first, SendText)
    assert first.reply_to == 9
    assert isinstance(second, SendFiles)
    assert (second.caption, second.reply_to, second.files) == ("", None, (OneFile(name="a.pdf", path="/host/a"),))


@pytest.mark.parametrize(
    ("name", "size", "as_photo"),
    [("a.JPG", 10, True), ("a.png", 10_000_001, False), ("a.svg", 10, False), ("a.gif", 10, False)],
)
def test_small_pictures_go_as_photos(name: str, size: int, as_photo: bool) -> None:
    """Pictures that Telegram shows go as photos, larger ones and other kinds as files."""
    (call,) = calls(size, file_path="/host/x", file_name=name)
    assert isinstance(call, SendFiles)
    assert call.as_photos is as_photo


def test_a_file_too_large_fails_for_good() -> None:
    """More than a bot may upload is a permanent failure that says how much it is."""
    with pytest.raises(DeliveryFailed, match="61 MB") as failed:
        calls(61_000_000, file_path="/host/x", file_name="a.zip")
    assert failed.value.permanent


def test_what_telegram_refuses_is_tried_more_simply() -> None:
    """Refused entities are left away, a refused photo goes as a file, anything else is final."""
    (text,) = calls(text="**x**")
    plain = simpler_call(text, "Telegram: Can't parse entities: …")
    assert isinstance(plain, SendText)
    assert plain.entities == ()
    assert simpler_call(text, "Telegram: Chat not found") is None
    (photo,) = calls(file_path="/host/x", file_name="a.png")
    document = simpler_call(photo, "Telegram: Photo_invalid_dimensions")
    assert isinstance(document, SendFiles)
    assert not document.as_photos
    assert simpler_call(document, "Telegram: Photo_invalid_dimensions") is None


def files(*names: str) -> dict[str, Any]:
    first, *rest = names
    more = tuple(OutboundFile(path=f"/host/{name}", name=name) for name in rest)
    return {"file_path": f"/host/{first}", "file_name": first, "more_files": more}


def albums(made: tuple[ApiCall, ...]) -> list[tuple[bool, list[str]]]:
    return [(call.as_photos, [file.name for file in call.files]) for call in made if isinstance(call, SendFiles)]


def test_several_files_go_in_albums_of_one_kind() -> None:
    """Files keep their order; photos and documents do not go together, and no more than ten do."""
    assert albums(calls(**files("a.png", "b.jpg", "c.pdf", "d.png"))) == [
        (True, ["a.png", "b.jpg"]),
        (False, ["c.pdf"]),
        (True, ["d.png"]),
    ]
    many = albums(calls(**files(*(f"{number}.txt" for number in range(23)))))
    assert [len(names) for _, names in many] == [10, 10, 3]
    assert [name for _, names in many for name in names] == [f"{number}.txt" for number in range(23)]


def test_several_files_have_one_caption() -> None:
    """A text is said once: under the first photo, or the last document; one that is too long goes before."""
    (photos,) = calls(text="look", reply_to=PlatformMessageId("9"), **files("a.png", "b.png"))
    assert isinstance(photos, SendFiles)
    assert (photos.caption, photos.captioned, photos.reply_to) == ("look", 0, 9)
    (documents,) = calls(text="look", **files("a.pdf", "b.pdf"))
    assert isinstance(documents, SendFiles)
    assert documents.captioned == 1
    made = calls(text="x" * 1001, **files("a.pdf", "b.pdf"))
    assert isinstance(made[0], SendText)
    assert [call.caption for call in made if isinstance(call, SendFiles)] == [""]


def test_buttons_are_under_the_last_file() -> None:
    """No album can have buttons: the last file goes alone with them."""
    made = calls(text="which?", buttons=(Button(label="A", value="a"),), **files("a.png", "b.png", "c.png"))
    assert albums(made) == [(True, ["a.png", "b.png"]), (True, ["c.png"])]
    assert [bool(call.button_rows) for call in made] == [False, True]


def test_one_file_too_large_of_several_fails_for_good() -> None:
    """None is sent where one cannot be: it is named."""
    with pytest.raises(DeliveryFailed, match=r"b\.zip has 61 MB"):
        calls(10, 61_000_000, **files("a.zip", "b.zip"))


def test_a_preview_is_one_message() -> None:
    """Of what grows as much is seen as one message holds."""
    text = preview_text(Place(chat_id=1), "**word** " * 2000)
    assert text is not None
    assert utf16_units(text.text) <= 4096
    assert len(text.entities) <= 100
    assert preview_text(Place(chat_id=1), "  \n") is None


@pytest.mark.parametrize("chat", ["telegram:1001", "telegram:-100500", "telegram:-100500:7"])
def test_a_place_has_one_key(chat: str) -> None:
    """A chat's key and its place are the same thing, both ways."""
    assert place_key(ChannelId("telegram"), parse_place(ChannelId("telegram"), chat)) == chat


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../x", "x"),
        ("..\\..\\x.txt", "x.txt"),
        ("/", "file"),
        ("", "file"),
        ("a\nb\x00.txt", "a b .txt"),
        ("\u202egpj.exe", "gpj.exe"),
        ("x" * 200 + ".txt", "x" * 116 + ".txt"),
    ],
)
def test_a_files_name_is_only_a_name(name: str, safe: str) -> None:
    """A name has no folders, no control or direction signs, and keeps its ending."""
    assert safe_name(name) == safe


@settings(max_examples=60, deadline=None)
@given(st.text(), st.integers(min_value=1, max_value=3000))
def test_every_text_gives_calls_within_the_limits(text: str, times: int) -> None:
    """Whatever is said, however long: a handful of messages that Telegram takes, or a beginning and the whole."""
    made = calls(text=text * times)
    texts = [call for call in made if isinstance(call, SendText)]
    files = [call for call in made if isinstance(call, SendFiles)]
    assert len(texts) <= MAX_MESSAGES
    assert all(1 <= utf16_units(call.text) <= 4096 for call in texts)
    if files:
        (whole,) = files
        assert whole.files[0].content == (text * times).encode("utf-8", "replace")


def test_no_word_of_an_agent_rings_anybody_in_a_group() -> None:
    """A name is no mention there, and nothing else changes; nobody else is in a private chat."""
    text = "@ben and (@ben_2) at ben@example.org, **@a😀b** `@ben` https://t.me/@ben [x](https://t.me/ben)"
    (group,), (private,) = calls(chat=ChatKey("telegram:-100:7"), text=text), calls(text=text)
    assert isinstance(group, SendText) and isinstance(private, SendText)
    assert group.text == "@\u200bben and (@\u200bben_2) at ben@example.org, @a😀b @ben https://t.me/@ben x"
    assert private.text == group.text.replace("\u200b", "")
    assert [each.type for each in group.entities] == [each.type for each in private.entities]
    assert [each.offset - 2 for each in group.entities] == [each.offset for each in private.entities]
