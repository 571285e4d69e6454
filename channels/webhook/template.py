"""What an agent is told of a request: a text with names in braces, filled from what was posted. Pure.

`{repository.full_name}` is a value of the posted JSON, `{commits.0.message}` one of a list, `{event}` the service's
word for what happened, `{body}` the whole. A name that is not there becomes `(none)`; braces around anything else stay.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

MAX_VALUE_CHARS = 20_000
"""Of one value."""
MAX_TEXT_CHARS = 200_000
"""Of all that is made of a template."""
CUT = "… [cut here]"
NONE = "(none)"
_NAME = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")


def fill_template(template: str, event: str, content_type: str, body: bytes) -> str:
    """Return the text that a template makes of a request."""
    text = body.decode("utf-8", "replace")
    values = _posted(content_type, text)

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in ("event", "body") and not (isinstance(values, dict) and name in values):
            return _cut(event or NONE if name == "event" else text, MAX_VALUE_CHARS)
        return _cut(_shown(_look_up(values, name)), MAX_VALUE_CHARS)

    return _cut(_NAME.sub(value, template), MAX_TEXT_CHARS)


def _posted(content_type: str, text: str) -> Any:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        fields = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
        # GitHub's other form: the JSON as one field.
        return _json(fields["payload"]) if set(fields) == {"payload"} else fields
    return _json(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _look_up(value: Any, name: str) -> Any:
    for part in name.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 9:
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT
