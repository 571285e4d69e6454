"""What the Slack twin takes as a message, keeps and refuses: texts, blocks, streams, ephemeral and later ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL
from twins.slack.texts import MAX_TEXT, shown_text, stored_text, typed_text
from twins.slack.world import BOT_ID, TEAM_ID

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "Go?"}}


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with served_workspace() as workspace:
        yield workspace


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": "Yes"}, "action_id": "go", "value": "y"} | fields


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("&amp; &lt;b&gt;", "&amp; &lt;b&gt;"),
        ("<@U0ANNA001> and <!here>", "<@U0ANNA001> and <!here>"),
        ("see https://a.example/x?y=1&z=2.", "see <https://a.example/x?y=1&amp;z=2>."),
        ("<https://a.example|label> <#C0GENERAL|general>", "<https://a.example|label> <#C0GENERAL|general>"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("x" * (MAX_TEXT + 5), "x" * MAX_TEXT),
    ],
)
def test_texts_are_kept_as_the_platform_keeps_them(given: str, kept: str) -> None:
    """Control sequences stay, bare links become such, the three characters are escaped, 40,000 is the end."""
    assert stored_text(given) == kept


def test_what_is_typed_becomes_mentions_and_is_shown_as_typed() -> None:
    """Names, channels and @here turn into control sequences and back."""
    stored = typed_text("@Anna in #general, @here: 1 < 2", {"anna": ANNA}, {"general": GENERAL})
    assert stored == f"<@{ANNA}> in <#{GENERAL}|general>, <!here>: 1 &lt; 2"
    assert shown_text(stored, {ANNA: "Anna"}) == "@Anna in #general, @here: 1 < 2"


async def test_a_message_of_blocks_is_read_as_people_see_it(workspace: Workspace) -> None:
    """Of rich text the words, names and lists are read, not the text beside it, which notifications show."""
    point = {"type": "rich_text_section", "elements": [{"type": "text", "text": "once", "style": {"bold": True}}]}
    greeting = [
        {"type": "text", "text": "Hello "},
        {"type": "user", "user_id": ANNA},
        {"type": "link", "url": "https://a.example"},
        {"type": "emoji", "name": "wave", "unicode": "1f44b"},
    ]
    frames = [
        {"type": "rich_text_section", "elements": greeting},
        {"type": "rich_text_list", "style": "ordered", "offset": 2, "elements": [point, point]},
        {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [point]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a = 1"}]},
    ]
    blocks = [{"type": "rich_text", "elements": frames}]
    await workspace.bot.chat_postMessage(channel=GENERAL, text="*\u200bHello*", blocks=blocks)
    seen = (await workspace.chat(GENERAL))[-1]
    assert seen["text"] == "Hello @Annahttps://a.example👋\n3. once\n4. once\n    • once\na = 1"


async def test_too_long_texts_are_cut_with_a_warning_and_refused_in_edits(workspace: Workspace) -> None:
    """postMessage truncates above 40,000 and says so; update refuses above 4,000."""
    posted = await workspace.bot.chat_postMessage(channel=GENERAL, text="x" * (MAX_TEXT + 1))
    assert len(posted["message"]["text"]) == MAX_TEXT
    assert posted["warning"] == "message_truncated"
    fields = {"channel": GENERAL, "ts": posted["ts"]}
    assert await workspace.error("chat.update", **fields, text="x" * 4001) == "msg_too_long"
    assert (await workspace.bot.chat_update(**fields, text="x" * 4000))["message"]["edited"]["user"]


@pytest.mark.parametrize(
    ("blocks", "pointer", "words"),
    [
        ([section("x" * 3001)], "/blocks/0/text/text", "must be less than 3001 characters"),
        ([section("")], "/blocks/0/text/text", "must be more than 0 characters"),
        (
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
            "/blocks/0/text/text",
            "less than 151",
        ),
        ([SECTION, {"type": "markdown", "text": "x" * 12_001}], "/blocks/1/text", "less than 12001"),
        ([SECTION] * 51, "/blocks", "no more than 50 items allowed"),
        ([{"type": "actions", "elements": [button()] * 26}], "/blocks/0/elements", "no more than 25 items"),
        ([{"type": "actions", "elements": [button(value="x" * 2001)]}], "/blocks/0/elements/0/value", "less than 2001"),
        (
            [{"type": "actions", "elements": [button(action_id="x" * 256)]}],
            "/blocks/0/elements/0/action_id",
            "than 256",
        ),
        (
            [{"type": "actions", "elements": [button(text={"type": "plain_text", "text": "x" * 76})]}],
            "/blocks/0/elements/0/text/text",
            "less than 76",
        ),
        ([{"type": "actions", "elements": [button(style="loud")]}], "/blocks/0/elements/0/style", "valid enum value"),
        ([{**SECTION, "block_id": "a"}, {**SECTION, "block_id": "a"}], "/blocks/1/block_id", "already exists"),
        ([{"type": "section", "fields": [SECTION["text"]] * 11}], "/blocks/0/fields", "no more than 10"),
        ([{"type": "context", "elements": [SECTION["text"]] * 11}], "/blocks/0/elements", "no more than 10"),
        ([{"type": "poem"}], "/blocks/0/type", "unsupported type: poem"),
        ([{"type": "actions", "elements": []}], "/blocks/0", "missing required field: elements"),
    ],
)
async def test_wrong_blocks_are_pointed_at(workspace: Workspace, blocks: list[Any], pointer: str, words: str) -> None:
    """invalid_blocks says what is wrong with a JSON pointer, in `errors` and in the metadata's messages."""
    refused = await workspace.refused("chat.postMessage", channel=GENERAL, text="x", blocks=blocks)
    assert refused["error"] == "invalid_blocks"
    assert words in refused["errors"][0]
    assert refused["errors"][0].endswith(f"[json-pointer:{pointer}]")
    assert refused["response_metadata"]["messages"][0] == f"[ERROR] {refused['errors'][0]}"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"blocks": "{"}, "invalid_blocks_format"),
        ({"blocks": [section("x" * 2900)] * 5}, "msg_blocks_too_long"),
        ({"markdown_text": "x", "text": "y"}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12_001}, "msg_blocks_too_long"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_schema"),
        ({"text": "x", "metadata": "{"}, "invalid_metadata_format"),
        ({"text": "x", "attachments": [{"text": "a"}] * 101}, "too_many_attachments"),
        ({"text": "x", "thread_ts": "1.000000"}, "cannot_reply_to_message"),
    ],
)
async def test_what_is_no_message_is_refused_by_name(
    workspace: Workspace, arguments: dict[str, Any], error: str
) -> None:
    """Each has its own error, with HTTP 200."""
    assert await workspace.error("chat.postMessage", channel=GENERAL, **arguments) == error


