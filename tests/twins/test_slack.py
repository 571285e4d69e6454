"""The Slack twin takes the official SDK, unmodified, through its Web API and its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL, PRIVATE, RANDOM
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN
from twins.slack.world import BOT_ID, BOT_USER_ID, TEAM_ID


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with served_workspace() as workspace:
        yield workspace


async def test_the_sdk_hears_a_typed_message_and_answers(workspace: Workspace) -> None:
    """A typed message comes as an events_api envelope; what the SDK posts is shown to the person."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("type", text="hello & <you>")
        request = await arrived.get()
        assert request.type == "events_api"
        event = request.payload["event"]
        assert (event["type"], event["user"], event["channel_type"]) == ("message", ANNA, "im")
        assert (event["channel"], event["text"]) == (DIRECT[ANNA], "hello &amp; &lt;you&gt;")
        posted = await workspace.bot.chat_postMessage(channel=event["channel"], text="good evening")
        echo = (await arrived.get()).payload["event"]
        assert (echo["ts"], echo["bot_id"], echo["user"]) == (posted["ts"], BOT_ID, BOT_USER_ID)
    shown = await workspace.chat(DIRECT[ANNA])
    assert [(message["text"], message["is_bot"]) for message in shown] == [
        ("hello & <you>", False),
        ("good evening", True),
    ]


async def test_a_mention_in_a_joined_channel_comes_twice(workspace: Workspace) -> None:
    """Once as app_mention and once as message, with the same ts."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("type", text="@nightyard_bot hi", chat="#general")
        events = [(await arrived.get()).payload["event"] for _ in range(2)]
    assert sorted(event["type"] for event in events) == ["app_mention", "message"]
    assert events[0]["ts"] == events[1]["ts"]
    assert {event["channel"] for event in events} == {GENERAL}
    assert events[0]["text"] == f"<@{BOT_USER_ID}> hi"


async def test_where_the_bot_is_not_only_the_mention_comes(workspace: Workspace) -> None:
    """Of a public channel without the bot the app hears the mention and no message; of what is said else nothing."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("type", text="nobody hears this", chat="#random")
        await workspace.person("type", text="@nightyard_bot come", chat="#random")
        await workspace.person("type", text="after", chat="#general")
        events = [(await arrived.get()).payload["event"] for _ in range(2)]
    assert [(event["type"], event["channel"]) for event in events] == [("app_mention", RANDOM), ("message", GENERAL)]


async def test_metadata_is_found_again_in_history(workspace: Workspace) -> None:
    """What a message was tagged with comes back where history is asked for all metadata, and only there."""
    tag = {"event_type": "outbox", "event_payload": {"key": "k1"}}
    root = await workspace.bot.chat_postMessage(channel=GENERAL, text="tagged", metadata=tag)
    await workspace.bot.chat_postMessage(channel=GENERAL, text="in it", thread_ts=root["ts"], metadata=tag)
    plain = await workspace.bot.conversations_history(channel=GENERAL, limit=1)
    found = await workspace.bot.conversations_history(channel=GENERAL, limit=1, include_all_metadata=True)
    thread = await workspace.bot.conversations_replies(channel=GENERAL, ts=root["ts"], include_all_metadata=True)
    assert "metadata" not in plain["messages"][0]
    assert found["messages"][0]["metadata"] == tag
    assert [message["metadata"] for message in thread["messages"]] == [tag, tag]


