"""Application commands as bots describe them: checked, and as the API shows them. Pure."""

from __future__ import annotations

import re
from typing import Any

from twins.discord.refusal import FormErrors

Json = dict[str, Any]

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, PERSON, NUMBER = 1, 2, 3, 4, 5, 6, 10
MAX_OPTIONS = 25
_NAME = re.compile(r"[-_'\w]{1,32}")
_REGEX = "String value did not match validation regex."


def check_command(errors: FormErrors, body: Json, path: str) -> None:
    """Note what is wrong with a command; `path` ends with a dot or is empty."""
    kind = body.get("type") or CHAT_INPUT
    if kind not in (CHAT_INPUT, USER, MESSAGE):
        errors.add(f"{path}type", "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3}.")
    _check_name(errors, f"{path}name", body.get("name"), plain=kind == CHAT_INPUT)
    if kind == CHAT_INPUT:
        _check_description(errors, f"{path}description", body.get("description"))
    elif body.get("description"):
        words = "Context menu commands cannot have description"
        errors.add(f"{path}description", "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION", words)
    _check_options(errors, f"{path}options", body.get("options") or [])


def command_json(body: Json, command_id: str, application_id: str, version: str, guild_id: str | None) -> Json:
    """Return a command as the API shows it."""
    permissions = body.get("default_member_permissions")
    shown: Json = {
        "id": command_id,
        "application_id": application_id,
        "version": version,
        "type": body.get("type") or CHAT_INPUT,
        "name": body["name"],
        "name_localizations": body.get("name_localizations"),
        "description": body.get("description") or "",
        "description_localizations": body.get("description_localizations"),
        "default_member_permissions": None if permissions is None else str(permissions),
        "dm_permission": body.get("dm_permission", True) is not False,
        "contexts": body.get("contexts"),
        "integration_types": body.get("integration_types") or [0],
        "nsfw": bool(body.get("nsfw")),
    }
    if body.get("options"):
        shown["options"] = [_option(one) for one in body["options"]]
    if guild_id is not None:
        shown["guild_id"] = guild_id
        del shown["dm_permission"], shown["contexts"]
    return shown


def _check_name(errors: FormErrors, path: str, name: Any, *, plain: bool) -> None:
    errors.missing(path, name)
    errors.too_long(path, name, 32)
    if isinstance(name, str) and name and plain and (not _NAME.fullmatch(name[:32]) or name != name.lower()):
        errors.add(path, "APPLICATION_COMMAND_INVALID_NAME", f"{_REGEX} Command name is invalid")


def _check_description(errors: FormErrors, path: str, description: Any) -> None:
    errors.missing(path, description)
    errors.too_long(path, description, 100)


def _check_options(errors: FormErrors, path: str, options: list[Json]) -> None:
    errors.too_long(path, options, MAX_OPTIONS)
    optional_seen = False
    for position, option in enumerate(options):
        here = f"{path}.{position}"
        if option.get("type") not in range(1, 12):
            errors.add(f"{here}.type", "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}.")
        _check_name(errors, f"{here}.name", option.get("name"), plain=True)
        _check_description(errors, f"{here}.description", option.get("description"))
        errors.too_long(f"{here}.choices", option.get("choices") or [], 25)
        if option.get("required") and optional_seen:
            words = "Required options must be placed before non-required options"
            errors.add(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", words)
        optional_seen = optional_seen or not option.get("required")
        _check_options(errors, f"{here}.options", option.get("options") or [])


def _option(option: Json) -> Json:
    shown = {key: value for key, value in option.items() if value is not None}
    if option.get("options"):
        shown["options"] = [_option(one) for one in option["options"]]
    return shown
