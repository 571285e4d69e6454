"""Raw updates of Telegram, and what they say to us."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.channel import Undecodable
from channels.telegram.content import CUT_MARK
from channels.telegram.decode import decode_update, envelope, moved_envelope
from protocol.codec import from_json, to_json
from protocol.ids import ChannelId
from protocol.message import MAX_TEXT_CHARS, InboundMessage

BOT = 7000000001
ADA = {"id": 1001, "is_bot": False, "first_name": "Ada", "last_name": "N"}
PRIVATE = {"id": 1001, "type": "private", "first_name": "Ada"}
GROUP = {"id": -100500, "type": "supergroup", "title": "Yard"}


def decode(update: object) -> InboundMessage | None:
    return decode_update(ChannelId("telegram"), envelope(BOT, "Yard_Bot", update))


def said(**content: Any) -> dict[str, Any]:
    return {"message_id": 5, "date": 1_700_000_000, "from": ADA, "chat": PRIVATE, **content}


def message(**content: Any) -> InboundMessage:
    decoded = decode({"update_id": 9, "message": said(**content)})
    assert decoded is not None
    return decoded


def test_a_private_text() -> None:
    """A private text gives all fields, and counts as said to the bot."""
    assert message(text="hi") == InboundMessage(
        channel_id=ChannelId("telegram"),
        event_id="7000000001:9",
        chat="telegram:1001",  # type: ignore[arg-type]  # as the wire has it
        chat_kind="direct",
        person="telegram:1001",  # type: ignore[arg-type]
        sender_name="Ada N",
        text="hi",
        sent_at="2023-11-14T22:13:20+00:00",
        platform_message_id="5",  # type: ignore[arg-type]
        mentions_me=True,
    )


@pytest.mark.parametrize(
    ("text", "is_piece"),
    [
        ("x" * 3_796, False),
        ("x" * 3_797, True),
        ("x" * 4_096, True),
        ("\U0001f600" * 2_000, True),
        ("ü" * 3_000, False),
    ],
    ids=["short of it", "at a word's end", "full", "counted in units of 16 bits", "counted in signs"],
)
def test_a_text_about_as_long_as_telegram_takes_is_a_piece(text: str, is_piece: bool) -> None:
    """Apps cut longer texts at the limit or a little before; a caption and an edit are never pieces."""
    whole, captioned = message(text=text), message(caption=text, document={"file_id": "f"})
    edited = decode({"update_id": 10, "edited_message": said(text=text, edit_date=1_700_000_060)})
    assert edited is not None
    assert (whole.is_piece, captioned.is_piece, edited.is_piece) == (is_piece, False, False)


def test_an_edit_has_its_own_kind_and_time() -> None:
    """An edited message is an edit of the same platform message, at the time of the edit."""
    edited = decode({"update_id": 10, "edited_message": said(text="hi!", edit_date=1_700_000_060)})
    assert edited is not None
    assert (edited.kind, edited.platform_message_id, edited.sent_at[-14:-6]) == ("edit", "5", "22:14:20")


@pytest.mark.parametrize(
    ("content", "mentioned"),
    [
        ({"text": "hello all"}, False),
        ({"text": "😀 @yard_bot do", "entities": [{"type": "mention", "offset": 3, "length": 9}]}, True),
        ({"text": "@other do", "entities": [{"type": "mention", "offset": 0, "length": 6}]}, False),
        ({"text": "/do@Yard_Bot", "entities": [{"type": "bot_command", "offset": 0, "length": 12}]}, True),
        ({"text": "/do", "entities": [{"type": "bot_command", "offset": 0, "length": 3}]}, False),
        (
            {"text": "bot", "entities": [{"type": "text_mention", "offset": 0, "length": 3, "user": {"id": BOT}}]},
            True,
        ),
        (
            {
                "caption": "@yard_bot",
                "caption_entities": [{"type": "mention", "offset": 0, "length": 9}],
                "document": {"file_id": "f"},
            },
            True,
        ),
        ({"text": "yes", "reply_to_message": said(text="?", **{"from": {"id": BOT}})}, True),
        ({"text": "yes", "reply_to_message": said(text="?")}, False),
    ],
)
def test_mentions_in_a_group(content: dict[str, Any], mentioned: bool) -> None:
    """In a group the bot is mentioned by name, by a command with its name, and by a reply to it."""
    decoded = message(chat=GROUP, **content)
    assert (decoded.chat, decoded.chat_kind, decoded.mentions_me) == ("telegram:-100500", "many", mentioned)


def test_a_topic_is_a_chat_of_its_own_and_a_reply_chain_is_not() -> None:
    """Only a forum's topic is part of the chat's key."""
    topic = message(chat=GROUP, text="x", message_thread_id=7, is_topic_message=True)
    assert topic.chat == "telegram:-100500:7"
    assert message(chat=GROUP, text="x", message_thread_id=7).chat == "telegram:-100500"


def test_replies_and_quotes() -> None:
    """A reply names its message and carries its text, or the part that was quoted; a topic's root is no reply."""
    replied = said(text="the whole", message_id=3)
    plain = message(text="x", reply_to_message=replied)
    assert (plain.reply_to, plain.quote) == ("3", "the whole")
    assert message(text="x", reply_to_message=replied, quote={"text": "whole", "position": 4}).quote == "whole"
    root = said(message_id=7, forum_topic_created={"name": "t", "icon_color": 1})
    assert message(text="x", reply_to_message=root).reply_to is None


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        ({"document": {"file_id": "f", "file_name": "a.txt", "mime_type": "text/plain"}}, "a.txt", "text/plain"),
        ({"document": {"file_id": "f"}}, "document", "application/octet-stream"),
        ({"voice": {"file_id": "f", "mime_type": "audio/ogg"}}, "voice.ogg", "audio/ogg"),
        ({"audio": {"file_id": "f", "file_name": "song.mp3"}}, "song.mp3", "audio/mpeg"),
        ({"video": {"file_id": "f"}}, "video.mp4", "video/mp4"),
        ({"video_note": {"file_id": "f"}}, "video_note.mp4", "video/mp4"),
        ({"animation": {"file_id": "f"}, "document": {"file_id": "g"}}, "animation.mp4", "video/mp4"),
    ],
)
def test_files_are_named_and_left_on_the_platform(content: dict[str, Any], name: str, media_type: str) -> None:
    """Each kind of file is a pending file with a name, a type, and what is needed to fetch it."""
    (file,) = message(**content).pending_files
    assert (file.reference, file.name, file.media_type, file.size) == ("f", name, media_type, None)


def test_the_largest_size_of_a_photo_is_taken() -> None:
    """Of a photo's sizes the largest is the file; the caption is the text."""
    sizes = [{"file_id": str(side), "width": side, "height": side, "file_size": side} for side in (90, 1280, 320)]
    decoded = message(photo=sizes, caption="look")
    assert decoded.text == "look"
    assert [(file.reference, file.size, file.name) for file in decoded.pending_files] == [("1280", 1280, "photo.jpg")]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"location": {"latitude": 52.5, "longitude": 13.4}}, "[location: 52.5, 13.4]"),
        ({"contact": {"first_name": "Ben", "phone_number": "+49"}}, "[contact: Ben, +49]"),
        ({"poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]}}, "[poll: Tea? yes / no]"),
        ({"dice": {"emoji": "🎲", "value": 6}}, "[🎲 shows 6]"),
        ({"sticker": {"file_id": "f", "emoji": "😀"}}, "😀"),
        ({"sticker": {"file_id": "f"}}, "[sticker]"),
        (
            {
                "venue": {"title": "Café", "address": "Street 1"},
                "location": {"latitude": 1, "longitude": 2},
            },
            "[place: Café, Street 1]",
        ),
    ],
)
def test_what_has_no_text_is_described(content: dict[str, Any], text: str) -> None:
    """A place, a contact, a poll or a die is told in words, so that nobody is met with silence."""
    assert message(**content).text == text


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1, "message": said(new_chat_title="Yard")},
        {"update_id": 1, "message": said(new_chat_members=[{"id": BOT, "is_bot": True, "first_name": "Yard"}])},
        {"update_id": 1, "message": said(left_chat_member={"id": BOT, "is_bot": True, "first_name": "Yard"})},
        {"update_id": 1, "message": said(text="x", **{"from": {**ADA, "is_bot": True}})},
        {"update_id": 1, "message": said(text="x", **{"from": {"id": BOT, "is_bot": True, "first_name": "B"}})},
        {"update_id": 1, "callback_query": {"id": "1", "from": ADA, "inline_message_id": "x", "data": "y"}},
        {"update_id": 1, "my_chat_member": {}},
        {"update_id": 1},
    ],
)
def test_what_says_nothing_to_us(update: dict[str, Any]) -> None:
    """Service messages, other bots, the bot itself and kinds we did not ask for say nothing."""
    assert decode(update) is None


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ({"first_name": "😀\u202eevil\x00", "last_name": "\n\u0301"}, "😀\u202eevil\x00 \n\u0301"),
        ({"first_name": "", "username": "ada"}, "ada"),
        ({"first_name": ""}, "(no name)"),
        ({"first_name": "a\ud800"}, "a\ufffd"),
    ],
)
def test_names_are_any_text(sender: dict[str, Any], name: str) -> None:
    """A sender's name is kept as data whatever it holds; only what is no text at all is replaced."""
    assert message(text="x", **{"from": {"id": 3, **sender}}).sender_name == name


def test_who_speaks_as_a_group_is_that_group() -> None:
    """An anonymous administrator is the group, not the service account that Telegram names."""
    account = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
    decoded = message(chat=GROUP, text="x", sender_chat=GROUP, **{"from": account})
    assert (decoded.person, decoded.sender_name) == ("telegram:-100500", "Yard")


def test_a_press_under_a_message_too_old_to_see() -> None:
    """A press under a message that Telegram shows no more still has its chat and value."""
    old = {"message_id": 4, "date": 0, "chat": PRIVATE}
    press = decode({"update_id": 2, "callback_query": {"id": "1", "from": ADA, "message": old, "data": "v"}})
    assert press is not None
    assert (press.kind, press.text, press.chat, press.platform_message_id) == ("press", "v", "telegram:1001", "4")


def test_a_text_beyond_all_bounds_is_cut_with_a_word() -> None:
    """A text longer than the host takes ends with a remark that it was cut."""
    decoded = message(text="x" * (MAX_TEXT_CHARS + 1))
    assert len(decoded.text) == MAX_TEXT_CHARS
    assert decoded.text.endswith(CUT_MARK)


@pytest.mark.parametrize(
    "update",
    [
        None,
        [],
        {"message": said(text="no number")},
        {"update_id": 1, "message": None},
        {"update_id": 1, "message": said(text=5)},
        {"update_id": 1, "message": said(text="x", date="yesterday")},
        {"update_id": 1, "message": said(text="x", date=10**30)},
        {"update_id": 1, "message": said(text="x", **{"from": {"first_name": "who"}})},
        {"update_id": 1, "message": said(photo=[{"file_id": "f"}])},
        {"update_id": 1, "message": said(text="x", chat={"id": [], "type": "private"})},
        {"update_id": 1, "message": said(text="x", chat=GROUP, entities=[{"type": "mention"}])},
        {"update_id": 1, "callback_query": {"message": {}, "data": "x"}},
    ],
)
def test_what_is_malformed_is_undecodable(update: object) -> None:
    """A malformed update is Undecodable, with a reason of one short line."""
    with pytest.raises(Undecodable) as error:
        decode(update)
    assert 0 < len(error.value.reason) < 300


@pytest.mark.parametrize("raw", [b"", b"\xff", b"{}", b"[" * 100_000, b'{"bot": {}, "update": {}}', b"null"])
def test_bytes_that_are_no_envelope_are_undecodable(raw: bytes) -> None:
    """Stored bytes that are not what we store are Undecodable too."""
    with pytest.raises(Undecodable):
        decode_update(ChannelId("telegram"), raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


BEN = {"id": 1002, "is_bot": False, "first_name": "Ben"}


def happened(**update: Any) -> InboundMessage:
    decoded = decode({"update_id": 9, **update})
    assert decoded is not None
    return decoded


@pytest.mark.parametrize(
    ("content", "kind", "person", "text"),
    [
        ({"new_chat_members": [ADA, BEN]}, "joined", "telegram:1001", "Ada N, Ben"),
        ({"new_chat_members": [{"id": BOT, "is_bot": True, "first_name": "Y"}, BEN]}, "joined", "telegram:1002", "Ben"),
        ({"left_chat_member": BEN}, "left", "telegram:1002", "Ben"),
    ],
)
def test_who_comes_and_goes(content: dict[str, Any], kind: str, person: str, text: str) -> None:
    """Somebody who comes into a group or goes is told by name; the bot itself is not."""
    told = message(chat=GROUP, **content)
    assert (told.kind, told.person, told.text, told.chat_kind) == (kind, person, text, "many")
    assert not told.mentions_me


@pytest.mark.parametrize(
    ("new", "text"),
    [
        ([{"type": "emoji", "emoji": "👍"}], "👍"),
        ([], ""),
        ([{"type": "custom_emoji", "custom_emoji_id": "7"}, {"type": "paid"}], "❔⭐"),
    ],
)
def test_a_reaction_is_what_a_person_has_now(new: list[Any], text: str) -> None:
    """A reaction says which emoji somebody has under which message now, none for taken away."""
    reacted = {"chat": GROUP, "message_id": 5, "user": BEN, "date": 1, "old_reaction": [], "new_reaction": new}
    told = happened(message_reaction=reacted)
    assert (told.kind, told.text, told.reply_to, told.person) == ("reaction", text, "5", "telegram:1002")
    bots = {**reacted, "user": {**BEN, "is_bot": True}}
    assert decode({"update_id": 9, "message_reaction": bots}) is None


def test_a_reaction_of_a_group_is_the_groups() -> None:
    """An anonymous administrator reacts as the group."""
    reacted = {"chat": GROUP, "message_id": 5, "actor_chat": GROUP, "date": 1, "old_reaction": [], "new_reaction": []}
    assert happened(message_reaction=reacted).person == "telegram:-100500"


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ({"type": "user", "sender_user": BEN}, "Ben"),
        ({"type": "hidden_user", "sender_user_name": "Somebody"}, "Somebody"),
        ({"type": "chat", "sender_chat": GROUP}, "Yard"),
        ({"type": "channel", "chat": {"id": -7, "type": "channel", "title": "News"}, "message_id": 1}, "News"),
    ],
)
def test_what_is_passed_on_names_who_said_it(origin: dict[str, Any], name: str) -> None:
    """A forwarded message is its sender's, with the name of who said it first."""
    told = message(text="x", forward_origin={**origin, "date": 1})
    assert (told.forwarded_from, told.person) == (name, "telegram:1001")
    assert message(text="x").forwarded_from == ""


def test_a_group_that_becomes_a_supergroup_is_told_both_ways() -> None:
    """The old group's last word and the new one's first say the same: the old key, and the new one."""
    old = {"id": -5, "type": "group", "title": "Yard"}
    for told in (message(chat=old, migrate_to_chat_id=-100500), message(chat=GROUP, migrate_from_chat_id=-5)):
        assert (told.kind, told.chat, told.text, told.person) == (
            "moved",
            "telegram:-5",
            "telegram:-100500",
            "telegram:-5",
        )
    ours = decode_update(ChannelId("telegram"), moved_envelope(-5, -100500, 1))
    assert ours is not None
    assert (ours.kind, ours.chat, ours.text, ours.event_id) == (
        "moved",
        "telegram:-5",
        "telegram:-100500",
        "moved:-5:-100500",
    )


def test_only_a_voice_note_is_spoken() -> None:
    """A voice note is told from music and films."""
    kinds = ("voice", "audio", "video", "video_note")
    spoken = {kind: message(**{kind: {"file_id": "f"}}).pending_files[0].is_voice for kind in kinds}
    assert spoken == {"voice": True, "audio": False, "video": False, "video_note": False}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_broken_field_is_undecodable_or_read(data: st.DataObject) -> None:
    """Whatever stands in one field: a message that the codec takes, nothing, or Undecodable; never another error."""
    content = said(
        text="@yard_bot x",
        entities=[{"type": "mention", "offset": 0, "length": 9}],
        photo=[{"file_id": "f", "width": 1, "height": 1}],
        document={"file_id": "f"},
        reply_to_message=said(text="q"),
        quote={"text": "q"},
        sticker={"file_id": "s"},
        forward_origin={"type": "user", "sender_user": BEN},
        new_chat_members=[BEN],
        left_chat_member=BEN,
        migrate_to_chat_id=-7,
    )
    content = {key: content[key] for key in data.draw(st.sets(st.sampled_from(sorted(content)), min_size=1))} | {
        key: content[key] for key in ("message_id", "date", "from", "chat")
    }
    field = data.draw(st.sampled_from(sorted(content)))
    content[field] = data.draw(_JSON)
    try:
        decoded = decode({"update_id": 1, "message": content})
    except Undecodable:
        return
    if decoded is not None:
        assert from_json(InboundMessage, json.loads(json.dumps(to_json(decoded)))) == decoded
