"""The user's side of the twin, as an API: what a person with a phone can do. What they see is `shown.py`.

POST /twin/type upload press edit delete react join leave command forward topic update block deactivate kick move
token fault clock limits privacy, DELETE /twin/fault, GET /twin/fault /twin/world /twin/chat /twin/log /twin/file.
Bodies and answers are JSON, but for the file's bytes. `person` and `chat` may be left out: then it is the first person,
and their chat with the bot.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Chat, Json, Topic
from twins.telegram.entities import Entity
from twins.telegram.methods.chats import member_json
from twins.telegram.methods.edits import forget_message
from twins.telegram.methods.media import media_content
from twins.telegram.methods.stickers import sticker_json
from twins.telegram.refusal import Refusal
from twins.telegram.sending import origin_of, quoted
from twins.telegram.shown import show_chat, show_world
from twins.telegram.texts import MAX_TEXT, typed_entities
from twins.telegram.world import World

__all__ = ["ACTS", "press", "show_chat", "show_world", "type_text", "upload"]


async def type_text(world: World, body: Json) -> Json:
    """`{text, person?, chat?, thread?, reply_to?, quote?, entities?, edit?}`: a person types, or edits what they
    typed. A text that is too long for one message goes as several, as the apps send it."""
    chat, person = _chat_and_person(world, body)
    text = str(body["text"])
    if "edit" in body:
        return _edit(world, chat, body["edit"], text)
    ids = []
    for start in range(0, max(len(text), 1), MAX_TEXT):
        part = text[start : start + MAX_TEXT]
        entities = body.get("entities") or typed_entities(part)
        ids.append(_say(world, chat, person, body, {"text": part, **_entities("entities", entities)}))
    return {"message_ids": ids}


async def edit(world: World, body: Json) -> Json:
    """`{message_id, text, person?, chat?}`: a person edits what they typed."""
    chat, _ = _chat_and_person(world, body)
    return _edit(world, chat, body["message_id"], str(body["text"]))


def _edit(world: World, chat: Chat, number: Any, text: str) -> Json:
    message = _message(chat, number)
    name = "caption" if "text" not in message else "text"
    message.pop(f"{name}_entities" if name == "caption" else "entities", None)
    message |= {name: text, "edit_date": world.now()}
    message |= _entities("caption_entities" if name == "caption" else "entities", typed_entities(text))
    world.log.note("edited", chat=chat.info["id"], message_id=message["message_id"], by_bot=False)
    if message["message_id"] in chat.told or _reaches(world, chat, message):
        world.updates.push(**{"edited_channel_post" if chat.kind == "channel" else "edited_message": message})
    return {"message_ids": [message["message_id"]]}


async def upload(world: World, body: Json) -> Json:
    """`{name, content (base64), kind?: document|photo|voice|audio|video|animation|video_note|sticker, media_type?,
    caption?, emoji?, album?, …}`; those with the same `album` belong together."""
    chat, person = _chat_and_person(world, body)
    kind = body.get("kind", "document")
    media_type = body.get("media_type", "application/octet-stream")
    file = Upload(name=body["name"], media_type=media_type, content=base64.b64decode(body["content"]))
    said = _uploaded(world, kind, file, body)
    if body.get("album"):
        said["media_group_id"] = str(body["album"])
    shown = said[kind][-1] if kind == "photo" else said[kind]
    return {"message_ids": [_say(world, chat, person, body, said)], "file_id": shown["file_id"]}


def _uploaded(world: World, kind: str, file: Upload, body: Json) -> Json:
    if kind == "sticker":
        return {"sticker": sticker_json(world, file, **({"emoji": body["emoji"]} if body.get("emoji") else {}))}
    caption = str(body.get("caption") or "")
    if kind == "photo" and not file.content.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF", b"GIF8")):
        file = Upload(name=file.name, media_type=file.media_type, content=b"GIF89a\x00\x05\x55\x03" + file.content)
    arguments = Arguments(values={"caption": caption}, uploads={kind: file})
    content = media_content(world, arguments, kind)
    if kind in ("voice", "audio", "video") and "media_type" in body:
        content[kind]["mime_type"] = body["media_type"]
    return content


async def press(world: World, body: Json) -> Json:
    """`{label or value, message_id?, person?, chat?}`: press a button under a message of the bot's, else the last."""
    chat, person = _chat_and_person(world, body)
    message, button = _find_button(world, chat, body)
    press_id = str(world.next_number())
    world.presses[press_id] = {"answered": False, "shown": "", "at": world.clock.now()}
    world.log.note("press", press_id=press_id, person=person["id"], chat=chat.info["id"])
    world.updates.push(
        callback_query={
            "id": press_id,
            "from": person,
            "message": message,
            "chat_instance": str(chat.info["id"]),
            "data": button["callback_data"],
        }
    )
    return {"press_id": press_id}


