"""The stored form of a request, and what it says. Pure.

It is a line of JSON (`hook`, `event`, `content_type`), and after it the body, byte for byte as it was posted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from channels.channel import Undecodable, Work
from channels.webhook.hook import Hook
from channels.webhook.template import fill_template


def envelope(hook: str, event: str, content_type: str, body: bytes) -> bytes:
    """Return the form that is stored."""
    head = {"hook": hook, "event": event, "content_type": content_type[:200]}
    return json.dumps(head).encode("ascii") + b"\n" + body


def decode_work(raw: bytes, hooks: Mapping[str, Hook]) -> Work | None:
    """Return the work that a stored request brings, None if its event is not wanted; raise Undecodable."""
    head, _, body = raw.partition(b"\n")
    try:
        known = json.loads(head)
        name, event, content_type = str(known["hook"]), str(known["event"]), str(known["content_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise Undecodable(f"it is not in the form in which requests are stored: {type(error).__name__}") from error
    hook = hooks.get(name)
    if hook is None:
        raise Undecodable(f"the hook {name} is not in any group.yaml any more")
    if hook.events and event not in hook.events:
        return None
    return Work(source=name, text=fill_template(hook.template, event, content_type, body))
