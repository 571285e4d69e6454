"""The raw form of what Slack sends, as it is stored: an envelope of ours, and its key of de-duplication. Pure.

`{"bot", "type", "payload", "names": {id: name}, "threads": {ts: thread_ts}, "parent": {"user", "text"}}`: the bot's
id is needed to know a mention; names, threads and parent are what the channel knew when it came. `decode.py` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.slack.said import mentioned

Json = dict[str, Any]

EVENT = "events_api"
PRESS = "interactive"
COMMAND = "slash_commands"
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


def event_of(payload: Json) -> Json:
    event = payload.get("event")
    return event if isinstance(event, dict) else {}


def event_id(kind: str, payload: Json, envelope_id: str) -> str:
    """Return the key of de-duplication. A message's is its place and ts: a mention comes as two events, and comes again
    from history."""
    event = event_of(payload)
    if kind == EVENT and is_message(event) and event.get("channel") and event.get("ts"):
        return f"{event['channel']}:{event['ts']}"
    if kind == EVENT and payload.get("event_id"):
        return str(payload["event_id"])
    return str(payload.get("trigger_id") or envelope_id)


def is_message(event: Mapping[str, Any]) -> bool:
    """Return whether the event is that somebody said something new."""
    hidden = event.get("subtype") in ("message_changed", "message_deleted", "message_replied")
    return event.get("type") in ("message", "app_mention") and not hidden


def conversation_of(kind: str, payload: Json) -> str:
    """Return the conversation that the payload is about; empty for none."""
    if kind == PRESS:
        return str((payload.get("container") or {}).get("channel_id") or (payload.get("channel") or {}).get("id") or "")
    if kind == COMMAND:
        return str(payload.get("channel_id") or "")
    event = event_of(payload)
    place = event.get("channel") or (event.get("item") or {}).get("channel") or ""
    return str(place.get("id", "") if isinstance(place, dict) else place)


def ids_in(payload: Json) -> set[str]:
    """Return the ids of people and channels whose names a reader of this payload would want."""
    event = event_of(payload)
    found: set[str] = set()
    for said in (event, event.get("message"), event.get("previous_message")):
        if isinstance(said, dict):
            found |= set(_ids_in(said))
    return found


def _ids_in(said: Json) -> Iterator[str]:
    for field_name in ("user", "inviter", "parent_user_id"):
        if isinstance(value := said.get(field_name), str):
            yield value
    if isinstance(text := said.get("text"), str):
        yield from mentioned(text)
    for part in said.get("attachments") or ():
        if isinstance(part, dict) and isinstance(author := part.get("author_id"), str):
            yield author