async def delete(world: World, body: Json) -> Json:
    """`{message_id, person?, chat?}`: a person takes a message away; bots are not told."""
    chat, _ = _chat_and_person(world, body)
    forget_message(world, chat, _message(chat, body["message_id"])["message_id"])
    return {}


async def react(world: World, body: Json) -> Json:
    """`{message_id, emoji, take?, person?, chat?}`: a person's reaction is put, changed or taken back. Of groups a bot
    hears of it as an administrator only, and only if it asked for such updates."""
    chat, person = _chat_and_person(world, body)
    message = _message(chat, body["message_id"])
    given = chat.people_reactions.setdefault(message["message_id"], {})
    old = given.pop(person["id"], [])
    new = [] if body.get("take") else [str(body["emoji"])]
    if new:
        given[person["id"]] = new
    world.log.note("reaction", chat=chat.info["id"], message_id=message["message_id"], person=person["id"])
    if old != new and (chat.is_private or chat.bot_status == "administrator"):
        world.updates.push(
            message_reaction={
                "chat": chat.info,
                "message_id": message["message_id"],
                "user": person,
                "date": world.now(),
                "old_reaction": [{"type": "emoji", "emoji": emoji} for emoji in old],
                "new_reaction": [{"type": "emoji", "emoji": emoji} for emoji in new],
            }
        )
    return {}


async def join(world: World, body: Json) -> Json:
    """`{person, chat}`: a person comes into a group; `person: "bot"` adds the bot."""
    chat = world.chat(body["chat"])
    if body["person"] == "bot":
        return _set_bot_status(world, chat, "member")
    person = _person(world, body["person"])
    before = member_json(world, chat, person["id"])
    chat.members = [*(each for each in chat.members if each != person["id"]), person["id"]]
    _say(world, chat, person, body, {"new_chat_members": [person]})
    _tell_membership(world, chat, person, before)
    return {}


async def leave(world: World, body: Json) -> Json:
    """`{person, chat}`: a person leaves a group; `person: "bot"` removes the bot, with `kick: true` for good."""
    chat = world.chat(body["chat"])
    if body["person"] == "bot":
        return _set_bot_status(world, chat, "kicked" if body.get("kick") else "left")
    person = _person(world, body["person"])
    before = member_json(world, chat, person["id"])
    chat.members = [each for each in chat.members if each != person["id"]]
    _say(world, chat, person, body, {"left_chat_member": person})
    _tell_membership(world, chat, person, before)
    return {}


def _tell_membership(world: World, chat: Chat, person: Json, before: Json) -> None:
    if chat.bot_status == "administrator":
        after = member_json(world, chat, person["id"])
        change = {"chat": chat.info, "from": person, "date": world.now()}
        world.updates.push(chat_member={**change, "old_chat_member": before, "new_chat_member": after})


def _set_bot_status(world: World, chat: Chat, status: str) -> Json:
    before = member_json(world, chat, world.bot["id"])
    chat.bot_status = status
    after = member_json(world, chat, world.bot["id"])
    by = world.people[chat.members[0]]
    change = {"chat": chat.info, "from": by, "date": world.now()}
    world.updates.push(my_chat_member={**change, "old_chat_member": before, "new_chat_member": after})
    return {}