async def test_only_ones_own_messages_are_changed(workspace: Workspace) -> None:
    """Others' are cant_update_message and cant_delete_message, gone ones message_not_found, old ones closed."""
    typed = await workspace.person("type", text="mine", chat=GENERAL)
    others = {"channel": GENERAL, "ts": typed["message_id"]}
    assert await workspace.error("chat.update", **others, text="yours") == "cant_update_message"
    assert await workspace.error("chat.delete", **others) == "cant_delete_message"
    own = await workspace.bot.chat_postMessage(channel=GENERAL, text="own")
    await workspace.person("limits", edit_window_s=60)
    await workspace.person("clock", advance_s=61)
    assert await workspace.error("chat.update", channel=GENERAL, ts=own["ts"], text="x") == "edit_window_closed"
    await workspace.bot.chat_delete(channel=GENERAL, ts=own["ts"])
    assert await workspace.error("chat.delete", channel=GENERAL, ts=own["ts"]) == "message_not_found"


async def test_an_ephemeral_message_is_for_one_person_and_no_message(workspace: Workspace) -> None:
    """Only the person it is for sees it, and chat.* cannot change it."""
    shown = await workspace.bot.chat_postEphemeral(channel=GENERAL, user=BEN, text="psst")
    assert [message["text"] for message in await workspace.chat(GENERAL, "Ben")][-1] == "psst"
    assert "psst" not in [message["text"] for message in await workspace.chat(GENERAL, "Anna")]
    fields = {"channel": GENERAL, "ts": shown["message_ts"]}
    assert await workspace.error("chat.update", **fields, text="x") == "message_not_found"
    assert (
        await workspace.error("chat.postEphemeral", channel=DIRECT[ANNA], user=BEN, text="x") == "user_not_in_channel"
    )


