"""Which schema of Discord's OpenAPI description a payload of the API or the gateway must fit. Pure.

The description is of the API alone. A gateway event is held against the schema of what it carries; the fields that
Discord's gateway documentation adds to an event are named here, and no others may stand in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twins.conformance.json_schema import Schemas

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What an event carries: a schema for a part of it (`` for the whole, `x[]` for each of a list)."""

    schema: str
    part: str = ""
    more: frozenset[str] = field(default_factory=frozenset)
    """Fields that the gateway adds."""


def _message() -> tuple[Carried, ...]:
    added = frozenset(("guild_id", "member", "channel_type"))
    return (Carried(schema="MessageResponse", more=added),)


_ADDED_TO_SERVERS = frozenset(
    {
        *("joined_at", "large", "unavailable", "member_count", "voice_states", "members", "channels", "threads"),
        *("presences", "stage_instances", "guild_scheduled_events", "soundboard_sounds", "embedded_activities"),
        *("guild_hashes", "lazy"),
    }
)
EVENTS: Mapping[str, tuple[Carried, ...]] = {
    "READY": (Carried(schema="UserPIIResponse", part="user"),),
    "GUILD_CREATE": (
        Carried(schema="GuildResponse", more=_ADDED_TO_SERVERS),
        Carried(schema="GuildChannelResponse", part="channels[]"),
        Carried(schema="ThreadResponse", part="threads[]"),
        Carried(schema="GuildMemberResponse", part="members[]"),
    ),
    "MESSAGE_CREATE": _message(),
    "MESSAGE_UPDATE": _message(),
    "THREAD_CREATE": (Carried(schema="ThreadResponse", more=frozenset(("newly_created",))),),
    "THREAD_UPDATE": (Carried(schema="ThreadResponse"),),
    "THREAD_MEMBERS_UPDATE": (
        Carried(schema="ThreadMemberResponse", part="added_members[]", more=frozenset(("presence",))),
    ),
    "CHANNEL_CREATE": (Carried(schema="GuildChannelResponse"),),
    "CHANNEL_UPDATE": (Carried(schema="GuildChannelResponse"),),
    "CHANNEL_DELETE": (Carried(schema="GuildChannelResponse"),),
    "GUILD_MEMBER_ADD": (Carried(schema="GuildMemberResponse", more=frozenset(("guild_id",))),),
    "GUILD_MEMBER_REMOVE": (Carried(schema="UserResponse", part="user"),),
    "GUILD_MEMBERS_CHUNK": (Carried(schema="GuildMemberResponse", part="members[]"),),
    "TYPING_START": (Carried(schema="GuildMemberResponse", part="member"),),
    "MESSAGE_REACTION_ADD": (
        Carried(schema="MessageReactionEmojiResponse", part="emoji"),
        Carried(schema="GuildMemberResponse", part="member"),
    ),
    "MESSAGE_REACTION_REMOVE": (Carried(schema="MessageReactionEmojiResponse", part="emoji"),),
    "MESSAGE_REACTION_REMOVE_EMOJI": (Carried(schema="MessageReactionEmojiResponse", part="emoji"),),
    "MESSAGE_DELETE": (Carried(schema="SnowflakeType", part="id"), Carried(schema="SnowflakeType", part="channel_id")),
    "MESSAGE_DELETE_BULK": (Carried(schema="SnowflakeType", part="ids[]"),),
    "INTERACTION_CREATE": (
        Carried(schema="MessageResponse", part="message"),
        Carried(schema="GuildMemberResponse", part="member", more=frozenset(("permissions",))),
        Carried(schema="UserResponse", part="user"),
        Carried(schema="SnowflakeType", part="channel_id"),
    ),
}


class Description:
    """Discord's description, read from the file that whoever runs this has fetched."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.version = str(document["info"]["version"])
        self._schemas = Schemas(document)
        self._operations = {
            operation["operationId"]: operation
            for path in document["paths"].values()
            for name, operation in path.items()
            if name != "parameters"
        }

    def request_errors(self, operation: str, body: Any) -> list[str]:
        """Return what is wrong with a body that was taken."""
        contents = self._operations[operation].get("requestBody", {}).get("content", {})
        if not contents:
            return [] if body in ({}, None) else ["no body is described"]
        content = contents.get("application/json") or next(iter(contents.values()))
        return self._schemas.wrong(content["schema"], body)

    def answer_errors(self, operation: str, status: int, body: Any) -> list[str]:
        """Return what is wrong with an answer of that status."""
        responses = self._operations[operation]["responses"]
        response = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if response is None:
            return [f"the status {status} is not described"]
        if "$ref" in response:
            response = self._schemas.resolve(response["$ref"])
        content = response.get("content", {}).get("application/json")
        if content is None:
            return [] if body is None else ["no body is described"]
        return self._schemas.wrong(content["schema"], body)

    def event_errors(self, name: str, data: Json) -> list[str] | None:
        """Return what is wrong with an event; None: nothing of it is described."""
        if name not in EVENTS:
            return None
        found: list[str] = []
        for carried in EVENTS[name]:
            schema = self._schemas.named(carried.schema)
            for part in _parts(data, carried.part):
                held = part
                if isinstance(part, dict):
                    held = {key: value for key, value in part.items() if key not in carried.more}
                    held = _without_members(held)
                found += [f"{carried.part}{wrong}" for wrong in self._schemas.wrong(schema, held)]
        return found

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(self._operations)


def read_description(path: Path) -> Description:
    """Return the description of a checkout of Discord's repository, or of its file; raise OSError for none."""
    file = path / "specs" / "openapi.json" if path.is_dir() else path
    return Description(json.loads(file.read_text("utf-8")))


def _parts(data: Json, part: str) -> list[Any]:
    if not part:
        return [data]
    name = part.removesuffix("[]")
    if name not in data:
        return []
    return list(data[name]) if part.endswith("[]") else [data[name]]


def _without_members(message: Json) -> Json:
    """Return an event's message without the members that the gateway puts beside those who are mentioned."""
    if not isinstance(message.get("mentions"), list):
        return message
    plain = [{key: value for key, value in one.items() if key != "member"} for one in message["mentions"]]
    return {**message, "mentions": plain}
