"""What people do and see in the Telegram twin."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.twins.telegram_side import ADA, BEN, GROUP, MALLORY, PNG, Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


async def texts(server: Server) -> list[str]:
    """Return the texts of all updates that wait, whatever a poll would be given of them."""
    return [update["message"].get("text", "") for update in server.world.updates.waiting() if "message" in update]


async def test_a_person_sees_what_the_bot_said_in_the_form_of_all_twins(server: Server) -> None:
    """Text, buttons, files, edits and replies stand beside the platform's own object."""
    asked = await server.types("push?")
    keyboard = {
        "inline_keyboard": [[{"text": "Yes", "callback_data": "y"}], [{"text": "Docs", "url": "https://x.org"}]]
    }
    reply = {"message_id": asked}
    sent = await server.result(
        "sendMessage",
        chat_id=ADA,
        text="<b>May</b> I?",
        parse_mode="HTML",
        reply_markup=keyboard,
        reply_parameters=reply,
    )
    _, seen = await server.sees()
    assert (seen["id"], seen["from"], seen["is_bot"]) == (sent["message_id"], server.world.bot["id"], True)
    assert (seen["text"], seen["entities"]) == ("May I?", [{"type": "bold", "offset": 0, "length": 3}])
    assert seen["buttons"] == [
        {"label": "Yes", "value": "y", "row": 0},
        {"label": "Docs", "value": "https://x.org", "row": 1},
    ]
    assert (seen["reply_to"], seen["edited"], seen["reactions"]) == (asked, False, {})
    assert seen["raw"] == sent


async def test_everything_a_person_edits_deletes_and_reacts_to_is_seen(server: Server) -> None:
    """An edit reaches the bot, a deletion never does, and a reaction is there until it is taken back."""
    first, second = await server.types("one"), await server.types("two")
    await server.person("edit", message_id=first, text="uno")
    await server.person("delete", message_id=second)
    await server.person("react", message_id=first, emoji="🎉")
    (seen,) = await server.sees()
    assert (seen["text"], seen["edited"], seen["reactions"]) == ("uno", True, {"🎉": [ADA]})
    await server.person("react", message_id=first, emoji="🎉", take=True)
    assert (await server.sees())[0]["reactions"] == {}
    kinds = [next(iter(update)) for update in server.world.updates.waiting()]
    assert kinds == ["message", "message", "edited_message"]


async def test_a_group_is_shown_by_its_threads(server: Server) -> None:
    """A topic's messages are seen in it, and all of them in the whole chat."""
    made = await server.person("topic", chat=GROUP, name="Seeds")
    await server.types("/a in seeds", chat=GROUP, thread=made["thread"])
    await server.types("/b in general", chat=GROUP, person=BEN)
    seen = (await server.http.get("/twin/chat", params={"chat": GROUP, "thread": made["thread"]})).json()
    assert [message["text"] for message in seen["messages"]] == ["The topic Seeds was created", "/a in seeds"]
    assert len(await server.sees(GROUP)) == 3
    assert {"id": made["thread"], "name": "Seeds"} in seen["chat"]["threads"]
    update = server.world.updates.waiting()[1]["message"]
    assert (update["message_thread_id"], update["is_topic_message"]) == (made["thread"], True)


async def test_a_bot_without_privacy_or_an_administrator_hears_everything(server: Server) -> None:
    """Privacy mode hides what is not meant for the bot, and what people edit of it."""
    hidden = await server.types("among us", chat=GROUP)
    await server.person("edit", chat=GROUP, message_id=hidden, text="still among us")
    assert server.world.updates.waiting() == []
    await server.person("privacy", on=False)
    await server.types("heard", chat=GROUP)
    await server.person("privacy", on=True)
    await server.types("unheard", chat=GROUP)
    await server.person("promote", chat=GROUP)
    await server.types("heard again", chat=GROUP)
    assert await texts(server) == ["heard", "heard again"]


