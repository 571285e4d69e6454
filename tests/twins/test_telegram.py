"""The Telegram twin does what the Bot API does, in its words."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from telegram import Bot, Update

from tests.twins.telegram_side import ADA, GROUP, Server, sdk_bot, serving, unknown_fields
from twins.telegram.entities import units
from twins.telegram.world import DEFAULT_TOKEN


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def bot(server: Server) -> AsyncIterator[Bot]:
    async with sdk_bot(server) as made:
        yield made


async def test_the_sdk_knows_every_field_of_every_object(server: Server, bot: Bot) -> None:
    """Nothing that the twin sends is unknown to the SDK's own schema."""
    content = base64.b64encode(b"x").decode()
    for kind in ("document", "photo", "voice", "audio", "video"):
        await server.person("upload", name="a.bin", content=content, kind=kind, caption="see @rehearsal_bot")
    typed = await server.person("type", text="/start hi", chat=GROUP, topic=7)
    await server.person("type", text="edited", edit=typed["message_ids"][0], chat=GROUP)
    keyboard = json.dumps({"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]})
    sent = await bot.send_message(ADA, "hello", api_kwargs={"reply_markup": keyboard})
    await server.person("press", label="Yes")
    document = await bot.send_document(
        ADA, b"content", filename="a.txt", caption="c", reply_to_message_id=sent.message_id
    )
    photo = await bot.send_photo(ADA, b"\x89PNG\r\n\x1a\n0000")
    edited = await bot.edit_message_text("bye", ADA, sent.message_id)
    assert document.document is not None
    file = await bot.get_file(document.document.file_id)
    updates = await bot.get_updates()
    kinds = {kind for update in updates for kind in update.to_dict()}
    assert kinds == {"update_id", "message", "edited_message", "callback_query"}
    assert isinstance(updates[0], Update)
    for value in (sent, document, photo, edited, file, updates, await bot.get_me(), await bot.get_chat(ADA)):
        assert unknown_fields(value) == []
    assert await file.download_as_bytearray() == b"content"


async def test_updates_stay_until_a_higher_offset_confirms_them(server: Server) -> None:
    """An update comes again and again until a poll asks beyond it."""
    for text in ("a", "b", "c"):
        await server.person("type", text=text)
    first = await server.updates()
    assert [update["message"]["text"] for update in first] == ["a", "b", "c"]
    assert await server.updates(offset=first[0]["update_id"]) == first
    assert await server.updates(offset=first[1]["update_id"], limit=1) == first[1:2]
    assert await server.updates() == first[1:]
    assert await server.updates(offset=first[2]["update_id"] + 1) == []
    assert await server.updates() == []


async def test_a_negative_offset_keeps_only_the_last_ones(server: Server) -> None:
    """A negative offset forgets all updates but so many."""
    for text in ("a", "b", "c"):
        await server.person("type", text=text)
    assert [update["message"]["text"] for update in await server.updates(offset=-1)] == ["c"]
    assert len(await server.updates()) == 1


async def test_a_poll_waits_for_the_next_update(server: Server) -> None:
    """A long poll is answered when something happens."""
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(server.updates(timeout=20))
        await server.http.get("/twin/log", params={"event": "poll", "wait_s": 5})
        await server.person("type", text="now")
        async with asyncio.timeout(5):
            assert [update["message"]["text"] for update in await poll] == ["now"]


async def test_a_second_poll_ends_the_first_with_a_conflict(server: Server) -> None:
    """Of two polls the older one is told that another program polls."""
    async with asyncio.TaskGroup() as tasks:
        older = tasks.create_task(server.refused("getUpdates", timeout=20))
        await server.http.get("/twin/log", params={"event": "poll", "wait_s": 5})
        assert await server.updates(timeout=0, offset=1) == []
        status, description = await older
    assert status == 409
    assert description.startswith("Conflict: terminated by other getUpdates request")


async def test_only_allowed_kinds_come(server: Server) -> None:
    """From a poll on only the kinds come that it allowed; what waited before it comes all the same."""
    await server.person("type", text="before")
    before = await server.updates(allowed_updates=["callback_query"])
    assert [update["message"]["text"] for update in before] == ["before"]
    await server.person("type", text="x")
    assert await server.updates(offset=before[0]["update_id"] + 1) == []


@pytest.mark.parametrize("method", ["sendMessage", "SENDMESSAGE", "sendmessage"])
async def test_arguments_come_in_every_form(server: Server, method: str) -> None:
    """Query, form, multipart and JSON carry the same arguments, and a method's name any case."""
    path = f"/bot{DEFAULT_TOKEN}/{method}"
    wanted = {"chat_id": str(ADA), "text": "é & x"}
    answers = [
        await server.http.get(path, params=wanted),
        await server.http.post(path, data=wanted),
        await server.http.post(path, json=wanted),
        await server.http.post(path, data=wanted, files={"unused": b"x"}),
    ]
    assert [answer.json()["result"]["text"] for answer in answers] == ["é & x"] * 4


@pytest.mark.parametrize(
    ("arguments", "description"),
    [
        ({"text": "x", "chat_id": ""}, "chat_id is empty"),
        ({"text": "x", "chat_id": 4711}, "chat not found"),
        ({"text": ""}, "message text is empty"),
        ({"text": " \n"}, "text must be non-empty"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "x" * 32769}, "text is too long"),
        ({"text": "x", "parse_mode": "BBCode"}, "unsupported parse_mode"),
        ({"text": "x", "message_thread_id": 99}, "message thread not found"),
        ({"text": "x", "reply_parameters": {"message_id": 1}}, "message to be replied not found"),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "é" * 33}]]}},
            "BUTTON_DATA_INVALID",
        ),
        (
            {"text": "ab", "entities": [{"type": "bold", "offset": 1, "length": 2}]},
            "entity beginning at UTF-16 offset 1 ends after the end of the text at UTF-16 offset 3",
        ),
        (
            {"text": "😀", "entities": [{"type": "bold", "offset": 0, "length": 1}]},
            "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 4",
        ),
    ],
)
async def test_a_message_is_refused_in_the_servers_words(
    server: Server, arguments: dict[str, Any], description: str
) -> None:
    """Each bad message is refused as the Bot API refuses it."""
    refusal = await server.refused("sendMessage", **{"chat_id": ADA, **arguments})
    assert refusal == (400, f"Bad Request: {description}")


