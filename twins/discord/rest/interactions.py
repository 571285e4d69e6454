"""Answers to interactions: the first one within three seconds, what it may be, and what the person sees of it."""

from __future__ import annotations

from twins.discord.interactions import AUTOCOMPLETE, COMPONENT, MODAL, PING, Interaction
from twins.discord.refusal import FormErrors, Refusal, form_error
from twins.discord.rest.call import DONE, Answer, Call, Route
from twins.discord.rest.message_form import read_message, store_uploads
from twins.discord.rest.messages import apply_edit
from twins.discord.saying import REPLY, in_guild, say, view
from twins.discord.shapes import ANSWER, Kind, check_shape
from twins.discord.world import EPHEMERAL, Channel, Json, Message

PONG, SAY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 1, 4, 5, 6, 7, 8, 9
LOADING = 1 << 7
_COMMAND_ANSWER = 20
_ON_MESSAGES = (DEFER_UPDATE, UPDATE)


def create_interaction_response(call: Call) -> Answer:
    world = call.world
    interaction = world.interactions.to_answer(call.parameters["interaction_id"], call.parameters["interaction_token"])
    body = call.fields
    check_shape(body, {"type": Kind.NUMBER, "data": ANSWER})
    kind = body.get("type")
    if kind not in _allowed(interaction):
        choices = ", ".join(map(str, _allowed(interaction)))
        raise form_error("type", "BASE_TYPE_CHOICES", f"Value must be one of {{{choices}}}.")
    data: Json = body.get("data") or {}
    if kind in (SAY, UPDATE):
        form = read_message(call, data, "data")
        if kind == SAY and form.is_empty():
            raise Refusal(50006)
    elif kind == CHOICES:
        _check_choices(data)
    elif kind == SHOW_MODAL:
        _check_modal(data)
    interaction.take_answer(int(kind), world.now)
    message = _act(call, interaction, int(kind), data)
    if call.query.get("with_response", "").lower() not in ("true", "1"):
        return DONE
    return Answer(body=_response(call, interaction, int(kind), message))


def say_for(call: Call, interaction: Interaction, data: Json, *, loading: bool = False) -> Message:
    """Say something in the name of an interaction."""
    world, channel = call.world, call.world.channels[interaction.channel_id]
    form = read_message(call, data)
    flags = form.flags | (LOADING if loading else 0)
    more: Json = {key: value for key, value in form.given.items() if key not in ("content", "flags")}
    kind = 0
    if not interaction.message_ids:
        kind = REPLY if interaction.message_id else _COMMAND_ANSWER
    if kind == REPLY:
        reference = {"type": 0, "channel_id": channel.id, "message_id": interaction.message_id, **in_guild(channel)}
        more["message_reference"] = reference
    message = say(
        world,
        channel,
        world.bot_id,
        content=form.given.get("content", ""),
        kind=kind,
        allowed_mentions=form.allowed_mentions,
        only_for=interaction.user_id if flags & EPHEMERAL else None,
        flags=flags,
        attachments=store_uploads(call, channel, form),
        application_id=world.application_id,
        webhook_id=world.application_id,
        interaction_metadata=_metadata(call, interaction),
        **more,
    )
    interaction.message_ids.append(message.id)
    return message


def edit_for(call: Call, message: Message) -> None:
    """Change a message by an interaction's token; a loading one is loading no more."""
    channel = channel_of(call, message)
    form = read_message(call, call.fields)
    had = int(message.body["flags"])
    form.given["flags"] = (form.flags if "flags" in form.given else had) & ~LOADING | had & EPHEMERAL
    apply_edit(call, channel, message, form)


def channel_of(call: Call, message: Message) -> Channel:
    return call.world.channels[message.body["channel_id"]]


def _act(call: Call, interaction: Interaction, kind: int, data: Json) -> Message | None:
    world = call.world
    under = None
    if interaction.message_id is not None:
        under = world.channels[interaction.channel_id].messages.get(interaction.message_id)
    match kind:
        case 4:
            message = say_for(call, interaction, data)
        case 5:
            message = say_for(call, interaction, {"flags": int(data.get("flags") or 0)}, loading=True)
        case 6 | 7:
            if under is None:
                raise Refusal(10008)
            if kind == UPDATE:
                apply_edit(call, channel_of(call, under), under, read_message(call, data))
            message = under
        case _:
            interaction.shown = data
            world.log.note("interaction_shown", id=interaction.id, data=data)
            return None
    interaction.original_id = message.id
    world.log.note("interaction_answered", id=interaction.id, kind=kind, message_id=message.id)
    return message


def _allowed(interaction: Interaction) -> tuple[int, ...]:
    if interaction.type == PING:
        return (PONG,)
    if interaction.type == AUTOCOMPLETE:
        return (CHOICES,)
    allowed: tuple[int, ...] = (SAY, DEFER)
    if interaction.type == COMPONENT or interaction.message_id is not None:
        allowed += _ON_MESSAGES
    return allowed if interaction.type == MODAL else (*allowed, SHOW_MODAL)


def _check_choices(data: Json) -> None:
    errors = FormErrors()
    choices = data.get("choices") or []
    errors.too_long("data.choices", choices, 25)
    for position, choice in enumerate(choices):
        errors.missing(f"data.choices.{position}.name", choice.get("name"))
        errors.too_long(f"data.choices.{position}.name", choice.get("name"), 100)
        errors.too_long(f"data.choices.{position}.value", choice.get("value"), 100)
    errors.settle()


def _check_modal(data: Json) -> None:
    errors = FormErrors()
    for field, most in (("custom_id", 100), ("title", 45)):
        errors.missing(f"data.{field}", data.get(field))
        errors.too_long(f"data.{field}", data.get(field), most)
    if not 1 <= len(data.get("components") or []) <= 5:
        errors.add("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    errors.settle()


def _metadata(call: Call, interaction: Interaction) -> Json:
    shown: Json = {
        "id": interaction.id,
        "type": interaction.type,
        "user": call.world.users[interaction.user_id],
        "authorizing_integration_owners": interaction.owners,
    }
    if interaction.type == COMPONENT:
        shown["interacted_message_id"] = interaction.message_id
    elif interaction.type == MODAL:
        opener: Json = {**shown, "id": interaction.opened_by or interaction.id, "type": 2}
        shown["triggering_interaction_metadata"] = opener
    return shown


def _response(call: Call, interaction: Interaction, kind: int, message: Message | None) -> Json:
    about: Json = {"id": interaction.id, "type": interaction.type, "channel_id": interaction.channel_id}
    about |= in_guild(call.world.channels[interaction.channel_id])
    if message is None:
        return {"interaction": about}
    about |= {
        "response_message_id": message.id,
        "response_message_loading": bool(message.body["flags"] & LOADING),
        "response_message_ephemeral": message.only_for is not None,
    }
    if kind not in (SAY, UPDATE):
        return {"interaction": about}
    resource = {"type": kind, "message": view(call.world, message, call.world.bot_id)}
    return {"interaction": about, "resource": resource}


ROUTES = (
    Route(
        operation="create_interaction_response",
        method="POST",
        path="/interactions/{interaction_id}/{interaction_token}/callback",
        handle=create_interaction_response,
        needs_token=False,
    ),
)
