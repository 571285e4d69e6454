"""What people do that an application must answer: press, choose, command, fill in a form."""

from __future__ import annotations

import secrets
from typing import Any

from twins.discord.attachments import MAX_FILE_BYTES
from twins.discord.command_form import BOOLEAN, CHAT_INPUT, INTEGER, NUMBER, STRING
from twins.discord.components import BUTTON, STRING_SELECT, TEXT_INPUT, every
from twins.discord.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL, Interaction
from twins.discord.saying import channel_view, view
from twins.discord.user_side.verbs import chat_of, person_of
from twins.discord.world import Channel, Json, Message, World


def press(world: World, body: Json) -> Json:
    """`{label or value, message_id?, person?, chat?}`: press a button or choose of a list, under the newest message
    that has it."""
    person = person_of(world, body)
    channel = chat_of(world, body, person)
    message, component, value = _find(channel, person, body)
    data: Json = {"custom_id": component["custom_id"], "component_type": component["type"], "id": component["id"]}
    if component["type"] == STRING_SELECT:
        data["values"] = [value]
    return _ask(world, channel, person, COMPONENT, data, message=message)


def command(world: World, body: Json) -> Json:
    """`{name, text?, options?, person?, chat?}`: use a slash command; `text` is its first option's value."""
    return _use_command(world, body, COMMAND)


def autocomplete(world: World, body: Json) -> Json:
    """`{name, option, text, person?, chat?}`: type into an option that offers choices."""
    options = {str(body["option"]): str(body["text"])}
    return _use_command(world, {**body, "options": options, "text": None}, AUTOCOMPLETE, focused=str(body["option"]))


def submit(world: World, body: Json) -> Json:
    """`{interaction_id, values: {custom_id: text}}`: send the form that an interaction was answered with."""
    opened = next((one for one in world.interactions.by_token.values() if one.id == str(body["interaction_id"])), None)
    if opened is None or not opened.shown.get("components"):
        raise ValueError(f"the interaction {body['interaction_id']} was not answered with a form")
    values: Json = body.get("values") or {}
    rows = [
        {
            "type": 1,
            "id": number,
            "components": [_filled(one, values) for one in every([row]) if one["type"] == TEXT_INPUT],
        }
        for number, row in enumerate(opened.shown["components"], 1)
    ]
    channel = world.channels[opened.channel_id]
    message = channel.messages.get(opened.message_id or "")
    data = {"custom_id": opened.shown["custom_id"], "components": rows}
    return _ask(world, channel, opened.user_id, MODAL, data, message=message, opened_by=opened.id)


def _use_command(world: World, body: Json, kind: int, focused: str = "") -> Json:
    person = person_of(world, body)
    channel = chat_of(world, body, person)
    name = str(body["name"]).removeprefix("/")
    used = next((one for one in _commands(world, channel) if one["name"] == name), None)
    if used is None:
        raise ValueError(f"there is no command /{name} in the chat {channel.id}")
    data: Json = {"id": used["id"], "name": used["name"], "type": used["type"]}
    if "guild_id" in used:
        data["guild_id"] = used["guild_id"]
    options = _options(used, body, focused)
    if options:
        data["options"] = options
    return _ask(world, channel, person, kind, data, command_name=name)


def _commands(world: World, channel: Channel) -> list[Json]:
    """Return the commands offered there: those of the server before those of all places."""
    offered = [one for one in world.commands.values() if one["type"] == CHAT_INPUT]
    if channel.is_direct:
        return [one for one in offered if "guild_id" not in one and one["dm_permission"]]
    return sorted(offered, key=lambda one: "guild_id" not in one)