async def test_a_length_is_counted_in_characters_and_offsets_in_utf16(server: Server) -> None:
    """A message of 4096 emoji is taken; its entities count two units for each."""
    text = "😀" * 4096
    entity = {"type": "bold", "offset": 8190, "length": 2}
    answer = await server.call("sendMessage", chat_id=ADA, text=text, entities=[entity])
    assert answer["result"]["entities"] == [entity]
    assert units(answer["result"]["text"]) == 8192


async def test_blank_ends_are_cut_and_entities_move_along(server: Server) -> None:
    """White space around a text is dropped, and the entities still cover their words."""
    entity = {"type": "bold", "offset": 5, "length": 3}
    answer = await server.call("sendMessage", chat_id=ADA, text="  a  bc  ", entities=[entity])
    assert answer["result"]["text"] == "a  bc"
    assert answer["result"]["entities"] == [{"type": "bold", "offset": 3, "length": 2}]


async def test_editing_and_deleting(server: Server) -> None:
    """An edit must change something, a lost message cannot be edited or deleted."""
    sent = (await server.call("sendMessage", chat_id=ADA, text="a"))["result"]
    place = {"chat_id": ADA, "message_id": sent["message_id"]}
    assert "message is not modified" in (await server.refused("editMessageText", text="a", **place))[1]
    assert (await server.call("editMessageText", text="b", **place))["result"]["text"] == "b"
    assert (await server.call("deleteMessage", **place))["result"] is True
    assert (await server.refused("deleteMessage", **place))[1] == "Bad Request: message to delete not found"
    assert (await server.refused("editMessageText", text="c", **place))[1] == "Bad Request: message to edit not found"


async def test_a_press_can_be_answered_once(server: Server) -> None:
    """A second answer to a press, or one to none, is too old."""
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
    await server.call("sendMessage", chat_id=ADA, text="?", reply_markup=keyboard)
    press_id = (await server.person("press", value="y"))["press_id"]
    assert (await server.call("answerCallbackQuery", callback_query_id=press_id))["result"] is True
    again = await server.refused("answerCallbackQuery", callback_query_id=press_id)
    assert again[1].startswith("Bad Request: query is too old")


