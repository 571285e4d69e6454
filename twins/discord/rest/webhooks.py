"""What an interaction's token is good for, for its fifteen minutes: follow-ups; its messages edited and taken away."""

from __future__ import annotations

from twins.discord.interactions import Interaction
from twins.discord.refusal import Refusal
from twins.discord.rest.call import DONE, Answer, Call, Route
from twins.discord.rest.interactions import DEFER, LOADING, channel_of, edit_for, say_for
from twins.discord.rest.message_form import read_message
from twins.discord.saying import remove, view
from twins.discord.world import Message


def execute_webhook(call: Call) -> Answer:
    """Follow up. The first one after "thinking" is what that becomes."""
    interaction = _interaction(call)
    if read_message(call, call.fields).is_empty():
        raise Refusal(50006)
    thinking = _original(call, interaction)
    if interaction.acknowledged_as == DEFER and thinking is not None and thinking.body["flags"] & LOADING:
        edit_for(call, thinking)
        return _shown(call, thinking)
    return _shown(call, say_for(call, interaction, call.fields))


def get_webhook_message(call: Call) -> Answer:
    return _shown(call, _message(call))


def update_webhook_message(call: Call) -> Answer:
    message = _message(call)
    edit_for(call, message)
    return _shown(call, message)


def delete_webhook_message(call: Call) -> Answer:
    message = _message(call)
    remove(call.world, channel_of(call, message), message)
    return DONE


def _interaction(call: Call) -> Interaction:
    if call.parameters["webhook_id"] != call.world.application_id:
        raise Refusal(10015)
    return call.world.interactions.by_webhook(call.parameters["webhook_token"], call.world.now)


def _message(call: Call) -> Message:
    """Return `@original`, or a message by its id; raise Refusal for one that this token did not bring."""
    interaction = _interaction(call)
    wanted = call.parameters.get("message_id")
    found = _original(call, interaction)
    if wanted is not None and (found is None or found.id != wanted):
        channel = call.world.channels[interaction.channel_id]
        found = channel.messages.get(wanted) if wanted in interaction.message_ids else None
    if found is None:
        raise Refusal(10008)
    return found


def _original(call: Call, interaction: Interaction) -> Message | None:
    return call.world.channels[interaction.channel_id].messages.get(interaction.original_id or "")


def _shown(call: Call, message: Message) -> Answer:
    return Answer(body=view(call.world, message, call.world.bot_id))


_HOOK = "/webhooks/{webhook_id}/{webhook_token}"


def _routes(name: str, path: str) -> tuple[Route, ...]:
    return (
        Route(operation=f"get_{name}", method="GET", path=path, handle=get_webhook_message, needs_token=False),
        Route(operation=f"update_{name}", method="PATCH", path=path, handle=update_webhook_message, needs_token=False),
        Route(operation=f"delete_{name}", method="DELETE", path=path, handle=delete_webhook_message, needs_token=False),
    )


ROUTES = (
    Route(operation="execute_webhook", method="POST", path=_HOOK, handle=execute_webhook, needs_token=False),
    *_routes("original_webhook_message", _HOOK + "/messages/@original"),
    *_routes("webhook_message", _HOOK + "/messages/{message_id}"),
)
