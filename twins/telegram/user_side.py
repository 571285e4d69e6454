"""The user's side of the twin, as an API: what a person with a phone can do, and what they would see.

POST /twin/type /twin/press /twin/upload /twin/update /twin/block /twin/move /twin/token /twin/fault, DELETE
/twin/fault, GET /twin/world /twin/chat /twin/log /twin/file. Bodies and answers are JSON, but for the file's bytes.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections.abc import Mapping
from typing import Any

from twins.telegram.arguments import Upload
from twins.telegram.refusal import Refusal
from twins.telegram.texts import MAX_TEXT, found_entities
from twins.telegram.world import Chat, Json, World

LONGEST_WAIT_S = 60.0
_press_numbers = itertools.count(int(time.time()) * 1000)


async def type_text(world: World, body: Json) -> Json:
    """`{text, person?, chat?, topic?, reply_to?, edit?}`: a person types, or edits what they typed. A text that is too
    long for one message goes as several, as the apps send it."""
    chat, person = _chat_and_person(world, body)
    text = str(body["text"])
    if "edit" in body:
        message = chat.messages[body["edit"]]
        message |= {"text": text, "edit_date": int(time.time())}
        await world.push_update(edited_message=message)
        return {"message_ids": [message["message_id"]]}
    ids = []
    for start in range(0, max(len(text), 1), MAX_TEXT):
        ids.append(await _say(world, chat, person, body, {"text": text[start : start + MAX_TEXT]}))
    return {"message_ids": ids}


async def upload(world: World, body: Json) -> Json:
    """`{name, content (base64), kind?: document|photo|voice|audio|video, media_type?, caption?, …}`."""
    chat, person = _chat_and_person(world, body)
    kind = body.get("kind", "document")
    content = base64.b64decode(body["content"])
    media_type = body.get("media_type", "application/octet-stream")
    stored = world.new_file(Upload(name=body["name"], media_type=media_type, content=content), f"{kind}s")
    file: Json = {"file_id": stored.file_id, "file_unique_id": stored.unique_id, "file_size": len(content)}
    said: Json = {kind: _media(kind, file, body["name"], media_type)}
    if body.get("caption"):
        said["caption"] = body["caption"]
    return {"message_ids": [await _say(world, chat, person, body, said)], "file_id": stored.file_id}


async def press(world: World, body: Json) -> Json:
    """`{label or value, message_id?, person?, chat?}`: press a button under a message of the bot's, else the last."""
    chat, person = _chat_and_person(world, body)
    message, button = _find_button(world, chat, body)
    press_id = str(next(_press_numbers))
    world.presses[press_id] = {"answered": False, "shown": ""}
    await world.push_update(
        callback_query={
            "id": press_id,
            "from": person,
            "message": message,
            "chat_instance": str(chat.info["id"]),
            "data": button["callback_data"],
        }
    )
    return {"press_id": press_id}


async def show_chat(world: World, query: Mapping[str, str]) -> Json:
    """`?chat=&after=&wait_s=`: what a person sees there; with wait_s, as soon as the bot said something after that
    message id."""
    chat = world.chat(int(query.get("chat", "1001")))
    after = int(query.get("after", "0"))
    wait_s = min(float(query.get("wait_s", "0")), LONGEST_WAIT_S)
    try:
        async with asyncio.timeout(wait_s), world.changed:
            await world.changed.wait_for(lambda: any(True for _ in world.messages_of_bot(chat, after)))
    except TimeoutError:
        pass  # nothing came: then that is what they see
    now = time.time()
    return {
        "chat": chat.info,
        "messages": [message for number, message in sorted(chat.messages.items()) if number > after],
        "typing": chat.typing_until > now,
        "reactions": {number: given for number, given in chat.reactions.items() if given},
        "draft": chat.draft if chat.draft_until > now else "",
    }


def show_world(world: World) -> Json:
    return {
        "bot": world.bot,
        "token": world.token,
        "people": list(world.people.values()),
        "chats": [chat.info for chat in world.chats.values()],
        "commands": world.commands,
        "pending_updates": sorted(world.updates),
        "presses": world.presses,
    }


async def show_log(world: World, query: Mapping[str, str]) -> Json:
    """`?after=&event=&wait_s=`: what happened, oldest first; with wait_s, as soon as there is something."""
    after, event = int(query.get("after", "0")), query.get("event")

    def found() -> list[Json]:
        return [entry for entry in world.log if entry["number"] > after and event in (None, entry["event"])]

    try:
        async with asyncio.timeout(min(float(query.get("wait_s", "0")), LONGEST_WAIT_S)), world.changed:
            await world.changed.wait_for(found)
    except TimeoutError:
        pass
    return {"events": found()}


def block(world: World, body: Json) -> Json:
    """`{chat, blocked?}`: the bot may not write there any more, or may again."""
    world.chat(int(body["chat"])).blocked = bool(body.get("blocked", True))
    return {}


def move(world: World, body: Json) -> Json:
    """`{chat, to}`: the group becomes a supergroup with a new id."""
    chat = world.chat(int(body["chat"]))
    world.chats[int(body["to"])] = Chat(info={**chat.info, "id": int(body["to"])}, members=chat.members)
    chat.moved_to = int(body["to"])
    return {}


async def _say(world: World, chat: Chat, person: Json, body: Json, content: Json) -> int:
    text = str(content.get("text", content.get("caption", "")))
    entities = found_entities(text)
    if entities:
        content["caption_entities" if "caption" in content else "entities"] = entities
    replied = chat.messages.get(int(body.get("reply_to") or 0))
    if replied is not None:
        content["reply_to_message"] = {key: value for key, value in replied.items() if key != "reply_to_message"}
    message = world.new_message(chat, person, body.get("topic"), **content)
    if chat.info["type"] == "private" or world.sees_all_in_groups or _is_for_bot(world, message):
        await world.push_update(message=message)
    return int(message["message_id"])


def _is_for_bot(world: World, message: Json) -> bool:
    """Privacy mode: in groups the bot sees commands, mentions of it and replies to it."""
    text = str(message.get("text", message.get("caption", "")))
    if text.startswith("/") or f"@{world.bot['username']}".lower() in text.lower():
        return True
    replied = message.get("reply_to_message", {})
    return bool(replied.get("from", {}).get("id") == world.bot["id"])


def _chat_and_person(world: World, body: Json) -> tuple[Chat, Json]:
    person = world.people.get(int(body.get("person") or 1001))
    if person is None:
        raise Refusal(400, f"there is no person {body['person']} in this twin")
    return world.chat(int(body.get("chat") or person["id"])), person


def _media(kind: str, file: Json, name: str, media_type: str) -> Any:
    match kind:
        case "photo":
            return [{**file, "width": 90, "height": 60}, {**file, "width": 1280, "height": 853}]
        case "voice" | "audio":
            return {**file, "duration": 3, "mime_type": media_type}
        case "video":
            return {**file, "duration": 3, "width": 640, "height": 480, "file_name": name, "mime_type": media_type}
        case _:
            return {**file, "file_name": name, "mime_type": media_type}


def _find_button(world: World, chat: Chat, body: Json) -> tuple[Json, Json]:
    messages = [message for message in world.messages_of_bot(chat, 0) if "reply_markup" in message]
    for message in reversed(messages):
        if body.get("message_id") not in (None, message["message_id"]):
            continue
        for row in message["reply_markup"]["inline_keyboard"]:
            for button in row:
                if body.get("label") == button["text"] or body.get("value") == button.get("callback_data"):
                    return message, button
    raise Refusal(400, f"there is no button {body.get('label') or body.get('value')!r} to press in this chat")
