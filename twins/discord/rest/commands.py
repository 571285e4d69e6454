"""Application commands: those of all places, and those of the server."""

from __future__ import annotations

from typing import Any

from twins.discord.command_form import check_command, command_json
from twins.discord.refusal import FormErrors, Refusal
from twins.discord.rest.call import DONE, Answer, Call, Route
from twins.discord.shapes import COMMAND, check_shape
from twins.discord.world import Json

MAX_COMMANDS = 100


def list_commands(call: Call) -> Answer:
    _own(call)
    return Answer(body=_here(call))


def get_command(call: Call) -> Answer:
    return Answer(body=_command(call))


def create_command(call: Call) -> Answer:
    """A command of the same name and kind is overwritten."""
    _own(call)
    body = call.fields
    check_shape(body, COMMAND)
    errors = FormErrors()
    check_command(errors, body, "")
    errors.settle()
    earlier = _namesake(call, body)
    if earlier is None and len(_here(call)) >= MAX_COMMANDS:
        raise Refusal(30032)
    return Answer(status=200 if earlier else 201, body=_store(call, body, earlier))


def update_command(call: Call) -> Answer:
    earlier = _command(call)
    body = {**earlier, **call.fields}
    check_shape(body, COMMAND)
    errors = FormErrors()
    check_command(errors, body, "")
    errors.settle()
    return Answer(body=_store(call, body, earlier))


def delete_command(call: Call) -> Answer:
    del call.world.commands[_command(call)["id"]]
    return DONE


def set_commands(call: Call) -> Answer:
    """Replace all commands there; those that keep their name keep their id."""
    _own(call)
    wanted: Any = call.body or []
    check_shape(wanted, [COMMAND])
    if len(wanted) > MAX_COMMANDS:
        raise Refusal(30032)
    errors = FormErrors()
    seen: set[tuple[str, int]] = set()
    for position, body in enumerate(wanted):
        check_command(errors, body, f"{position}.")
        name = (str(body.get("name")), int(body.get("type") or 1))
        if name in seen:
            words = "Application command names must be unique"
            errors.add(f"{position}.name", "APPLICATION_COMMANDS_DUPLICATE_NAME", words)
        seen.add(name)
    errors.settle()
    stored = [_store(call, body, _namesake(call, body)) for body in wanted]
    kept = {one["id"] for one in stored}
    for gone in [one["id"] for one in _here(call) if one["id"] not in kept]:
        del call.world.commands[gone]
    return Answer(body=stored)


def _own(call: Call) -> None:
    if call.parameters["application_id"] != call.world.application_id:
        raise Refusal(20012)
    if call.parameters.get("guild_id") not in (None, call.world.guild_id):
        raise Refusal(50001)


def _here(call: Call) -> list[Json]:
    place = call.parameters.get("guild_id")
    return [one for one in call.world.commands.values() if one.get("guild_id") == place]


def _command(call: Call) -> Json:
    _own(call)
    for one in _here(call):
        if one["id"] == call.parameters["command_id"]:
            return one
    raise Refusal(10063)


def _namesake(call: Call, body: Json) -> Json | None:
    name = (body["name"], body.get("type") or 1)
    return next((one for one in _here(call) if (one["name"], one["type"]) == name), None)


def _store(call: Call, body: Json, earlier: Json | None) -> Json:
    world = call.world
    command_id = earlier["id"] if earlier else world.mint()
    stored = command_json(body, command_id, world.application_id, world.mint(), call.parameters.get("guild_id"))
    world.commands[command_id] = stored
    return stored


_GLOBAL = "/applications/{application_id}/commands"
_GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"


def _routes(base: str, kind: str) -> tuple[Route, ...]:
    one = base + "/{command_id}"
    return (
        Route(operation=f"list_{kind}application_commands", method="GET", path=base, handle=list_commands),
        Route(operation=f"bulk_set_{kind}application_commands", method="PUT", path=base, handle=set_commands),
        Route(operation=f"create_{kind}application_command", method="POST", path=base, handle=create_command),
        Route(operation=f"get_{kind}application_command", method="GET", path=one, handle=get_command),
        Route(operation=f"update_{kind}application_command", method="PATCH", path=one, handle=update_command),
        Route(operation=f"delete_{kind}application_command", method="DELETE", path=one, handle=delete_command),
    )


ROUTES = _routes(_GLOBAL, "") + _routes(_GUILD, "guild_")
