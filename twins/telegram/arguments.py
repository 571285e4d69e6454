"""A method's arguments, however a client sent them: query, form, multipart or JSON. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from twins.telegram.refusal import bad_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that came in a multipart body."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of one call; values are texts, or what JSON gave."""

    values: Mapping[str, Any]
    uploads: Mapping[str, Upload]

    def text(self, name: str) -> str:
        value = self.values.get(name, "")
        return value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        value = self.values.get(name, default)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f"{name} must be an integer") from None

    def number(self, name: str, default: float = 0.0) -> float:
        try:
            return float(self.values.get(name, default))
        except (TypeError, ValueError):
            raise bad_request(f"{name} must be a number") from None

    def boolean(self, name: str) -> bool:
        value = self.values.get(name)
        return value.lower() in ("true", "yes", "1") if isinstance(value, str) else bool(value)

    def list_of(self, name: str) -> list[Any]:
        """Return a list, empty if it was not sent; raise Refusal for anything else."""
        value = self.structure(name)
        if value in (None, ""):
            return []
        if not isinstance(value, list):
            raise bad_request(f"can't parse {name}: expected an Array")
        return value

    def with_values(self, **values: Any) -> Arguments:
        """Return the same call with other arguments: what a method that stands for several calls hands on."""
        return Arguments(values={**self.values, **values}, uploads=self.uploads)

    def structure(self, name: str) -> Any:
        """Return a value that forms carry as JSON text; None if it was not sent."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name} JSON object") from None

    def file(self, name: str) -> Upload | str | None:
        """Return an uploaded file, the id or address of one, or None."""
        return self.uploads.get(name) or self.attached(self.values.get(name))

    def attached(self, value: Any) -> Upload | str | None:
        """Return the upload that `attach://name` stands for; any other text as it is."""
        if isinstance(value, str) and value.startswith("attach://"):
            return self.uploads.get(value.removeprefix("attach://"))
        return value if isinstance(value, str) and value else None


def parse_arguments(query: Mapping[str, str], content_type: str, body: bytes) -> Arguments:
    """Return the arguments of a call; those in the body win. Raise Refusal for a body that cannot be read."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        values, uploads = _parse_multipart(content_type, body)
        return Arguments(values={**query, **values}, uploads=uploads)
    if kind == "application/json" and body:
        return Arguments(values={**query, **_parse_json(body)}, uploads={})
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return Arguments(values={**query, **fields}, uploads={})


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        raise bad_request("can't parse JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("expected JSON object")
    return value


def _parse_multipart(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, Upload]]:
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise bad_request("can't find boundary in multipart/form-data")
    values: dict[str, str] = {}
    uploads: dict[str, Upload] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = head.decode("utf-8", "replace")
        name = _parameter(headers, "name")
        file_name = _parameter(headers, "filename")
        if file_name is None:
            values[name or ""] = content.decode("utf-8", "replace")
            continue
        media_type = re.search(r"content-type:\s*(\S+)", headers, re.IGNORECASE)
        uploads[name or ""] = Upload(
            name=_last_part(file_name),
            media_type=media_type.group(1) if media_type else "application/octet-stream",
            content=content,
        )
    return values, uploads


def _parameter(headers: str, name: str) -> str | None:
    found = re.search(rf'[;\s]{name}="((?:[^"\\]|\\.)*)"', headers)
    return None if found is None else found.group(1).replace("%22", '"').replace('\\"', '"')


def _last_part(file_name: str) -> str:
    """Return the name without folders, as the real server keeps it."""
    return re.split(r"[/\\]", file_name)[-1]