async def test_edits_and_deletions_come_as_hidden_messages(workspace: Workspace) -> None:
    """message_changed brings both forms, message_deleted the ts; a deleted thread head leaves a tombstone."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        typed = await workspace.person("type", text="one")
        await workspace.person("type", text="two", edit=typed["message_id"])
        await workspace.person("delete", message_id=typed["message_id"])
        events = [(await arrived.get()).payload["event"] for _ in range(3)]
        root = await workspace.person("type", text="head", chat="#general")
        await workspace.person("type", text="reply", chat="#general", thread=root["message_id"], person="Ben")
        await workspace.person("delete", message_id=root["message_id"], chat="#general")
        threaded = [(await arrived.get()).payload["event"] for _ in range(3)]
    assert [event.get("subtype") for event in events] == [None, "message_changed", "message_deleted"]
    assert (events[1]["message"]["text"], events[1]["previous_message"]["text"]) == ("two", "one")
    assert events[1]["message"]["edited"]["user"] == ANNA
    assert events[2]["deleted_ts"] == typed["message_id"]
    assert all(event["hidden"] for event in events[1:])
    assert (threaded[1]["thread_ts"], threaded[1]["parent_user_id"]) == (root["message_id"], ANNA)
    assert threaded[2]["message"]["subtype"] == "tombstone"


async def test_reactions_comings_and_goings_are_events(workspace: Workspace) -> None:
    """reaction_added and removed name the message; members who come and go are told with a line in the channel."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        posted = await workspace.bot.chat_postMessage(channel=GENERAL, text="like it?")
        await workspace.person("react", chat=GENERAL, message_id=posted["ts"], emoji=":+1:", person="Ben")
        await workspace.person("react", chat=GENERAL, message_id=posted["ts"], emoji="+1", person="Ben", take=True)
        await workspace.person("leave", chat=GENERAL, person="Ben")
        await workspace.person("join", chat=GENERAL, person="Ben", inviter="Anna")
        events = [(await arrived.get()).payload["event"] for _ in range(7)]
    names = [event.get("subtype", event["type"]) for event in events]
    assert names[:3] == ["message", "reaction_added", "reaction_removed"]
    assert sorted(names[3:]) == ["channel_join", "channel_leave", "member_joined_channel", "member_left_channel"]
    assert events[1]["item"] == {"type": "message", "channel": GENERAL, "ts": posted["ts"]}
    assert (events[1]["user"], events[1]["reaction"], events[1]["item_user"]) == (BEN, "+1", BOT_USER_ID)


async def test_the_bot_hears_that_it_was_let_in_and_put_out(workspace: Workspace) -> None:
    """Its own member_joined_channel comes; when it goes, channel_left, and from then on nothing from there."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("join", chat="#random", person="nightyard_bot", inviter="Anna")
        await workspace.person("leave", chat="#random", person="nightyard_bot")
        await workspace.person("type", text="gone?", chat="#random")
        await workspace.person("type", text="here")
        kinds = [(await arrived.get()).payload["event"]["type"] for _ in range(6)]
    assert kinds[0] == "member_joined_channel"
    assert "channel_left" in kinds
    assert kinds[-1] == "message"


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), (APP_TOKEN, "not_allowed_token_type")],
)
async def test_tokens_are_refused_by_name(workspace: Workspace, token: str, error: str) -> None:
    """No token, an unknown one and one of the wrong kind are three errors."""
    async with workspace.http.post(
        f"{workspace.address}/api/chat.postMessage", headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": False, "error": error})


async def test_a_revoked_token_is_refused_until_it_is_restored(workspace: Workspace) -> None:
    """token_revoked, account_inactive as asked; a new token takes its place."""
    await workspace.person("token", revoke="bot")
    assert await workspace.error("auth.test") == "token_revoked"
    await workspace.person("token", restore=BOT_TOKEN)
    assert (await workspace.bot.auth_test())["team_id"] == TEAM_ID
    await workspace.person("token", token="xoxb-2-new", error="account_inactive")
    assert await workspace.error("auth.test") == "account_inactive"
    assert (await workspace.bot.auth_test(token="xoxb-2-new"))["user_id"] == BOT_USER_ID


async def test_a_missing_scope_says_what_is_needed_and_what_there_is(workspace: Workspace) -> None:
    """missing_scope has `needed` and `provided`."""
    await workspace.person("token", scopes=["chat:write"])
    refused = await workspace.refused("users.info", user=ANNA)
    assert (refused["error"], refused["needed"], refused["provided"]) == ("missing_scope", "users:read", "chat:write")


async def test_places_that_cannot_be_written_to(workspace: Workspace) -> None:
    """Unknown, archived and not joined are three errors; without the public scope a channel must be joined."""
    assert await workspace.error("chat.postMessage", channel="C404", text="x") == "channel_not_found"
    await workspace.person("token", scopes=["chat:write", "channels:history"])
    assert await workspace.error("chat.postMessage", channel=RANDOM, text="x") == "not_in_channel"
    assert await workspace.error("conversations.history", channel=RANDOM) == "not_in_channel"
    workspace.twin.world.conversations[PRIVATE].info["is_archived"] = True
    assert await workspace.error("chat.postMessage", channel=PRIVATE, text="x") == "is_archived"
    workspace.twin.world.conversations[PRIVATE].members.remove(BOT_USER_ID)
    assert await workspace.error("chat.postMessage", channel=PRIVATE, text="x") == "channel_not_found"


async def test_an_unknown_method_and_unreadable_bodies(workspace: Workspace) -> None:
    """unknown_method names it; JSON that is none, or no object, is said so."""
    refused = await workspace.refused("chat.whisper")
    assert (refused["error"], refused["req_method"]) == ("unknown_method", "chat.whisper")
    for body, error in (("{", "invalid_json"), ("[]", "json_not_object")):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {BOT_TOKEN}"}
        async with workspace.http.post(f"{workspace.address}/api/api.test", data=body, headers=headers) as answer:
            assert (await answer.json())["error"] == error


async def test_pages_are_turned_by_cursor(workspace: Workspace) -> None:
    """The SDK's own iteration reaches every conversation, message and person."""
    ids = [
        channel["id"]
        async for page in await workspace.bot.conversations_list(limit=1, types="public_channel,private_channel,im")
        for channel in page["channels"]
    ]
    assert set(ids) >= {GENERAL, RANDOM, PRIVATE, *DIRECT.values()}
    for number in range(5):
        await workspace.bot.chat_postMessage(channel=DIRECT[ANNA], text=str(number))
    texts = [
        message["text"]
        async for page in await workspace.bot.conversations_history(channel=DIRECT[ANNA], limit=2)
        for message in page["messages"]
    ]
    assert texts == ["4", "3", "2", "1", "0"]


