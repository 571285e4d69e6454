"""What Slack sends, as what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Undecodable
from channels.slack.decode import decode_raw
from channels.slack.raw import (
    COMMAND,
    EVENT,
    PRESS,
    Bot,
    Known,
    conversation_of,
    event_id,
    event_of,
    ids_in,
    is_own,
    pack,
)
from protocol.ids import ChannelId
from protocol.message import InboundMessage

CHANNEL = ChannelId("slack")
BOT = Bot(user="U0BOT", bot="B0BOT", name="yard")
NAMES = {"U0ANNA": "Anna", "U0BEN": "Ben", "C0GEN": "general"}
TS, PARENT, LATER = "1700000000.000100", "1690000000.000100", "1700000009.000100"


def decoded(
    event: dict[str, Any],
    kind: str = EVENT,
    threads: dict[str, str] | None = None,
    parent: dict[str, str] | None = None,
) -> InboundMessage | None:
    payload = {"event": event, "event_id": "Ev1", "token": "verification"} if kind == EVENT else event
    return decode_raw(CHANNEL, pack(BOT, kind, payload, Known(names=NAMES, threads=threads or {}, parent=parent)))


def said(event: dict[str, Any], **context: Any) -> InboundMessage:
    message = decoded(event, **context)
    assert message is not None
    return message


def message(text: str = "hello", channel: str = "D0ANNA", **more: Any) -> dict[str, Any]:
    return {"type": "message", "user": "U0ANNA", "text": text, "ts": TS, "channel": channel, **more}


def test_a_direct_message_says_who_what_where_and_when() -> None:
    """All that a message says is there, under the key of its place and ts."""
    found = said(message())
    assert (found.chat, found.chat_kind, found.person) == ("slack:D0ANNA", "direct", "slack:U0ANNA")
    assert (found.sender_name, found.text, found.platform_message_id) == ("Anna", "hello", TS)
    assert (found.event_id, found.mentions_me) == (f"D0ANNA:{TS}", True)
    assert found.sent_at == "2023-11-14T22:13:20.000100+00:00"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;amp;", "1 < 2 && 3 > 2 &amp;"),
        ("<@U0ANNA> and <@U0BEN|benny> and <@U0NOBODY>", "@Anna and @Ben and @U0NOBODY"),
        ("<#C0GEN> <#C0OTHER|other> <!here> <!channel|channel>", "#general #other @here channel"),
        ("<!subteam^S123|@team> <!subteam^S9> <!date^1^{date}|Feb 1>", "@team @S9 Feb 1"),
        ("<https://x.org/?a=1&amp;b=2>", "https://x.org/?a=1&b=2"),
        ("<https://x.org|the site> <mailto:a@b.org|a@b.org>", "the site (https://x.org) a@b.org"),
        ("<http://x.org|x.org> <tel:123|123>", "x.org 123"),
        (":tada: 10:30:45 :+1::skin-tone-3: :own_party:", "🎉 10:30:45 👍🏼 :own_party:"),
        ("a <b", "a <b"),
    ],
)
def test_escaped_text_is_read_as_people_see_it(written: str, read: str) -> None:
    """Mentions, channels, links, groups, dates, emoji and escapes are what people see."""
    assert said(message(written)).text == read


def test_a_mention_in_a_channel_begins_a_thread() -> None:
    """The chat of a message that speaks to the bot is the thread that its answer makes; of another one the channel."""
    asked, plain = said(message("<@U0BOT> hi", "C0GEN")), said(message("hi", "C0GEN"))
    assert (asked.chat, asked.chat_kind, asked.mentions_me) == (f"slack:C0GEN:{TS}", "many", True)
    assert (plain.chat, plain.mentions_me) == ("slack:C0GEN", False)
    assert asked.text == "@yard hi"


def test_a_command_to_the_bot_is_one() -> None:
    """A line that begins with a stroke would be Slack's own: after the bot's name it is a command."""
    assert said(message("<@U0BOT> /stop now", "C0GEN")).text == "/stop now"
    assert said(message("<@U0BOT>: /stop", "C0GEN")).text == "/stop"


def test_a_mention_and_its_message_are_one() -> None:
    """The two events of one mention have the same key and say the same."""
    event = message("<@U0BOT> hi", "C0GEN")
    one, other = said(event), said({**event, "type": "app_mention"})
    assert one == other


def test_a_reply_in_a_thread_is_in_its_chat_and_quotes_it() -> None:
    """The thread is the chat; the first message there quotes what the thread began with."""
    parent = {"user": "U0BEN", "text": "A &amp; B?"}
    reply = message("yes", "C0GEN", thread_ts=PARENT, parent_user_id="U0BEN")
    first, second = said(reply, parent=parent), said(reply)
    assert (first.chat, first.reply_to, first.quote) == (f"slack:C0GEN:{PARENT}", PARENT, "A & B?")
    assert (second.chat, second.reply_to, second.quote) == (first.chat, PARENT, "")
    assert not first.mentions_me
    assert said({**reply, "parent_user_id": "U0BOT"}).mentions_me
    assert said({**reply, "subtype": "thread_broadcast"}).chat == first.chat


def test_the_first_message_of_a_thread_stays_where_it_is() -> None:
    """A message that has answers by now is still the channel's."""
    assert said(message("hi", "C0GEN", thread_ts=TS)).chat == "slack:C0GEN"