def _options(used: Json, body: Json, focused: str) -> list[Json]:
    known = {one["name"]: one for one in used.get("options", [])}
    given: Json = dict(body.get("options") or {})
    if body.get("text") and known:
        given.setdefault(next(iter(known)), body["text"])
    if body.get("text") and not known:
        raise ValueError(f"/{used['name']} takes no text")
    unknown = set(given) - set(known)
    if unknown:
        raise ValueError(f"/{used['name']} has no option {', '.join(sorted(unknown))}")
    missing = [name for name, one in known.items() if one.get("required") and name not in given and not focused]
    if missing:
        raise ValueError(f"/{used['name']} needs {', '.join(missing)}")
    filled = []
    for name, value in given.items():
        option: Json = {"name": name, "type": known[name]["type"], "value": _value(known[name]["type"], value)}
        filled.append({**option, "focused": True} if name == focused else option)
    return filled


def _value(kind: int, value: Any) -> Any:
    if kind == BOOLEAN:
        return value if isinstance(value, bool) else str(value).lower() == "true"
    reading = {STRING: str, INTEGER: int, NUMBER: float}.get(kind)
    return value if reading is None else reading(value)


def _filled(component: Json, values: Json) -> Json:
    custom_id = component["custom_id"]
    return {"type": TEXT_INPUT, "id": 1, "custom_id": custom_id, "value": str(values.get(custom_id, ""))}


def _find(channel: Channel, person: str, body: Json) -> tuple[Message, Json, str]:
    wanted = (body.get("label"), body.get("value"))
    for message in reversed(channel.messages.values()):
        if message.only_for not in (None, person) or body.get("message_id") not in (None, message.id):
            continue
        for component in every(message.body["components"]):
            if component.get("disabled"):
                continue
            if component["type"] == BUTTON and _matches(wanted, component.get("label"), component.get("custom_id")):
                return message, component, ""
            for option in component.get("options", []) if component["type"] == STRING_SELECT else ():
                if _matches(wanted, option["label"], option["value"]):
                    return message, component, option["value"]
    raise ValueError(f"there is no button {body.get('label') or body.get('value')!r} to press in this chat")


def _matches(wanted: tuple[Any, Any], label: Any, value: Any) -> bool:
    return (wanted[0] is not None and wanted[0] == label) or (wanted[1] is not None and wanted[1] == value)


def _ask(
    world: World,
    channel: Channel,
    person: str,
    kind: int,
    data: Json,
    *,
    message: Message | None = None,
    command_name: str | None = None,
    opened_by: str | None = None,
) -> Json:
    """Send an interaction to the application."""
    owners = {"0": world.guild_id if channel.guild_id else "0"}
    interaction = Interaction(
        id=world.mint(),
        token=secrets.token_urlsafe(96),
        type=kind,
        user_id=person,
        channel_id=channel.id,
        asked_at=world.now,
        message_id=message.id if message else None,
        command_name=command_name,
        opened_by=opened_by,
        owners=owners,
    )
    world.interactions.add(interaction)
    asked: Json = {
        "id": interaction.id,
        "application_id": world.application_id,
        "type": kind,
        "token": interaction.token,
        "version": 1,
        "data": data,
        "channel_id": channel.id,
        "channel": {**channel_view(world, channel), "permissions": str(world.permissions(person, channel))},
        "app_permissions": str(world.permissions(world.bot_id, channel)),
        "locale": "en-US",
        "entitlements": [],
        "authorizing_integration_owners": owners,
        "context": 1 if channel.is_direct else 0,
        "attachment_size_limit": MAX_FILE_BYTES,
    }
    if channel.guild_id is not None:
        member = {**world.members[person], "user": world.users[person]}
        asked |= {
            "guild_id": channel.guild_id,
            "guild": {"id": channel.guild_id, "locale": "en-US", "features": []},
            "guild_locale": "en-US",
            "member": {**member, "permissions": str(world.permissions(person, channel))},
        }
    else:
        asked["user"] = world.users[person]
    if message is not None:
        asked["message"] = view(world, message, world.bot_id)
    world.publish("INTERACTION_CREATE", asked, channel=channel, always=True)
    return {"interaction_id": interaction.id}
