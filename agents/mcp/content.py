"""What an MCP server answers, as a model reads it: text, images to look at, files that it made, links."""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator, Sequence

from agents.long_output import LongOutput, drop_oldest
from agents.mcp.cards import plain
from agents.mcp.rpc import Message, object_at, text_at
from agents.seen_files import look_at
from agents.tools.opened_file import write_whole
from agents.tools.tool import MAX_OUTPUT_CHARS, Looked, ToolContext, ToolError
from protocol.transcript import SeenFile

MAX_ITEMS = 200
MAX_FILE_BYTES = 5_000_000
_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "text/html": "html",
    "application/json": "json",
}


def read_result(result: Message, context: ToolContext, *, sees: bool) -> str | Looked:
    """Return a call's result; raise ToolError where it is an error. `sees`: whether the model looks at images."""
    reading = _Reading(context, sees=sees)
    content = result.get("content")
    words = list(reading.texts(content if isinstance(content, list) else ()))
    structured = result.get("structuredContent")
    if structured is not None and not any(words):
        words = [json.dumps(structured, ensure_ascii=False, indent=1)]
    return reading.output(words, is_error=result.get("isError") is True)


def read_resource(result: Message, context: ToolContext, *, sees: bool) -> str | Looked:
    """Return what a resource holds."""
    reading = _Reading(context, sees=sees)
    contents = result.get("contents")
    found = ({"type": "resource", "resource": each} for each in (contents if isinstance(contents, list) else ()))
    return reading.output(list(reading.texts(list(found))), is_error=False)


def list_resources(found: Sequence[Message]) -> str:
    """Return a line for each resource of a server."""
    return "\n".join(_link(each) for each in found[:MAX_ITEMS]) or "It has none."


class _Reading:
    """One answer; what is no text becomes a file."""

    def __init__(self, context: ToolContext, *, sees: bool) -> None:
        self._context = context
        self._sees = sees
        self._seen: list[SeenFile] = []
        self._files = 0

    def texts(self, content: Sequence[object]) -> Iterator[str]:
        for item in content[:MAX_ITEMS]:
            if isinstance(item, dict):
                yield self._text(item)
        if len(content) > MAX_ITEMS:
            yield f"[… {len(content) - MAX_ITEMS} more parts left out …]"

    def output(self, words: Sequence[str], *, is_error: bool) -> str | Looked:
        kept = LongOutput(self._context.places, self._context.call_id, MAX_OUTPUT_CHARS)
        try:
            kept.add("\n".join(word for word in words if word).encode("utf-8", "replace"))
        finally:
            kept.close()
        text = kept.text() or "(no output)"
        if is_error:
            raise ToolError(text)
        return Looked(text=text, files=tuple(self._seen)) if self._seen else text

    def _text(self, item: Message) -> str:
        match item.get("type"):
            case "text":
                return text_at(item, "text")
            case "image" | "audio":
                return self._file(text_at(item, "data"), text_at(item, "mimeType"))
            case "resource_link":
                return _link(item)
            case "resource":
                inner = object_at(item, "resource")
                where = plain(text_at(inner, "uri"), 500)
                if "blob" in inner:
                    return f"[{where}] {self._file(text_at(inner, 'blob'), text_at(inner, 'mimeType'))}"
                return f"[{where}]\n{text_at(inner, 'text')}"
            case other:
                return f"[a part of the unknown kind {plain(str(other), 40)!r} is left out]"

    def _file(self, data: str, media_type: str) -> str:
        """Keep what is no text as a file, have the model look at it if it can, and say where it is."""
        if len(data) > MAX_FILE_BYTES * 4 // 3 + 4:
            return f"[{plain(media_type, 60)}: left out, it is larger than {MAX_FILE_BYTES} bytes]"
        try:
            content = binascii.a2b_base64("".join(data.split()), strict_mode=True)
        except ValueError:
            return f"[{plain(media_type, 60)}: left out, it is not base64]"
        self._files += 1
        ending = _ENDINGS.get(media_type.partition(";")[0].strip().lower(), "bin")
        places = self._context.places
        path = f"{places.root}/home/agent/outputs/{self._context.call_id}-{self._files}.{ending}"
        try:
            write_whole(places, path, content)
            drop_oldest(f"{places.root}/home/agent/outputs")
        except (ToolError, OSError) as error:
            return f"[{plain(media_type, 60)}, {len(content)} bytes: not kept: {error}]"
        seen = self._look(path)
        return f"[{plain(media_type, 60)}, {len(content)} bytes: {path}{', shown to you' if seen else ''}]"

    def _look(self, path: str) -> bool:
        if not self._sees:
            return False
        try:
            self._seen.append(look_at(self._context.places, path))
        except ToolError:  # of a kind that no model looks at, or too large
            return False
        return True


def _link(item: Message) -> str:
    name, words = plain(text_at(item, "title") or text_at(item, "name"), 200), plain(text_at(item, "description"), 500)
    kind = plain(text_at(item, "mimeType"), 60)
    return f"[{name}: {plain(text_at(item, 'uri'), 1000)}{f' ({kind})' if kind else ''}] {words}".rstrip()
