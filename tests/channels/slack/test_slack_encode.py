"""What the host wants said, as Slack's calls."""

from __future__ import annotations

import json

import pytest

from channels.channel import DeliveryFailed
from channels.slack.decode import OUR_COMMAND
from channels.slack.emoji import emoji_of, slack_name, with_emoji
from channels.slack.encode import MAX_MESSAGES, Place, Post, Upload, build_calls, named_place, parse_place, place_name
from channels.slack.failures import SecretMissing
from channels.slack.manifest import EVENTS, SCOPES, manifest
from channels.slack.tokens import find_faults, split_tokens
from protocol.ids import ChannelId, ChatKey
from protocol.message import Button, OutboundFile, OutboundMessage

CHANNEL = ChannelId("slack")
DIRECT = ChatKey("slack:D0ANNA001")
THREAD = ChatKey("slack:C0GENERAL:1700000000.000100")


def calls(text: str = "", chat: ChatKey = DIRECT, **more: object) -> tuple[Post | Upload, ...]:
    return build_calls(CHANNEL, OutboundMessage(chat=chat, text=text, **more))  # type: ignore[arg-type]  # its fields


@pytest.mark.parametrize("name", ["D0ANNA001", "C0GENERAL:1700000000.000100"])
def test_a_place_and_its_name_are_one(name: str) -> None:
    """A place is read back from its name, and from a chat's key."""
    place = named_place(name)
    assert place_name(place) == name
    assert parse_place(CHANNEL, ChatKey(f"slack:{name}")) == place


@pytest.mark.parametrize("key", ["discord:D1", "slack:", "slack:lower", "slack:C0GENERAL:now", "slack:C0/../x"])
def test_a_key_of_no_chat_of_ours_is_refused(key: str) -> None:
    """A chat that is not this channel's cannot be written to, now or later."""
    with pytest.raises(DeliveryFailed, match="names no chat") as failed:
        parse_place(CHANNEL, ChatKey(key))
    assert failed.value.permanent


def test_a_text_goes_into_its_thread_with_blocks_beside_it() -> None:
    """A text is one post: blocks for people, mrkdwn for what has no blocks."""
    (post,) = calls("**bold** & <b>", THREAD)
    assert isinstance(post, Post)
    assert post.place == Place(conversation="C0GENERAL", thread="1700000000.000100")
    assert post.text == "*bold* &amp; &lt;b&gt;"
    assert post.blocks[0]["type"] == "rich_text"


def test_an_empty_text_is_no_call() -> None:
    """White space is not sent."""
    assert calls(" \n") == ()


def test_a_long_text_is_posts_and_a_longer_one_a_file() -> None:
    """Up to eight posts a text comes whole; beyond, its beginning and a file with every character."""
    posts = calls("\n\n".join(f"{number} " + "word " * 200 for number in range(20)))
    assert 1 < len(posts) <= MAX_MESSAGES
    assert all(isinstance(post, Post) and len(post.text) <= 4000 for post in posts)
    text = "word 😀 " * 10_000
    beginning, upload = calls(text, buttons=(Button(label="Yes", value="y"),))
    assert isinstance(beginning, Post)
    assert isinstance(upload, Upload)
    assert len(beginning.text) <= 4000
    assert beginning.blocks[-1]["type"] == "actions"
    assert upload.files[0].content.decode() == text


def test_buttons_stand_under_the_last_post() -> None:
    """Labels are cut to what Slack takes, values go as they are."""
    buttons = (Button(label="**Yes** " + "x" * 100, value="approve:1:é"), Button(label="No", value="deny"))
    (post,) = calls("May I?", buttons=buttons)
    assert isinstance(post, Post)
    actions = json.loads(json.dumps(post.blocks[-1]))
    yes, no = actions["elements"]
    assert (len(yes["text"]["text"]), yes["text"]["text"][:5], yes["value"]) == (75, "Yes x", "approve:1:é")
    assert yes["action_id"] != no["action_id"]
    with pytest.raises(DeliveryFailed, match="2000"):
        calls("x", buttons=(Button(label="x", value="x" * 2001),))
    (many,) = calls("x", buttons=tuple(Button(label=str(n), value=str(n)) for n in range(30)))
    assert isinstance(many, Post)
    assert [len(json.loads(json.dumps(block))["elements"]) for block in many.blocks[1:]] == [25, 5]