async def test_a_bot_that_was_thrown_out_hears_nothing(server: Server) -> None:
    """It is told that it was thrown out, and that it was added again."""
    await server.person("leave", chat=GROUP, person="bot", kick=True)
    await server.types("/anybody", chat=GROUP)
    await server.person("join", chat=GROUP, person="bot")
    await server.types("/hello", chat=GROUP)
    first, second, third = server.world.updates.waiting()
    assert first["my_chat_member"]["new_chat_member"]["status"] == "kicked"
    assert second["my_chat_member"]["new_chat_member"]["status"] == "member"
    assert third["message"]["text"] == "/hello"


async def test_people_join_and_leave(server: Server) -> None:
    """The group's messages say who came and went."""
    await server.person("leave", chat=GROUP, person=MALLORY)
    await server.person("join", chat=GROUP, person=MALLORY)
    left, came = (update["message"] for update in server.world.updates.waiting())
    assert left["left_chat_member"]["id"] == MALLORY
    assert came["new_chat_members"][0]["id"] == MALLORY
    assert [message["text"] for message in await server.sees(GROUP)] == [
        "Mallory Meddler left",
        "Mallory Meddler joined",
    ]


async def test_a_forward_says_who_said_it_first(server: Server) -> None:
    """A forwarded message carries its origin, and keeps it when it is forwarded again."""
    said = await server.types("from Ben", person=BEN)
    once = (await server.person("forward", message_id=said, from_chat=BEN))["message_ids"][0]
    await server.person("forward", message_id=once, from_chat=ADA, person=MALLORY)
    *_, last = server.world.updates.waiting()
    assert last["message"]["forward_origin"]["sender_user"]["id"] == BEN
    assert last["message"]["chat"]["id"] == MALLORY


async def test_a_command_of_the_menu_names_the_bot_in_a_group(server: Server) -> None:
    """In a direct chat it need not."""
    await server.person("command", name="help", text="me")
    await server.person("command", name="help", chat=GROUP)
    assert await texts(server) == ["/help me", "/help@rehearsal_bot"]
    assert server.world.updates.waiting()[0]["message"]["entities"] == [
        {"type": "bot_command", "offset": 0, "length": 5}
    ]


@pytest.mark.parametrize("kind", ["photo", "document", "voice", "audio", "video", "animation", "video_note", "sticker"])
async def test_a_file_of_any_kind_is_uploaded_seen_and_fetched(server: Server, kind: str) -> None:
    """What a person sends has the size and the content that it came with."""
    body: dict[str, Any] = {"name": "f.png", "content": base64.b64encode(PNG).decode(), "kind": kind, "emoji": "💪"}
    await server.person("upload", **body)
    (seen,) = await server.sees()
    (file,) = seen["files"]
    assert (file["kind"], file["size"]) == (kind, len(PNG))
    assert (await server.http.get("/twin/file", params={"id": file["id"]})).content == PNG
    answer = await server.result("getFile", file_id=file["id"])
    assert answer["file_size"] == len(PNG)


async def test_files_of_one_album_belong_together(server: Server) -> None:
    """They carry one group's id, the caption stands at the first."""
    content = base64.b64encode(PNG).decode()
    for caption in ("both", ""):
        await server.person("upload", name="a.png", content=content, kind="photo", album="7", caption=caption)
    first, second = (update["message"] for update in server.world.updates.waiting())
    assert first["media_group_id"] == second["media_group_id"]
    assert (first["caption"], "caption" in second) == ("both", False)


async def test_a_group_that_moves_tells_both_ids(server: Server) -> None:
    """The old chat names the new one, and the new one the old."""
    await server.person("move", chat=GROUP, to=-1009)
    old, new = (update["message"] for update in server.world.updates.waiting())
    assert (old["chat"]["id"], old["migrate_to_chat_id"]) == (GROUP, -1009)
    assert (new["chat"]["id"], new["migrate_from_chat_id"]) == (-1009, GROUP)


async def test_the_clock_is_put_forward_and_sped_up(server: Server) -> None:
    """Messages carry the twin's time; a step back is refused."""
    first = (await server.person("clock", advance_s=86400, scale=2))["now"]
    sent = await server.result("sendMessage", chat_id=ADA, text="x")
    assert sent["date"] >= int(first)
    refused = await server.http.post("/twin/clock", json={"advance_s": -1})
    assert refused.status_code == 400
    assert "forward only" in refused.json()["description"]
