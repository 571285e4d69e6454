"""A call's arguments, however they came: query, form, multipart or JSON; nested values as JSON text or as they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from twins.slack.refusal import Refusal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    values: Json
    files: dict[str, tuple[str, bytes]]
    """Of a multipart body: field → file name and content."""

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name)
        return default if value is None else str(value)

    def needed(self, name: str, error: str = "invalid_arguments") -> str:
        """Return a text that must be there; refuse with that error."""
        value = self.text(name)
        if not value:
            raise Refusal(error, messages=[f"missing required field: {name}"] if error == "invalid_arguments" else None)
        return value

    def truth(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name)
        return default if value is None else str(value).lower() in ("1", "true", "yes")

    def number(self, name: str, default: int, error: str = "invalid_arguments") -> int:
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            raise Refusal(error) from None

    def nested(self, name: str, error: str) -> Any:
        """Return a list or an object, or None where there is none; refuse with that error what is not JSON."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError:
            raise Refusal(error) from None

    def names(self, name: str) -> list[str]:
        """Return a list given as `a,b` or as JSON."""
        value = self.values.get(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        text = "" if value is None else str(value)
        if text.startswith("["):
            return [str(item) for item in json.loads(text)]
        return [item.strip() for item in text.split(",") if item.strip()]


async def read_arguments(request: web.Request) -> Arguments:
    """Read a request's arguments; refuse a body that is not what its type says."""
    values: Json = dict(request.query)
    files: dict[str, tuple[str, bytes]] = {}
    if request.content_type == "application/json" and request.body_exists:
        try:
            body = await request.json()
        except ValueError:
            raise Refusal("invalid_json") from None
        if not isinstance(body, dict):
            raise Refusal("json_not_object")
        values |= body
    elif request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        for name, value in (await request.post()).items():
            if isinstance(value, FileField):
                files[name] = (value.filename, value.file.read())
            else:
                values[name] = value if isinstance(value, str) else bytes(value).decode()
    return Arguments(values=values, files=files)
