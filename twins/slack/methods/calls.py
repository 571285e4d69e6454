"""Calls that another program holds, as Slack shows them: `calls.*`."""

from __future__ import annotations

from twins.slack.methods.method import Call, Json, Method
from twins.slack.refusal import Refusal


def add(call: Call) -> Json:
    arguments = call.arguments
    made: Json = {"id": call.world.new_id("R"), "external_unique_id": arguments.needed("external_unique_id")}
    made |= {"join_url": arguments.needed("join_url"), "title": arguments.text("title")}
    made |= {"date_start": arguments.number("date_start", int(call.world.clock.now())), "users": _users(call)}
    call.world.calls[made["id"]] = made
    return {"call": made}


def info(call: Call) -> Json:
    return {"call": _known(call)}


def update(call: Call) -> Json:
    known = _known(call)
    given = {name: call.arguments.text(name) for name in ("title", "join_url", "desktop_app_join_url")}
    known |= {name: value for name, value in given.items() if value}
    return {"call": known}


def end(call: Call) -> Json:
    _known(call)["date_end"] = int(call.world.clock.now())
    return {}


def participants_add(call: Call) -> Json:
    known = _known(call)
    known["users"] = [*known["users"], *(user for user in _users(call) if user not in known["users"])]
    return {}


def participants_remove(call: Call) -> Json:
    known, gone = _known(call), _users(call)
    known["users"] = [user for user in known["users"] if user not in gone]
    return {}


def _known(call: Call) -> Json:
    found = call.world.calls.get(call.arguments.text("id"))
    if found is None:
        raise Refusal("not_found")
    return found


def _users(call: Call) -> list[Json]:
    users = call.arguments.nested("users", "invalid_arguments") or []
    if not all(isinstance(user, dict) and (user.get("slack_id") or user.get("external_id")) for user in users):
        raise Refusal("user_not_found")
    return list(users)


READS, WRITES = ("calls:read",), ("calls:write",)
METHODS = {
    "calls.add": Method(function=add, scopes=WRITES),
    "calls.info": Method(function=info, scopes=READS),
    "calls.update": Method(function=update, scopes=WRITES),
    "calls.end": Method(function=end, scopes=WRITES),
    "calls.participants.add": Method(function=participants_add, scopes=WRITES),
    "calls.participants.remove": Method(function=participants_remove, scopes=WRITES),
}