async def promote(world: World, body: Json) -> Json:
    """`{chat}`: the bot becomes an administrator of a group."""
    return _set_bot_status(world, world.chat(body["chat"]), "administrator")


async def command(world: World, body: Json) -> Json:
    """`{name, text?, person?, chat?}`: a person chooses a command from the menu; in a group it names the bot."""
    chat, _ = _chat_and_person(world, body)
    name = f"/{str(body['name']).removeprefix('/')}"
    named = name if chat.is_private else f"{name}@{world.bot['username']}"
    return await type_text(world, {**body, "text": f"{named} {body.get('text') or ''}".rstrip()})


async def forward(world: World, body: Json) -> Json:
    """`{message_id, from_chat, person?, chat?}`: a person sends a message of another chat on."""
    chat, person = _chat_and_person(world, body)
    source = _message(world.chat(body["from_chat"]), body["message_id"])
    names = (
        "text",
        "entities",
        "caption",
        "caption_entities",
        "photo",
        "document",
        "voice",
        "video",
        "audio",
        "sticker",
    )
    content = {name: source[name] for name in names if name in source}
    return {"message_ids": [_say(world, chat, person, body, {**content, "forward_origin": origin_of(source)})]}


async def topic(world: World, body: Json) -> Json:
    """`{chat, name}`: a person begins a topic in a forum."""
    chat, person = _chat_and_person(world, body)
    made = Topic(name=str(body["name"]))
    number = _say(world, chat, person, {}, {"forum_topic_created": {"name": made.name, "icon_color": made.icon_color}})
    chat.topics[number] = made
    chat.messages[number] |= {"message_thread_id": number, "is_topic_message": True}
    return {"thread": number}


async def block(world: World, body: Json) -> Json:
    """`{chat, blocked?}`: the bot may not write there any more, or may again."""
    chat = world.chat(body["chat"])
    chat.blocked = bool(body.get("blocked", True))
    before, after = ("member", "kicked") if chat.blocked else ("kicked", "member")
    person = world.people[int(chat.info["id"])]
    change = {"chat": chat.info, "from": person, "date": world.now()}
    old, new = ({"user": world.bot, "status": each, **_until(each)} for each in (before, after))
    world.updates.push(my_chat_member={**change, "old_chat_member": old, "new_chat_member": new})
    return {}


def _until(status: str) -> Json:
    return {"until_date": 0} if status == "kicked" else {}


async def deactivate(world: World, body: Json) -> Json:
    """`{chat}`: the person's account is gone."""
    world.chat(body["chat"]).is_deactivated = True
    return {}


async def move(world: World, body: Json) -> Json:
    """`{chat, to}`: the group becomes a supergroup with a new id."""
    chat, to = world.chat(body["chat"]), int(body["to"])
    info = {**chat.info, "id": to, "type": "supergroup"}
    moved = Chat(
        info=info, members=list(chat.members), topics=chat.topics, roles=chat.roles, bot_status=chat.bot_status
    )
    world.chats[to] = moved
    by = world.people[chat.members[0]]
    world.updates.push(message=world.new_message(chat, by, None, migrate_to_chat_id=to))
    world.updates.push(message=world.new_message(moved, by, None, migrate_from_chat_id=chat.info["id"]))
    chat.moved_to = to
    return {}


async def update(world: World, body: Json) -> Json:
    """`{update}`: an update in the API's own form, as it is."""
    return {"update_id": world.updates.push_raw(body["update"])}


async def clock(world: World, body: Json) -> Json:
    """`{advance_s?, scale?}`: put the twin's clock forward, or let it run faster."""
    if "scale" in body:
        world.clock.scale = float(body["scale"])
    world.clock.advance(float(body.get("advance_s", 0)))
    world.log.note("clock", scale=world.clock.scale)
    return {"now": world.clock.now(), "scale": world.clock.scale}