def changed(now: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    event = {"type": "message", "subtype": "message_changed", "channel": "C0GEN", "message": now, "ts": LATER}
    return {**event, "event_ts": LATER} | ({"previous_message": before} if before else {})


def test_an_edit_is_of_the_same_message_in_the_same_place() -> None:
    """An edit keeps the chat of the message, though its new words would not lead there."""
    before = {"type": "message", "user": "U0ANNA", "text": "<@U0BOT> two", "ts": TS}
    now = {**before, "text": "three", "edited": {"user": "U0ANNA", "ts": LATER}}
    edit = said(changed(now, before))
    assert (edit.kind, edit.text, edit.platform_message_id) == ("edit", "three", TS)
    assert (edit.chat, edit.event_id) == (f"slack:C0GEN:{TS}", "Ev1")
    assert edit.sent_at.startswith("2023-11-14T22:13:29")


def test_an_unfurled_link_is_no_edit() -> None:
    """A message that changes without its author's doing says nothing; nor does one whose words are the same."""
    before = {"type": "message", "user": "U0ANNA", "text": "https://x.org", "ts": TS}
    assert decoded(changed({**before, "attachments": [{"from_url": "https://x.org"}]}, before)) is None
    edited = {**before, "edited": {"user": "U0ANNA", "ts": TS}}
    assert decoded(changed({**edited, "attachments": [{}]}, edited)) is None


def test_a_deletion_names_what_is_gone() -> None:
    """A message that was taken back, in a thread too, and one of which a thread is left."""
    before = {"type": "message", "user": "U0ANNA", "text": "oops", "ts": TS, "thread_ts": PARENT}
    event = {"type": "message", "subtype": "message_deleted", "channel": "C0GEN", "deleted_ts": TS, "event_ts": LATER}
    gone = said({**event, "previous_message": before})
    assert (gone.kind, gone.text, gone.platform_message_id) == ("delete", "", TS)
    assert (gone.chat, gone.person) == (f"slack:C0GEN:{PARENT}", "slack:U0ANNA")
    root = {"type": "message", "user": "U0ANNA", "text": "oops", "ts": TS, "thread_ts": TS}
    tombstone = {"subtype": "tombstone", "user": "USLACKBOT", "text": "", "ts": TS, "thread_ts": TS}
    assert said(changed(tombstone, root)).kind == "delete"


def test_reactions_come_and_go() -> None:
    """A reaction is its emoji, in the chat of its message; one that goes is empty."""
    item = {"type": "message", "channel": "C0GEN", "ts": TS}
    event = {"type": "reaction_added", "user": "U0BEN", "reaction": "+1", "item": item, "event_ts": LATER}
    added = said(event, threads={TS: PARENT})
    assert (added.kind, added.text, added.reply_to) == ("reaction", "👍", TS)
    assert (added.chat, added.person) == (f"slack:C0GEN:{PARENT}", "slack:U0BEN")
    assert said({**event, "reaction": "own_party"}).text == ":own_party:"
    assert said({**event, "type": "reaction_removed"}).text == ""
    assert decoded({**event, "user": "U0BOT"}) is None
    assert decoded({**event, "item": {"type": "file"}}) is None


def test_people_come_and_go_and_channels_move() -> None:
    """Joins and leaves name who; a channel that got another id says which."""
    event = {"type": "member_joined_channel", "user": "U0BEN", "channel": "C0GEN", "event_ts": TS}
    joined, left = said(event), said({**event, "type": "member_left_channel"})
    assert (joined.kind, joined.text, joined.person, joined.chat) == ("joined", "Ben", "slack:U0BEN", "slack:C0GEN")
    assert left.kind == "left"
    assert decoded({**event, "user": "U0BOT"}) is None
    ids = {"old_channel_id": "G0OLD", "new_channel_id": "C0NEW"}
    moved = said({"type": "channel_id_changed", **ids, "event_ts": TS})
    assert (moved.kind, moved.chat, moved.text) == ("moved", "slack:G0OLD", "slack:C0NEW")


def test_files_and_voice_are_pending() -> None:
    """Files are named and wait to be fetched; what Slack does not hold is told in words."""
    files = [
        {"id": "F1", "name": "plan.pdf", "mimetype": "application/pdf", "size": 10, "mode": "hosted"},
        {"id": "F2", "name": "audio.m4a", "mimetype": "audio/mp4", "size": 5, "subtype": "slack_audio"},
        {"id": "F3", "mode": "tombstone"},
        {"id": "F4", "title": "A doc", "is_external": True, "url_private": "https://docs.example/1"},
    ]
    found = said(message("", subtype="file_share", files=files))
    assert [(file.reference, file.name, file.is_voice) for file in found.pending_files] == [
        ("F1", "plan.pdf", False),
        ("F2", "audio.m4a", True),
    ]
    assert found.text == "[a file that was deleted]\n[A doc: https://docs.example/1]"


def test_what_is_passed_on_says_whose_it_is() -> None:
    """A shared message alone is its author's; with a word of one's own it is a quote."""
    shared = {"is_share": True, "author_id": "U0BEN", "text": "send &lt;money&gt;"}
    alone = said(message("", attachments=[shared]))
    assert (alone.text, alone.forwarded_from) == ("send <money>", "Ben")
    told = said(message("look", attachments=[shared]))
    assert (told.text, told.quote, told.forwarded_from) == ("look", "Ben: send <money>", "")
    assert said(message("https://x.org", attachments=[{"from_url": "https://x.org", "text": "x"}])).quote == ""


@pytest.mark.parametrize(
    "event",
    [
        message(bot_id="B0OTHER"),
        message(subtype="bot_message"),
        {**message(), "user": "U0BOT"},
        message(subtype="channel_join"),
        message(subtype="channel_topic"),
        message(""),
        {"type": "app_home_opened", "user": "U0ANNA"},
        {"type": "new_kind_of_event"},
    ],
)
def test_what_says_nothing_to_an_agent_is_left(event: dict[str, Any]) -> None:
    """Bots, Slack's own notes, empty messages and events of other kinds are no messages, and no failures."""
    assert decoded(event) is None


def test_a_press_is_its_value_in_its_chat() -> None:
    """A button pressed in a thread comes from the thread; one under a thread's first message from the channel."""
    container = {"type": "message", "message_ts": TS, "channel_id": "C0GEN", "thread_ts": PARENT}
    payload: dict[str, Any] = {"type": "block_actions", "user": {"id": "U0BEN", "name": "ben"}}
    payload |= {"container": container}
    payload |= {"actions": [{"value": "approve:1:é", "action_ts": LATER}], "trigger_id": "1.2.3"}
    press = said(payload, kind=PRESS)
    assert (press.kind, press.text, press.person) == ("press", "approve:1:é", "slack:U0BEN")
    assert (press.chat, press.reply_to, press.event_id) == (f"slack:C0GEN:{PARENT}", TS, "1.2.3")
    assert said({**payload, "container": {**container, "thread_ts": TS}}, kind=PRESS).chat == "slack:C0GEN"
    assert decoded({**payload, "actions": [{"action_ts": TS}]}, kind=PRESS) is None
    assert decoded({"type": "view_submission"}, kind=PRESS) is None


@pytest.mark.parametrize(
    ("command", "typed", "read"),
    [
        ("/nightyard", "stop", "/stop"),
        ("/nightyard", "/stop now", "/stop now"),
        ("/nightyard", "", "/help"),
        ("/nightyard-work", "status", "/status"),
        ("/stop", "", "/stop"),
        ("/model", "a &amp; b", "/model a & b"),
    ],
)
def test_a_slash_command_is_what_was_typed_after_it(command: str, typed: str, read: str) -> None:
    """The manifest's one command carries ours; a command of another name is itself."""
    payload = {"command": command, "text": typed, "channel_id": "C0GEN", "user_id": "U0BEN", "user_name": "ben"}
    found = said({**payload, "trigger_id": "1.2.3", "received_at": TS}, kind=COMMAND)
    assert (found.kind, found.text, found.mentions_me) == ("message", read, True)
    assert (found.chat, found.person, found.event_id) == ("slack:C0GEN", "slack:U0BEN", "1.2.3")


def test_a_message_without_a_known_name_shows_its_id() -> None:
    """Names are those that were known when it came."""
    assert said({**message(), "user": "U0NEW"}).sender_name == "U0NEW"
    profile = {"display_name": "", "real_name": "New One"}
    assert said({**message(), "user": "U0NEW", "user_profile": profile}).sender_name == "New One"


def test_no_secret_of_a_payload_is_stored() -> None:
    """The verification token and the addresses to respond to are left out of the raw form."""
    payload = {"token": "secret-1", "response_url": "https://hooks.slack.com/secret-2", "type": "block_actions"}
    assert b"secret" not in pack(BOT, PRESS, payload, Known())


def test_keys_are_those_of_things_not_of_deliveries() -> None:
    """What comes again in another envelope has the same key."""
    payload = {"event": message("x", "C0GEN"), "event_id": "Ev1"}
    assert event_id(EVENT, payload, "envelope-1") == event_id(EVENT, {**payload, "event_id": "Ev2"}, "envelope-2")
    reaction = {"event": {"type": "reaction_added"}, "event_id": "Ev3"}
    assert event_id(EVENT, reaction, "envelope-3") == "Ev3"
    assert event_id(PRESS, {}, "envelope-4") == "envelope-4"


def test_a_lone_surrogate_does_no_harm() -> None:
    """JSON can carry what UTF-8 cannot."""
    assert said(message("a\ud800b")).text == "a\ufffdb"


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(message())), inner, max_size=4),
    max_leaves=12,
)


