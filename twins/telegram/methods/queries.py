"""Answering a press of a button; what belongs to inline mode, which this bot has not."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Json
from twins.telegram.refusal import bad_request
from twins.telegram.world import World

MAX_ANSWER = 200
ANSWER_S = 60.0
"""How long a press may be answered; the real server does not say how long it waits."""
_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


def answer_callback_query(world: World, arguments: Arguments) -> bool:
    press = world.presses.get(arguments.text("callback_query_id"))
    if press is None or press["answered"] or world.clock.now() > press["at"] + ANSWER_S:
        raise bad_request(_TOO_OLD)
    if len(arguments.text("text")) > MAX_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    press |= {"answered": True, "shown": arguments.text("text"), "is_alert": arguments.boolean("show_alert")}
    world.log.note("press_answered", press_id=arguments.text("callback_query_id"))
    return True


def answer_inline_query(world: World, arguments: Arguments) -> bool:
    del world, arguments
    raise bad_request(_TOO_OLD)


def save_prepared_inline_message(world: World, arguments: Arguments) -> Json:
    if world.user(arguments.integer("user_id")) is None:
        raise bad_request("user not found")
    if not isinstance(arguments.structure("result"), dict):
        raise bad_request("result isn't specified")
    return {"id": str(world.next_number()), "expiration_date": world.now() + 86_400}


METHODS: dict[str, Any] = {
    "answercallbackquery": answer_callback_query,
    "answerinlinequery": answer_inline_query,
    "savepreparedinlinemessage": save_prepared_inline_message,
}