async def test_a_stream_grows_and_ends_as_a_message(workspace: Workspace) -> None:
    """The SDK's own streamer starts, appends and stops; in between the message cannot be edited."""
    root = await workspace.person("type", text="tell me", chat=GENERAL)
    stream = await workspace.bot.chat_stream(
        channel=GENERAL,
        thread_ts=root["message_id"],
        recipient_user_id=ANNA,
        recipient_team_id=TEAM_ID,
        buffer_size=1,
    )
    started = await stream.append(markdown_text="**Once** ")
    assert started is not None
    growing = {"channel": GENERAL, "ts": started["ts"]}
    await stream.append(markdown_text="upon a time")
    assert (await workspace.chat(GENERAL))[-1]["text"] == "**Once** upon a time"
    assert await workspace.error("chat.update", **growing, text="x") == "streaming_state_conflict"
    ended = await stream.stop(markdown_text=".", blocks=[{"type": "actions", "elements": [button()]}])
    assert ended["message"]["bot_id"] == BOT_ID
    last = (await workspace.chat(GENERAL))[-1]
    assert (last["text"], last["thread"]) == ("**Once** upon a time.", root["message_id"])
    assert last["buttons"] == [{"label": "Yes", "value": "y", "action_id": "go"}]
    assert await workspace.error("chat.appendStream", **growing, markdown_text="x") == "message_not_in_streaming_state"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": GENERAL}, "missing_recipient_user_id"),
        ({"channel": GENERAL, "recipient_user_id": ANNA}, "missing_recipient_team_id"),
        ({"channel": DIRECT[ANNA], "chunks": [{"type": "song"}]}, "invalid_chunks"),
        ({"channel": DIRECT[ANNA], "markdown_text": "x" * 12_001}, "msg_blocks_too_long"),
    ],
)
async def test_streams_that_cannot_begin(workspace: Workspace, arguments: dict[str, Any], error: str) -> None:
    """In a channel it must be said for whom; chunks are of known types; 12,000 characters at a time."""
    assert await workspace.error("chat.startStream", **arguments) == error


async def test_streams_belong_to_who_began_them(workspace: Workspace) -> None:
    """Nobody else's message can be appended to, and nothing is no piece."""
    typed = await workspace.person("type", text="mine")
    others = {"channel": DIRECT[ANNA], "ts": typed["message_id"]}
    assert await workspace.error("chat.appendStream", **others, markdown_text="x") == "message_not_owned_by_app"
    started = await workspace.bot.chat_startStream(channel=DIRECT[ANNA], thread_ts=typed["message_id"])
    own = {"channel": DIRECT[ANNA], "ts": started["ts"]}
    assert await workspace.error("chat.appendStream", **own) == "no_text"