async def test_history_is_bounded_on_both_sides(workspace: Workspace) -> None:
    """oldest and latest are outside unless `inclusive`: what a back-fill after a lost session asks."""
    stamps = [(await workspace.bot.chat_postMessage(channel=DIRECT[BEN], text=str(n)))["ts"] for n in range(4)]
    bounds = {"channel": DIRECT[BEN], "oldest": stamps[0], "latest": stamps[3]}
    between = await workspace.bot.conversations_history(**bounds)
    around = await workspace.bot.conversations_history(**bounds, inclusive=True)
    assert [message["text"] for message in between["messages"]] == ["2", "1"]
    assert [message["text"] for message in around["messages"]] == ["3", "2", "1", "0"]
    assert await workspace.error("conversations.history", channel=DIRECT[BEN], oldest="soon") == "invalid_ts_oldest"


async def test_the_phone_reads_what_it_was_promised(workspace: Workspace) -> None:
    """The page is served, and the world has people, chats and threads in the shape that all twins share."""
    async with workspace.http.get(f"{workspace.address}/twin/world") as answer:
        world = await answer.json()
    assert (world["platform"], world["bot"]["id"]) == ("slack", BOT_USER_ID)
    assert [person["name"] for person in world["people"]] == ["Anna", "Ben", "Mallory"]
    general = next(chat for chat in world["chats"] if chat["id"] == GENERAL)
    assert (general["name"], general["kind"], len(general["people"])) == ("#general", "many", 3)
    assert general["threads"][0]["name"] == "Planning goes in this thread"
    async with workspace.http.get(f"{workspace.address}/twin/phone/nothing") as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("sing", {}, "there is no verb sing"),
        ("type", {}, "lacks something"),
        ("type", {"text": "x", "person": "Nobody"}, "user_not_found"),
        ("fault", {"kind": "flu"}, "there is no fault flu"),
        ("press", {"label": "Yes"}, "no button 'Yes'"),
        ("edit", {"message_id": "1.0", "text": "x"}, "message_not_found"),
        ("clock", {"advance_s": -1}, "forward only"),
        ("disconnect", {"reason": "boredom"}, "there is no reason boredom"),
        ("upload", {"name": "a", "content": "%%"}, "not base64"),
        ("room", {"name": "x", "id": GENERAL}, "there is a conversation"),
    ],
)
async def test_wrong_requests_of_the_users_side_say_what_is_wrong(
    workspace: Workspace, verb: str, body: dict[str, object], words: str
) -> None:
    """A 400 with a sentence."""
    async with workspace.http.post(f"{workspace.address}/twin/{verb}", json=body) as answer:
        assert answer.status == 400
        assert words in (await answer.json())["error"]
