"""Who is mentioned by a text, and what `allowed_mentions` lets through. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from twins.discord.refusal import FormErrors
from twins.discord.snowflake import is_snowflake

Json = dict[str, Any]

_CODE = re.compile(r"```.*?```|``.+?``|`[^`\n]+`", re.DOTALL)
_PERSON = re.compile(r"<@!?(\d{1,20})>")
_ROLE = re.compile(r"<@&(\d{1,20})>")
_ALL = re.compile(r"@(?:everyone|here)\b")
_KINDS = ("users", "roles", "everyone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentioned:
    people: tuple[str, ...]
    roles: tuple[str, ...]
    everyone: bool


def find_mentions(
    content: str,
    allowed: Json | None,
    *,
    people: Collection[str],
    roles: Collection[str],
    may_mention_all: bool,
    replied_to: str | None = None,
) -> Mentioned:
    """Return whom a message notifies: what stands in its text outside code, as far as it is allowed, and the author of
    what it replies to."""
    text = _CODE.sub(" ", content)
    kinds = set(_KINDS) if allowed is None else set(allowed.get("parse") or ())
    named = allowed or {}
    found_people = [one for one in dict.fromkeys(_PERSON.findall(text)) if one in people]
    found_roles = [one for one in dict.fromkeys(_ROLE.findall(text)) if one in roles]
    if "users" not in kinds:
        found_people = [one for one in found_people if one in (named.get("users") or ())]
    if "roles" not in kinds:
        found_roles = [one for one in found_roles if one in (named.get("roles") or ())]
    pings_replied = allowed is None or bool(allowed.get("replied_user"))
    if replied_to is not None and pings_replied and replied_to in people and replied_to not in found_people:
        found_people.append(replied_to)
    everyone = "everyone" in kinds and may_mention_all and _ALL.search(text) is not None
    return Mentioned(people=tuple(found_people), roles=tuple(found_roles), everyone=everyone)


def check_allowed_mentions(errors: FormErrors, allowed: Any) -> None:
    """Note what is wrong with the field."""
    if allowed is None:
        return
    for position, kind in enumerate(allowed.get("parse") or ()):
        if kind not in _KINDS:
            choices = ", ".join(f"'{one}'" for one in _KINDS)
            path = f"allowed_mentions.parse.{position}"
            errors.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{choices}}}.")
    for field in ("users", "roles"):
        ids = allowed.get(field) or []
        errors.too_long(f"allowed_mentions.{field}", ids, 100)
        if ids and field in (allowed.get("parse") or ()):
            words = f'parse:["{field}"] and {field}: [ids...] are mutually exclusive.'
            errors.add("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", words)
        for position, one in enumerate(ids):
            if not is_snowflake(one):
                words = f'Value "{one}" is not snowflake.'
                errors.add(f"allowed_mentions.{field}.{position}", "NUMBER_TYPE_COERCE", words)