async def test_a_status_stands_until_the_answer(workspace: Workspace) -> None:
    """setStatus shows in the thread, goes with the answer, with an empty one, or after two minutes."""
    typed = await workspace.person("type", text="work")
    place = {"channel_id": DIRECT[ANNA], "thread_ts": typed["message_id"]}

    async def is_typing() -> bool:
        asked = {"chat": DIRECT[ANNA], "thread": typed["message_id"]}
        async with workspace.http.get(f"{workspace.address}/twin/chat", params=asked) as answer:
            return bool((await answer.json())["typing"])

    await workspace.bot.assistant_threads_setStatus(**place, status="is thinking…")
    assert await is_typing()
    await workspace.bot.chat_postMessage(channel=DIRECT[ANNA], thread_ts=typed["message_id"], text="done")
    assert not await is_typing()
    await workspace.bot.assistant_threads_setStatus(**place, status="again")
    await workspace.person("clock", advance_s=121)
    assert not await is_typing()
    wrong = {**place, "thread_ts": "1.0"}
    assert await workspace.error("assistant.threads.setStatus", **wrong, status="x") == "invalid_thread_ts"


async def test_a_scheduled_message_is_posted_at_its_time(workspace: Workspace) -> None:
    """Ahead and within 120 days; it can be listed and withdrawn; then the person sees it."""
    now = int(workspace.twin.clock.now())
    assert await workspace.error("chat.scheduleMessage", channel=GENERAL, text="x", post_at=now - 1) == "time_in_past"
    far = now + 121 * 86_400
    assert await workspace.error("chat.scheduleMessage", channel=GENERAL, text="x", post_at=far) == "time_too_far"
    kept = await workspace.bot.chat_scheduleMessage(channel=DIRECT[ANNA], text="later", post_at=now + 100)
    gone = await workspace.bot.chat_scheduleMessage(channel=DIRECT[ANNA], text="never", post_at=now + 100)
    fields = {"channel": DIRECT[ANNA], "scheduled_message_id": gone["scheduled_message_id"]}
    await workspace.bot.chat_deleteScheduledMessage(**fields)
    listed = await workspace.bot.chat_scheduledMessages_list()
    assert [message["id"] for message in listed["scheduled_messages"]] == [kept["scheduled_message_id"]]
    await workspace.person("clock", advance_s=101)
    shown = await workspace.chat(DIRECT[ANNA], wait_s="20")
    assert [message["text"] for message in shown] == ["later"]
    assert await workspace.error("chat.deleteScheduledMessage", **fields) == "invalid_scheduled_message_id"


async def test_reactions_are_given_once(workspace: Workspace) -> None:
    """already_reacted, no_reaction, invalid_name, message_not_found."""
    posted = await workspace.bot.chat_postMessage(channel=GENERAL, text="x")
    place = {"channel": GENERAL, "timestamp": posted["ts"]}
    await workspace.bot.reactions_add(**place, name="eyes")
    assert await workspace.error("reactions.add", **place, name="eyes") == "already_reacted"
    await workspace.bot.reactions_remove(**place, name="eyes")
    assert await workspace.error("reactions.remove", **place, name="eyes") == "no_reaction"
    assert await workspace.error("reactions.add", **place, name="No Such!") == "invalid_name"
    assert await workspace.error("reactions.add", channel=GENERAL, timestamp="1.0", name="eyes") == "message_not_found"


async def test_a_thread_reply_may_be_shown_in_the_channel_too(workspace: Workspace) -> None:
    """A broadcast is a thread_broadcast in history, with what is known of its thread at the head."""
    root = await workspace.bot.chat_postMessage(channel=GENERAL, text="head")
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.bot.chat_postMessage(channel=GENERAL, text="seen", thread_ts=root["ts"], reply_broadcast=True)
        await workspace.bot.chat_meMessage(channel=GENERAL, text="waves")
        subtypes = [(await arrived.get()).payload["event"].get("subtype") for _ in range(3)]
    assert subtypes == [None, "thread_broadcast", "me_message"]
    history = (await workspace.bot.conversations_history(channel=GENERAL, limit=3))["messages"]
    assert [message["text"] for message in history] == ["waves", "seen", "head"]
    assert (history[2]["reply_count"], history[2]["latest_reply"]) == (1, history[1]["ts"])
