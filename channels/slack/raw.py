"""The raw form of what Slack sends, as it is stored: an envelope of ours, and its key of de-duplication. Pure.

`{"bot", "type", "payload", "names": {id: name}, "threads": {ts: thread_ts}, "parent": {"text"}}`: the bot's id
is needed to know a mention; names, threads and parent are what the channel knew when it came. `decode.py` reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.slack.said import mentioned

Json = dict[str, Any]

EVENT = "events_api"
PRESS = "interactive"
COMMAND = "slash_commands"
TS = re.compile(r"\d{6,12}\.\d{6}\Z")
"""Slack's id of a message in its conversation, and its time."""
_ID = re.compile(r"[A-Z][A-Z0-9]{1,30}\Z")
_SECRET = ("token", "response_url", "response_urls", "verification_token")
"""Of a payload: what lets others speak for Slack, or for us, is not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """Who we are in the workspace."""

    user: str
    """The bot's user id, `U…`."""
    bot: str = ""
    """Its id as an author, `B…`."""
    name: str = ""
    team: str = ""
    app: str = ""


@dataclass(slots=True, kw_only=True)
class Known:
    """What the channel knew when an event came."""

    names: Mapping[str, str] = field(default_factory=dict)
    threads: Mapping[str, str] = field(default_factory=dict)
    parent: Mapping[str, str] | None = None
    """The first message of its thread, for the first one there that we hear of."""


def pack(bot: Bot, kind: str, payload: Json, known: Known) -> bytes:
    """Return the raw form that is stored."""
    kept = {key: value for key, value in payload.items() if key not in _SECRET}
    raw: Json = {"bot": {"user": bot.user, "bot": bot.bot, "name": bot.name}, "type": kind, "payload": kept}
    raw |= {"names": dict(known.names), "threads": dict(known.threads)}
    if known.parent is not None:
        raw["parent"] = dict(known.parent)
    return json.dumps(raw).encode()


def as_dict(value: object) -> Json:
    """Return the value if it is a JSON object, else an empty one: what Slack sends may have any shape."""
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> list[Json]:
    """Return the JSON objects of a list, none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def event_of(payload: Json) -> Json:
    return as_dict(payload.get("event"))


def event_id(kind: str, payload: Json, envelope_id: str) -> str:
    """Return the key of de-duplication. A message's is its place and ts: a mention comes as two events, and comes again
    from history."""
    event = event_of(payload)
    if kind == EVENT and is_message(event) and event.get("channel"):
        return f"{event['channel']}:{event['ts']}"
    if kind == EVENT and payload.get("event_id"):
        return str(payload["event_id"])
    return str(payload.get("trigger_id") or envelope_id)


def is_message(event: Mapping[str, Any]) -> bool:
    """Return whether the event is that somebody said something new."""
    hidden = event.get("subtype") in ("message_changed", "message_deleted", "message_replied")
    return event.get("type") in ("message", "app_mention") and not hidden and is_ts(event.get("ts"))


def is_ts(value: object) -> bool:
    return isinstance(value, str) and TS.match(value) is not None


def is_own(bot: Bot, event: Json) -> bool:
    """Return whether the event is only that we said something, or changed what we had said."""
    said = as_dict(event.get("message")) or as_dict(event.get("previous_message")) or event
    is_ours = said.get("user") == bot.user or (bool(bot.bot) and said.get("bot_id") == bot.bot)
    return event.get("type") == "message" and is_ours


def conversation_of(kind: str, payload: Json) -> str:
    """Return the conversation that the payload is about; empty for none."""
    if kind == PRESS:
        inside = as_dict(payload.get("container")).get("channel_id") or as_dict(payload.get("channel")).get("id")
        return str(inside or "")
    if kind == COMMAND:
        return str(payload.get("channel_id") or "")
    event = event_of(payload)
    place = event.get("channel") or as_dict(event.get("item")).get("channel") or ""
    return str(place.get("id", "") if isinstance(place, dict) else place)


def ids_in(payload: Json) -> set[str]:
    """Return the ids of people and channels whose names a reader of this payload would want."""
    event = event_of(payload)
    found = {str(as_dict(payload.get("user")).get("id") or payload.get("user_id") or "")}
    for said in (event, as_dict(event.get("message")), as_dict(event.get("previous_message"))):
        found |= set(_ids_in(said))
    return {id_ for id_ in found if _ID.match(id_)}


def _ids_in(said: Json) -> Iterator[str]:
    for field_name in ("user", "parent_user_id"):
        yield str(said.get(field_name))
    if isinstance(text := said.get("text"), str):
        yield from mentioned(text)
    for part in dicts(said.get("attachments")):
        yield str(part.get("author_id"))
