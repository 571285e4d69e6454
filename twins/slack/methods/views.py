"""Modals and the app's home: views.open, push, update, publish."""

from __future__ import annotations

import json

from twins.slack.blocks import check_blocks
from twins.slack.methods.method import Call, Json, Method
from twins.slack.refusal import Refusal
from twins.slack.world import APP_ID, BOT_ID, TEAM_ID

MAX_VIEW_BYTES = 250_000
MAX_STACK = 3


def open_view(call: Call) -> Json:
    _take_trigger(call)
    return {"view": _keep(call, _checked(call, ("modal",)), previous=None)}


def push(call: Call) -> Json:
    _take_trigger(call)
    opened = [view for view in call.world.views.values() if view["type"] == "modal"]
    if len(opened) >= MAX_STACK:
        raise Refusal("push_limit_reached")
    return {"view": _keep(call, _checked(call, ("modal",)), previous=opened[-1]["id"] if opened else None)}


def update(call: Call) -> Json:
    wanted, external = call.arguments.text("view_id"), call.arguments.text("external_id")
    for view in call.world.views.values():
        if view["id"] == wanted or (external and view.get("external_id") == external):
            break
    else:
        raise Refusal("not_found")
    if call.arguments.text("hash") not in ("", view["hash"]):
        raise Refusal("hash_conflict")
    view |= {**_checked(call, (view["type"],)), "hash": _hash(call)}
    return {"view": view}


def publish(call: Call) -> Json:
    """Show a home tab to one person."""
    user_id = call.arguments.needed("user_id", "invalid_arguments")
    if user_id not in call.world.people:
        raise Refusal("user_not_found")
    old = call.world.homes.get(user_id)
    if old is not None and call.arguments.text("hash") not in ("", old["hash"]):
        raise Refusal("hash_conflict")
    view = call.world.homes[user_id] = _whole(call, _checked(call, ("home",)), previous=None)
    return {"view": view}


def _checked(call: Call, types: tuple[str, ...]) -> Json:
    view = call.arguments.nested("view", "invalid_arguments")
    if not isinstance(view, dict) or view.get("type") not in types:
        words = f"must be a valid enum value [json-pointer:/view/type] ({', '.join(types)})"
        raise Refusal("invalid_arguments", messages=[words])
    if len(json.dumps(view)) > MAX_VIEW_BYTES:
        raise Refusal("view_too_large")
    if view["type"] == "modal" and not view.get("title"):
        raise Refusal("invalid_arguments", messages=["missing required field: title [json-pointer:/view]"])
    return {**view, "blocks": check_blocks(view.get("blocks"))}


def _keep(call: Call, given: Json, previous: str | None) -> Json:
    external = given.get("external_id")
    if external and any(view.get("external_id") == external for view in call.world.views.values()):
        raise Refusal("duplicate_external_id")
    view = _whole(call, given, previous)
    call.world.views[view["id"]] = view
    return view


def _whole(call: Call, given: Json, previous: str | None) -> Json:
    made: Json = {"id": call.world.new_id("V"), "team_id": TEAM_ID, "app_id": APP_ID, "bot_id": BOT_ID}
    made |= {"hash": _hash(call), "root_view_id": previous or "", "previous_view_id": previous}
    made |= {"state": {"values": {}}, "private_metadata": "", "callback_id": "", "external_id": ""}
    return {**made, **given}


def _hash(call: Call) -> str:
    return f"{call.world.new_ts().partition('.')[0]}.{call.world.new_id('h')}"


def _take_trigger(call: Call) -> None:
    trigger_id = call.arguments.text("trigger_id")
    until = call.world.triggers.get(trigger_id)
    if until is None:
        raise Refusal("invalid_trigger_id")
    if until == 0:
        raise Refusal("exchanged_trigger_id")
    if until < call.world.clock.now():
        raise Refusal("expired_trigger_id")
    call.world.triggers[trigger_id] = 0


METHODS = {
    "views.open": Method(function=open_view, tier=4),
    "views.push": Method(function=push, tier=4),
    "views.update": Method(function=update, tier=4),
    "views.publish": Method(function=publish, tier=4),
}