@given(field=st.sampled_from(["user", "text", "ts", "channel", "files", "attachments", "thread_ts"]), value=JSONS)
def test_whatever_comes_is_a_message_nothing_or_undecodable(field: str, value: Any) -> None:
    """No shape of an event raises anything but Undecodable."""
    raw = {"bot": {"user": "U0BOT"}, "type": EVENT, "payload": {"event": {**message(), field: value}}}
    try:
        found = decode_raw(CHANNEL, json.dumps(raw).encode())
    except Undecodable:
        return
    assert found is None or isinstance(found, InboundMessage)


FIELDS = ["event", "type", "user", "channel", "item", "message", "previous_message", "container", "ts", "text"]
SHAPES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just(TS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "attachments"]), inner),
    max_leaves=15,
)


@given(payload=st.dictionaries(st.sampled_from(FIELDS), SHAPES), kind=st.sampled_from([EVENT, PRESS, COMMAND]))
def test_whatever_comes_can_be_stored(payload: dict[str, Any], kind: str) -> None:
    """No shape of a payload keeps it from having a key, a conversation and a raw form."""
    assert event_id(kind, payload, "envelope-1")
    assert isinstance(conversation_of(kind, payload), str)
    assert isinstance(is_own(BOT, event_of(payload)), bool)
    assert all(isinstance(id_, str) for id_ in ids_in(payload))
    assert pack(BOT, kind, payload, Known())


@given(st.binary(max_size=40))
def test_noise_is_undecodable(noise: bytes) -> None:
    """Bytes that are no raw form of ours are named so."""
    with pytest.raises(Undecodable):
        decode_raw(CHANNEL, noise)
