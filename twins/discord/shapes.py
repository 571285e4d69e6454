"""Of which kind the fields of a body must be, before anything looks at what they say. Pure.

A shape is a kind, a record of shapes, or a list with the one shape of its items. What a shape does not name may be
anything: Discord ignores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from twins.discord.refusal import FormErrors


class Kind(Enum):
    """A kind of value, with the code and the words of its refusal."""

    TEXT = (("STRING_TYPE_CONVERT", "Could not interpret value as string."), str)
    WORDS = (("STRING_TYPE_CONVERT", "Could not interpret value as string"), str, int, float)
    NUMBER = (("NUMBER_TYPE_COERCE", "Value is not int."), int)
    ID = (("NUMBER_TYPE_COERCE", "Value is not snowflake."), str, int)
    FLAG = (("BOOLEAN_TYPE_CONVERT", "Must be either true or false."), bool)


_RECORD = ("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
_LIST = ("LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")

Shape = Kind | Mapping[str, Any] | list[Any]

_PICTURE: Shape = {"url": Kind.TEXT}
_EMBED: Shape = {
    **dict.fromkeys(("title", "description", "url", "timestamp", "type"), Kind.TEXT),
    "color": Kind.NUMBER,
    "footer": {"text": Kind.TEXT, "icon_url": Kind.TEXT},
    "author": {"name": Kind.TEXT, "url": Kind.TEXT, "icon_url": Kind.TEXT},
    "image": _PICTURE,
    "thumbnail": _PICTURE,
    "fields": [{"name": Kind.TEXT, "value": Kind.TEXT}],
}
_CHOICE: Shape = {"label": Kind.TEXT, "value": Kind.TEXT, "description": Kind.TEXT}
_LEAF: dict[str, Any] = {
    "type": Kind.NUMBER,
    **dict.fromkeys(("custom_id", "label", "url", "placeholder", "content", "title"), Kind.TEXT),
    "style": Kind.NUMBER,
    "emoji": {"name": Kind.TEXT},
    "options": [_CHOICE],
}
_ROW: dict[str, Any] = {**_LEAF, "components": [_LEAF], "accessory": _LEAF, "component": _LEAF}
COMPONENT: Shape = {**_LEAF, "components": [_ROW], "accessory": _LEAF, "component": _LEAF}
MESSAGE: dict[str, Any] = {
    "content": Kind.WORDS,
    "flags": Kind.NUMBER,
    "embeds": [_EMBED],
    "components": [COMPONENT],
    "allowed_mentions": {"parse": [Kind.TEXT], "users": [Kind.ID], "roles": [Kind.ID]},
    "message_reference": {"message_id": Kind.ID, "channel_id": Kind.ID, "type": Kind.NUMBER},
    "attachments": [{"id": Kind.ID, "filename": Kind.TEXT, "description": Kind.TEXT, "title": Kind.TEXT}],
    "tts": Kind.FLAG,
}
ANSWER: Shape = {
    **MESSAGE,
    "choices": [{"name": Kind.TEXT, "value": Kind.WORDS}],
    "custom_id": Kind.TEXT,
    "title": Kind.TEXT,
}
_OPTION: dict[str, Any] = {
    "type": Kind.NUMBER,
    "name": Kind.TEXT,
    "description": Kind.TEXT,
    "choices": [{"name": Kind.TEXT, "value": Kind.WORDS}],
}
_GROUP: dict[str, Any] = {**_OPTION, "options": [{**_OPTION, "options": [_OPTION]}]}
COMMAND: Shape = {**_OPTION, "options": [_GROUP], "default_member_permissions": Kind.ID, "contexts": [Kind.NUMBER]}
CHANNEL: Shape = {
    "name": Kind.TEXT,
    "topic": Kind.TEXT,
    "type": Kind.NUMBER,
    "auto_archive_duration": Kind.NUMBER,
    "rate_limit_per_user": Kind.NUMBER,
    "archived": Kind.FLAG,
    "locked": Kind.FLAG,
}


def check_shape(value: Any, shape: Shape, within: str = "") -> None:
    """Raise Refusal 50035 for a value with a field of another kind; a field that is null is none."""
    errors = FormErrors(within)
    _check(errors, value, shape, "")
    errors.settle()


def _check(errors: FormErrors, value: Any, shape: Shape, path: str) -> None:
    if value is None:
        return
    if isinstance(shape, Kind):
        words, *kinds = shape.value
        allowed = isinstance(value, tuple(kinds)) and (bool in kinds or not isinstance(value, bool))
        if not allowed:
            errors.add(path, *words)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            errors.add(path, *_LIST)
            return
        for position, item in enumerate(value):
            if item is None:
                errors.add(_below(path, position), "BASE_TYPE_REQUIRED", "This field is required")
            _check(errors, item, shape[0], _below(path, position))
    elif not isinstance(value, dict):
        errors.add(path, *_RECORD)
    else:
        for name, inner in shape.items():
            _check(errors, value.get(name), inner, _below(path, name))


def _below(path: str, part: str | int) -> str:
    return f"{path}.{part}" if path else str(part)
