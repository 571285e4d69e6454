"""What an agent is told of a request: a text with names in braces, filled from what was posted. Pure.

`{repository.full_name}` is a value of the posted JSON, `{commits.0.message}` one of a list, `{event}` the service's
word for what happened, `{body}` the whole. A name that is not there becomes `(none)`; braces around anything else stay.
"""

from __future__ import annotations

import functools
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
MAX_FIELDS = 1_000
"""Of a form; one of more is read as no form."""
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_NAME = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")


def fill_template(template: str, event: str, content_type: str, body: bytes) -> str:
    """Return the text that a template makes of a request."""
    text = body.decode("utf-8", "replace")
    values = _posted(content_type, text)

    @functools.cache
    def shown(name: str) -> str:
        if name in ("event", "body") and not (isinstance(values, dict) and name in values):
            return _cut(event or NONE if name == "event" else text, MAX_VALUE_CHARS)
        return _shown(_look_up(values, name))

    filled = _cut(_NAME.sub(lambda found: shown(found[1]), template), MAX_TEXT_CHARS)
    return filled.encode("utf-8", "replace").decode("utf-8")  # JSON can carry lone surrogates, UTF-8 cannot


def _posted(content_type: str, text: str) -> Any:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            posted = parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return None
        fields = {name: values[-1] for name, values in posted.items()}
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
    if isinstance(value, str):
        return _cut(value, MAX_VALUE_CHARS)
    text = ""
    try:
        for piece in _ENCODER.iterencode(value):
            text += piece
            if len(text) > MAX_VALUE_CHARS:
                break  # the rest of it would only be cut
    except RecursionError:
        return NONE
    return _cut(text, MAX_VALUE_CHARS)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT
