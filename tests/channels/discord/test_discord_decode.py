"""What stored gateway events of Discord say."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Undecodable
from channels.discord.decode import FORWARDED, decode_event
from protocol.ids import ChannelId
from protocol.message import MAX_TEXT_CHARS, InboundMessage

CHANNEL = ChannelId("d")
ME, ANNA, ROLE = "9", {"id": "2", "username": "anna", "global_name": "Anna"}, "77"
Json = dict[str, Any]


def _event(kind: str, what: Json, **more: Any) -> bytes:
    envelope = {
        "bot": {"id": ME, "roles": [ROLE]},
        "event_id": "e1",
        "at": "2026-01-02T03:04:05+00:00",
        "parent": "",
        "author": "",
        "home": "",
        "t": kind,
        "d": what,
    }
    return json.dumps({**envelope, **more}).encode()


def _said(**more: Any) -> Json:
    said: Json = {
        "id": "100",
        "channel_id": "50",
        "guild_id": "30",
        "type": 0,
        "author": ANNA,
        "content": "hello",
        "timestamp": "2026-01-02T03:04:05.678000+00:00",
        "edited_timestamp": None,
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "attachments": [],
        "embeds": [],
        "flags": 0,
    }
    return {**said, **more}


def _decoded(raw: bytes) -> InboundMessage:
    message = decode_event(CHANNEL, raw)
    assert message is not None
    return message


def test_a_message_says_who_what_where_and_when() -> None:
    """The fields of a message in a channel are where the host looks for them."""
    said = _decoded(_event("MESSAGE_CREATE", _said(member={"nick": "Annie"}), event_id="100"))
    assert said == InboundMessage(
        channel_id=CHANNEL,
        event_id="100",
        chat=said.chat,
        chat_kind="many",
        person=said.person,
        sender_name="Annie",
        text="hello",
        sent_at="2026-01-02T03:04:05.678000+00:00",
        platform_message_id=said.platform_message_id,
    )
    assert (said.chat, said.person, said.platform_message_id) == ("d:50", "d:2", "100")


def test_a_direct_message_is_for_me() -> None:
    """What is said in a direct chat is said to the bot, mention or none."""
    said = _decoded(_event("MESSAGE_CREATE", {**_said(), "guild_id": None}))
    assert (said.chat_kind, said.mentions_me) == ("direct", True)


def test_a_thread_is_a_chat_of_its_own() -> None:
    """A thread's chat names the channel that it hangs in, and itself."""
    assert _decoded(_event("MESSAGE_CREATE", _said(), parent="40")).chat == "d:40:50"


@pytest.mark.parametrize(
    ("more", "mentions_me"),
    [
        ({}, False),
        ({"mentions": [{"id": ME, "username": "bot"}]}, True),
        ({"mentions": [{"id": "3", "username": "ben"}]}, False),
        ({"mention_roles": [ROLE]}, True),
        ({"mention_roles": ["78"]}, False),
        ({"mention_everyone": True, "content": "@everyone"}, False),
        ({"message_reference": {"message_id": "1"}, "referenced_message": {**_said(), "author": {"id": ME}}}, True),
        ({"message_reference": {"message_id": "1"}, "referenced_message": _said()}, False),
    ],
)
def test_who_is_mentioned(more: Json, mentions_me: bool) -> None:
    """The bot is meant by its name, its role, and a reply to it; not by @everyone."""
    assert _decoded(_event("MESSAGE_CREATE", _said(**more))).mentions_me is mentions_me


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@2> and <@!3>: hi", "@Anna and @3: hi"),
        ("<@&77> <@&78>", "@me @role"),
        ("well <:done:123> <a:party:4>", "well :done: :party:"),
        ("<@9> /stop now", "/stop now"),
        ("<@&77>   /stop", "/stop"),
        ("<@9> hello", "@9 hello"),
        ("<@2> /stop", "@Anna /stop"),
        ("  spaced  ", "spaced"),
        ("\ud800 half", "\ufffd half"),
    ],
)
def test_marks_become_words(content: str, text: str) -> None:
    """Ids in a text are read as names; a command behind the bot's name is the command."""
    assert _decoded(_event("MESSAGE_CREATE", _said(content=content, mentions=[ANNA]))).text == text


def test_a_reply_has_what_it_answers() -> None:
    """A reply tells the message and its words; of one that is gone, the id alone."""
    reference = {"message_id": "90", "channel_id": "50"}
    answered = _said(content="the question")
    reply = _decoded(_event("MESSAGE_CREATE", _said(type=19, message_reference=reference, referenced_message=answered)))
    assert (reply.reply_to, reply.quote) == ("90", "the question")
    gone = _decoded(_event("MESSAGE_CREATE", _said(type=19, message_reference=reference, referenced_message=None)))
    assert (gone.reply_to, gone.quote) == ("90", "")


def test_what_is_passed_on_is_not_the_senders() -> None:
    """A forwarded message has the words and files of the first one, and says that it is passed on."""
    file = {"id": "7", "filename": "a.txt", "size": 3, "url": "https://cdn.discordapp.com/a"}
    snapshot = {"message": {"content": "psst", "attachments": [file], "mentions": []}}
    passed = _said(content="", message_reference={"type": 1, "message_id": "1"}, message_snapshots=[snapshot])
    said = _decoded(_event("MESSAGE_CREATE", passed))
    assert (said.text, said.forwarded_from, said.reply_to) == ("psst", FORWARDED, None)
    assert [each.name for each in said.pending_files] == ["a.txt"]


def test_files_can_be_fetched_again() -> None:
    """A file's reference holds its address and where to ask for a new one; voice notes are known."""
    voice = {"id": "7", "filename": "v.ogg", "size": 3, "url": "https://cdn/v", "content_type": "audio/ogg"}
    said = _decoded(
        _event("MESSAGE_CREATE", _said(content="", flags=1 << 13, attachments=[{**voice, "waveform": "AA=="}]))
    )
    (file,) = said.pending_files
    assert (file.reference, file.is_voice, file.media_type) == ("50/100/7 https://cdn/v", True, "audio/ogg")
    plain = _decoded(_event("MESSAGE_CREATE", _said(attachments=[voice])))
    assert not plain.pending_files[0].is_voice


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"sticker_items": [{"id": "1", "name": "wave", "format_type": 1}]}, "[sticker wave]"),
        (
            {
                "poll": {
                    "question": {"text": "When?"},
                    "answers": [{"poll_media": {"text": "now"}}, {"poll_media": {"text": "later"}}],
                }
            },
            "[poll: When? now / later]",
        ),
    ],
)
def test_what_has_no_text_is_described(more: Json, text: str) -> None:
    """Nothing that a person sends is met with silence."""
    assert _decoded(_event("MESSAGE_CREATE", _said(content="", **more))).text == text


def test_an_edit_replaces_what_was_said() -> None:
    """An edit has the message's id and the time of the change; a link's preview is none."""
    edited = _said(content="better", edited_timestamp="2026-01-02T04:00:00+00:00")
    edit = _decoded(_event("MESSAGE_UPDATE", edited))
    assert (edit.kind, edit.text, edit.platform_message_id) == ("edit", "better", "100")
    assert edit.sent_at == "2026-01-02T04:00:00+00:00"
    assert decode_event(CHANNEL, _event("MESSAGE_UPDATE", _said())) is None


def test_a_deletion_names_who_wrote_it_if_that_is_known() -> None:
    """A deletion comes from the author that was read, else from the chat itself."""
    gone = {"id": "100", "channel_id": "50", "guild_id": "30"}
    known = _decoded(_event("MESSAGE_DELETE", gone, author="2"))
    assert (known.kind, known.person, known.platform_message_id, known.text) == ("delete", "d:2", "100", "")
    assert _decoded(_event("MESSAGE_DELETE", gone)).person == "d:50"


def test_reactions_come_and_go() -> None:
    """A reaction is its emoji, a server's own by its name; taken away it is nothing."""
    reaction = {"user_id": "2", "channel_id": "50", "message_id": "100", "emoji": {"id": None, "name": "👍"}}
    given = _decoded(_event("MESSAGE_REACTION_ADD", reaction))
    assert (given.kind, given.text, given.reply_to, given.person) == ("reaction", "👍", "100", "d:2")
    own = _decoded(_event("MESSAGE_REACTION_ADD", {**reaction, "emoji": {"id": "4", "name": "party"}}))
    assert own.text == ":party:"
    assert _decoded(_event("MESSAGE_REACTION_REMOVE", reaction)).text == ""
    by_bot = {**reaction, "member": {"user": {"id": "8", "username": "other", "bot": True}}}
    assert decode_event(CHANNEL, _event("MESSAGE_REACTION_ADD", by_bot)) is None


def test_a_press_is_its_value() -> None:
    """A pressed button says its value, and is for the bot."""
    press = {
        "id": "5",
        "type": 3,
        "channel_id": "50",
        "guild_id": "30",
        "member": {"user": ANNA, "nick": None},
        "message": {"id": "100"},
        "data": {"custom_id": "approve:1", "component_type": 2},
    }
    said = _decoded(_event("INTERACTION_CREATE", press))
    assert (said.kind, said.text, said.reply_to, said.mentions_me) == ("press", "approve:1", "100", True)
    assert said.platform_message_id == "100"


def test_a_slash_command_is_a_typed_one() -> None:
    """A command of the menu is its name and what was typed behind it, and is for the bot."""
    asked = {
        "id": "5",
        "type": 2,
        "channel_id": "50",
        "user": ANNA,
        "data": {"name": "stop", "options": [{"name": "text", "type": 3, "value": "all of it"}]},
    }
    said = _decoded(_event("INTERACTION_CREATE", asked))
    assert (said.kind, said.text, said.mentions_me, said.chat_kind) == ("message", "/stop all of it", True, "direct")
    del asked["data"]["options"]  # type: ignore[attr-defined]
    assert _decoded(_event("INTERACTION_CREATE", asked)).text == "/stop"


@pytest.mark.parametrize(
    ("kind", "what", "expected"),
    [
        ("GUILD_MEMBER_ADD", {"guild_id": "30", "user": ANNA}, ("joined", "Anna", "d:2", "d:51")),
        ("GUILD_MEMBER_REMOVE", {"guild_id": "30", "user": ANNA}, ("left", "Anna", "d:2", "d:51")),
        ("MESSAGE_CREATE", _said(type=7, content=""), ("joined", "Anna", "d:2", "d:50")),
        ("MESSAGE_CREATE", _said(type=1, mentions=[{"id": "3", "username": "ben"}]), ("joined", "ben", "d:3", "d:50")),
        ("MESSAGE_CREATE", _said(type=2, mentions=[{"id": "3", "username": "ben"}]), ("left", "ben", "d:3", "d:50")),
    ],
)
def test_comings_and_goings(kind: str, what: Json, expected: tuple[str, ...]) -> None:
    """Who comes and goes is told in the server's own room, or in the thread."""
    said = _decoded(_event(kind, what, home="51"))
    assert (said.kind, said.text, said.person, said.chat) == expected


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("MESSAGE_CREATE", _said(author={"id": ME, "username": "me"})),
        ("MESSAGE_CREATE", _said(author={**ANNA, "bot": True})),
        ("MESSAGE_CREATE", _said(webhook_id="4")),
        ("MESSAGE_CREATE", _said(content="")),
        ("MESSAGE_CREATE", _said(type=21)),
        ("MESSAGE_CREATE", _said(type=1, mentions=[{"id": ME, "username": "me"}])),
        ("TYPING_START", {}),
    ],
)
def test_what_says_nothing(kind: str, what: Json) -> None:
    """The bot's own words, other bots, and what carries no words say nothing."""
    assert decode_event(CHANNEL, _event(kind, what)) is None


@pytest.mark.parametrize(
    "what",
    [{}, _said(author=None), _said(content=5), _said(channel_id="x"), _said(timestamp=3), _said(attachments=[{}])],
)
def test_what_is_no_event_is_said_to_be_none(what: Json) -> None:
    """An event in no form of Discord's is undecodable, with a reason."""
    with pytest.raises(Undecodable) as failed:
        decode_event(CHANNEL, _event("MESSAGE_CREATE", what))
    assert failed.value.reason


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(), lambda x: st.lists(x)).map(lambda x: json.dumps(x).encode())
)
def test_whatever_is_stored_decodes_or_is_undecodable(raw: bytes) -> None:
    """No bytes make the decoder fail in another way."""
    with contextlib.suppress(Undecodable):
        decode_event(CHANNEL, raw)


def test_a_text_without_end_is_cut() -> None:
    """A text beyond the host's limit is cut, and says so."""
    text = _decoded(_event("MESSAGE_CREATE", _said(content="x" * (MAX_TEXT_CHARS + 5)))).text
    assert len(text) == MAX_TEXT_CHARS
    assert text.endswith("too long]")
