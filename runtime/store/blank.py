"""Takes the words out of a stored record and leaves its shape, so that what reads it goes on working. Pure."""

from __future__ import annotations

import json

FORGOTTEN = "(forgotten)"
"""What stands where a person or an agent said something."""

_SHAPE = frozenset(
    {
        "kind", "chat_kind", "status", "code", "role", "effects", "trust", "channel_id", "chat", "person", "task_id",
        "attempt_id", "group_id", "session_id", "submitter", "call_id", "idempotency_key", "model", "route", "api",
        "sent_at", "media_type", "platform_message_id", "reply_to", "mode", "state", "type",
    }
)  # fmt: skip
"""Keys whose texts are the host's own words or ids; every other text is taken out."""
_SAID = frozenset({"text", "prompt", "reason", "summary"})
"""Keys of what is shown somewhere: a word is left there."""
_FREE = frozenset({"arguments", "structured", "payload", "value", "input"})
"""Keys of values that somebody outside gave their shape."""
_NONE = frozenset({"result_schema", "labels", "file_path"})


def blank_body(body: str) -> str:
    """Return a payload's body without its words; a body that is no JSON is all words."""
    try:
        value = json.loads(body)
    except ValueError:
        return FORGOTTEN
    if isinstance(value, str):
        return json.dumps(FORGOTTEN)
    return json.dumps(_blank(value, ""), ensure_ascii=False, separators=(",", ":"))


def _blank(value: object, key: str) -> object:
    if key in _NONE:
        return None
    if key in _FREE:
        return {} if isinstance(value, dict) else [] if isinstance(value, list) else None
    if isinstance(value, str):
        return value if key in _SHAPE else FORGOTTEN if key in _SAID else ""
    if isinstance(value, list):
        return [_blank(item, key) for item in value]
    if isinstance(value, dict):
        return {name: _blank(item, name) for name, item in value.items()}
    return value