async def test_privacy_hides_a_groups_talk_from_the_bot(server: Server) -> None:
    """In a group the bot gets commands, mentions and replies to it, and nothing else."""
    sent = (await server.call("sendMessage", chat_id=GROUP, text="hello"))["result"]["message_id"]
    await server.person("type", chat=GROUP, text="among us")
    await server.person("type", chat=GROUP, text="/help")
    await server.person("type", chat=GROUP, person=1002, text="@Rehearsal_Bot hi")
    await server.person("type", chat=GROUP, text="thanks", reply_to=sent)
    assert [update["message"]["text"] for update in await server.updates()] == ["/help", "@Rehearsal_Bot hi", "thanks"]


async def test_a_long_text_is_typed_as_several_messages(server: Server) -> None:
    """What a person types beyond 4096 characters the app sends as several messages."""
    typed = await server.person("type", text="x" * 1_000_000)
    assert len(typed["message_ids"]) == 245
    assert len(await server.updates()) == 100


async def test_a_file_too_big_cannot_be_downloaded(server: Server) -> None:
    """Bots download up to 20 MiB."""
    content = base64.b64encode(bytes((20 << 20) + 1)).decode()
    file_id = (await server.person("upload", name="big", content=content))["file_id"]
    assert await server.refused("getFile", file_id=file_id) == (400, "Bad Request: file is too big")
    assert await server.refused("getFile", file_id="none") == (400, "Bad Request: invalid file_id")


async def test_tokens_and_methods_that_do_not_exist(server: Server) -> None:
    """A wrong token is 401, an unknown method 404, a revoked token 401 from then on."""
    assert (await server.http.get("/bot1:x/getMe")).status_code == 401
    assert await server.refused("getMoney") == (404, "Not Found: method not found")
    await server.person("token", token="1:new")
    assert await server.refused("getMe") == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "error", "status": 500}, 500),
        ({"kind": "unauthorized"}, 401),
        ({"kind": "conflict"}, 409),
        ({"kind": "flood", "retry_after": 3}, 429),
    ],
)
async def test_a_fault_hits_as_often_as_asked(server: Server, fault: dict[str, Any], status: int) -> None:
    """A prepared fault hits the next calls of its method, so many times, and no other method."""
    await server.person("fault", method="getMe", count=2, **fault)
    assert (await server.call("getMyCommands"))["ok"]
    answers = [await server.http.get(f"/bot{DEFAULT_TOKEN}/getMe") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    if status == 429:
        assert answers[0].headers["retry-after"] == "3"
        assert answers[0].json()["parameters"] == {"retry_after": 3}


async def test_a_reset_breaks_the_connection(server: Server) -> None:
    """A reset is what a client sees of a server that died; a lost answer is one after the deed."""
    await server.person("fault", kind="reset", method="sendMessage")
    await server.person("fault", kind="lost_answer", method="sendMessage")
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            await server.call("sendMessage", chat_id=ADA, text="x")
    assert len((await server.http.get("/twin/chat")).json()["messages"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("type", {}),
        ("type", {"text": "x", "person": 5}),
        ("press", {"label": "none"}),
        ("fault", {"kind": "flood of frogs"}),
        ("fault", {"kind": "reset", "surprise": 1}),
        ("dance", {}),
    ],
)
async def test_the_users_side_names_what_is_wrong(server: Server, path: str, body: dict[str, Any]) -> None:
    """A wrong request of the user's side gets a word, and the twin lives on."""
    answer = await server.http.post(f"/twin/{path}", json=body)
    assert answer.status_code in (400, 404)
    assert answer.json()["description"]
    assert (await server.http.get("/twin/world")).json()["bot"]["username"] == "rehearsal_bot"


async def test_it_runs_alone_and_says_where() -> None:
    """As a program it prints its address first, and ends at SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twins.telegram", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        address = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{address}/bot{DEFAULT_TOKEN}/getMe")).json()["ok"]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