def test_files_are_one_message_with_their_text() -> None:
    """Several files and a short text are one message; a long text goes before, buttons come after."""
    more = (OutboundFile(path="/x/b", name="../b\u202e.txt"),)
    (upload,) = calls("**Here**", file_path="/x/a", file_name="a.txt", more_files=more)
    assert isinstance(upload, Upload)
    assert (upload.comment, [file.name for file in upload.files]) == ("*Here*", ["a.txt", "b.txt"])
    before, alone = calls("word " * 700, file_path="/x/a")
    assert isinstance(before, Post)
    assert isinstance(alone, Upload)
    assert alone.comment == ""
    bare, after = calls("Send it?", file_path="/x/a", buttons=(Button(label="Yes", value="y"),))
    assert isinstance(bare, Upload)
    assert isinstance(after, Post)
    assert after.blocks[-1]["type"] == "actions"


def test_many_files_are_several_messages() -> None:
    """Ten files are one message, the eleventh another; the text stands at the first."""
    more = tuple(OutboundFile(path=f"/x/{number}", name=f"{number}.txt") for number in range(11))
    uploads = calls("Here", file_path="/x/a", file_name="a", more_files=more)
    assert [len(upload.files) for upload in uploads if isinstance(upload, Upload)] == [10, 2]
    assert [upload.comment for upload in uploads if isinstance(upload, Upload)] == ["Here", ""]


@pytest.mark.parametrize(
    ("emoji", "name"),
    [("👍", "+1"), ("👍🏽", "+1::skin-tone-4"), ("❤️", "heart"), (":own_party:", "own_party"), ("1️⃣", "one")],
)
def test_emoji_have_slacks_names(emoji: str, name: str) -> None:
    """An emoji, with a tone or a variation sign, and any name between colons."""
    assert slack_name(emoji) == name


def test_unknown_emoji_have_none() -> None:
    """What is not known is not guessed; names come back as emoji where they are one."""
    assert slack_name("🪿") is None
    assert slack_name("no emoji") is None
    assert slack_name(":<script>:") is None
    assert (emoji_of("thumbsup"), emoji_of("own_party")) == ("👍", ":own_party:")
    assert with_emoji("no colon, one: two") == "no colon, one: two"


def test_two_tokens_are_told_apart() -> None:
    """In whatever order and with whatever space; anything else is explained, without the secret."""
    pair = split_tokens(" xapp-1-A1-2-x\n xoxb-1-2-y ")
    assert (pair.bot, pair.app) == ("xoxb-1-2-y", "xapp-1-A1-2-x")
    assert "xoxb" not in repr(pair)
    for secret in ("", "xoxb-1-2-y", "xoxb-1 xoxb-2", "xoxp-1-2 xapp-1", "xoxb-1 xapp-1 more"):
        with pytest.raises(SecretMissing, match="two tokens") as failed:
            split_tokens(secret)
        assert "-1" not in str(failed.value)


def test_what_is_wrong_with_tokens_is_named() -> None:
    """Missing scopes and tokens of different apps are named one by one."""
    pair = split_tokens("xapp-1-A0APP-2-x xoxb-1-2-y")
    well = find_faults(pair, {"user": "yard", "team": "Yard"}, ",".join(SCOPES), "A0APP")
    assert (well.bot_name, well.team, well.faults) == ("@yard", "Yard", ())
    lacking = find_faults(pair, {}, "chat:write", "A0OTHER")
    assert "files:read" in lacking.missing_scopes
    assert "chat:write" not in lacking.missing_scopes
    assert len(lacking.faults) == 2
    assert "A0OTHER" in lacking.faults[1]


def test_the_manifest_asks_for_what_the_channel_uses() -> None:
    """It is whole JSON: scopes, events, the socket, the command, buttons."""
    told = json.loads(manifest("A" * 50))
    assert told["display_information"]["name"] == "A" * 35
    assert set(told["oauth_config"]["scopes"]["bot"]) == set(SCOPES)
    assert set(told["settings"]["event_subscriptions"]["bot_events"]) == set(EVENTS)
    assert told["settings"]["socket_mode_enabled"]
    assert told["settings"]["interactivity"]["is_enabled"]
    assert told["features"]["slash_commands"][0]["command"] == OUR_COMMAND