async def limits(world: World, body: Json) -> Json:
    """`{on}`: whether more messages than the published rates are refused."""
    world.limits.is_on = bool(body["on"])
    return {"on": world.limits.is_on}


async def privacy(world: World, body: Json) -> Json:
    """`{on}`: whether the bot sees only what is meant for it in groups."""
    world.sees_all_in_groups = not body["on"]
    return {"on": not world.sees_all_in_groups}


ACTS: dict[str, Callable[[World, Json], Awaitable[Json]]] = {
    f"POST {name}": act
    for name, act in {
        "type": type_text,
        "edit": edit,
        "upload": upload,
        "press": press,
        "delete": delete,
        "react": react,
        "join": join,
        "leave": leave,
        "promote": promote,
        "command": command,
        "forward": forward,
        "topic": topic,
        "block": block,
        "deactivate": deactivate,
        "move": move,
        "update": update,
        "clock": clock,
        "limits": limits,
        "privacy": privacy,
    }.items()
}


def _entities(name: str, entities: list[Entity]) -> Json:
    return {name: entities} if entities else {}


def _say(world: World, chat: Chat, person: Json, body: Json, content: Json) -> int:
    replied = chat.messages.get(int(body.get("reply_to") or 0))
    if replied is not None:
        content["reply_to_message"] = quoted(replied)
        if body.get("quote"):
            content["quote"] = {"text": str(body["quote"]), "position": 0, "is_manual": True}
    thread = body.get("thread") or body.get("topic")
    message = world.new_message(chat, person, int(thread) if thread else None, **content)
    if _reaches(world, chat, message):
        chat.told.add(message["message_id"])
        world.updates.push(**{"channel_post" if chat.kind == "channel" else "message": message})
    return int(message["message_id"])


def _reaches(world: World, chat: Chat, message: Json) -> bool:
    """Whether the bot gets it: in a direct chat unless it is blocked, in a group by its privacy mode."""
    if not chat.has_bot:
        return False
    if chat.is_private:
        return not chat.blocked
    return world.sees_all_in_groups or chat.bot_status == "administrator" or _is_for_bot(world, message)


def _is_for_bot(world: World, message: Json) -> bool:
    """Privacy mode: in groups the bot sees commands, mentions of it, replies to it, and what happened to the group."""
    if any(name in message for name in ("new_chat_members", "left_chat_member", "forum_topic_created")):
        return True
    text = str(message.get("text", message.get("caption", "")))
    if text.startswith("/") or f"@{world.bot['username']}".lower() in text.lower():
        return True
    replied = message.get("reply_to_message", {})
    return bool(replied.get("from", {}).get("id") == world.bot["id"])


def _chat_and_person(world: World, body: Json) -> tuple[Chat, Json]:
    person = _person(world, body.get("person") or 1001)
    return world.chat(body.get("chat") or person["id"]), person


def _person(world: World, number: Any) -> Json:
    person = world.people.get(int(number))
    if person is None:
        raise Refusal(400, f"there is no person {number} in this twin")
    return person


def _message(chat: Chat, number: Any) -> Json:
    message = chat.messages.get(int(number))
    if message is None:
        raise Refusal(400, f"there is no message {number} in this chat")
    return message


def _find_button(world: World, chat: Chat, body: Json) -> tuple[Json, Json]:
    messages = [message for message in world.messages_of_bot(chat, 0) if "reply_markup" in message]
    wanted = body.get("message_id")
    for message in reversed(messages):
        if wanted is not None and int(wanted) != message["message_id"]:
            continue
        for row in message["reply_markup"]["inline_keyboard"]:
            for button in row:
                named = body.get("label") == button["text"] or body.get("value") == button.get("callback_data")
                if named and "callback_data" in button:
                    return message, button
    raise Refusal(400, f"there is no button {body.get('label') or body.get('value')!r} to press in this chat")
