"""What the user's side is shown: chats as a person sees them, and the whole workspace."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from twins.slack.texts import rich_words, shown_text
from twins.slack.world import BOT_USER_ID, Conversation, Json, World


def shown_chat(world: World, conversation: Conversation, user_id: str, after: str = "0", thread: str = "") -> Json:
    """Return a conversation, or one thread of it, as that person sees it: what came after the message of that id."""
    names = _names(world)
    messages = list(takewhile(lambda message: message["ts"] > after, reversed(conversation.messages.values())))
    messages += [shown for to, shown in conversation.ephemerals if to == user_id and shown["ts"] > after]
    if thread:
        messages = [message for message in messages if thread in (message["ts"], message.get("thread_ts"))]
    messages.sort(key=lambda message: str(message["ts"]))
    now = world.clock.now()
    statuses = {thread: text for thread, (text, until) in conversation.statuses.items() if until > now and text}
    return {
        "chat": dict(conversation.info),
        "messages": [_neutral(message, names) for message in messages],
        "typing": thread in statuses if thread else bool(statuses),
        "statuses": statuses,
        "draft": "",
    }


def shown_world(world: World) -> Json:
    return {
        "platform": "slack",
        "bot": _person(world.people[BOT_USER_ID]),
        "token": world.tokens.of_kind("bot").value,
        "app_token": world.tokens.of_kind("app").value,
        "people": [_person(person) for user_id, person in world.people.items() if user_id != BOT_USER_ID],
        "chats": [_chat(world, conversation) for conversation in world.conversations.values()],
    }


def _person(person: Json) -> Json:
    return {"id": person["id"], "name": person["real_name"], "raw": person}


def _chat(world: World, conversation: Conversation) -> Json:
    names = _names(world)
    is_direct = conversation.kind == "im"
    name = names.get(str(conversation.info.get("user")), "") if is_direct else f"#{conversation.info['name']}"
    roots = [message for ts, message in conversation.messages.items() if message.get("thread_ts") == ts]
    return {
        "id": conversation.id,
        "name": name,
        "kind": "direct" if is_direct else "many",
        "people": [user_id for user_id in conversation.members if user_id != BOT_USER_ID],
        "threads": [{"id": root["ts"], "name": _text(root, names)[:60]} for root in roots],
        "raw": {**conversation.info, "members": conversation.members},
    }


def _neutral(message: Json, names: dict[str, str]) -> Json:
    """Return a message with what every twin says of one, and the platform's own form as `raw`."""
    return {
        "id": message["ts"],
        "from": message.get("user", ""),
        "is_bot": "bot_id" in message,
        "text": _text(message, names),
        "buttons": list(_buttons(message.get("blocks") or [])),
        "files": [{"id": file["id"], "name": file.get("name", "")} for file in message.get("files", [])],
        "reactions": {reaction["name"]: reaction["users"] for reaction in message.get("reactions", [])},
        "edited": "edited" in message,
        "at": float(message["ts"]),
        "reply_to": message.get("thread_ts") if message.get("thread_ts") != message["ts"] else None,
        "thread": message.get("thread_ts"),
        "ephemeral": bool(message.get("is_ephemeral")),
        "raw": message,
    }


def _text(message: Json, names: dict[str, str]) -> str:
    """Return the words a person reads: of the blocks that hold text where there are such, else the message's own."""
    found: list[str] = []
    for block in message.get("blocks") or []:
        match block.get("type"):
            case "rich_text":
                found.append(rich_words(block, names))
            case "markdown":
                found.append(str(block["text"]))
            case "section" | "header" if isinstance(block.get("text"), dict):
                found.append(shown_text(str(block["text"].get("text", "")), names))
    return "\n".join(found) or shown_text(str(message.get("text", "")), names)


def _buttons(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        for element in [*(block.get("elements") or []), block.get("accessory") or {}]:
            if element.get("type") == "button":
                value = element.get("value", "")
                yield {"label": element["text"]["text"], "value": value, "action_id": element.get("action_id", "")}


def _names(world: World) -> dict[str, str]:
    names = {user_id: str(person["real_name"]) for user_id, person in world.people.items()}
    channels = world.conversations.items()
    return names | {channel_id: str(channel.info.get("name", channel_id)) for channel_id, channel in channels}
