"""Reads token use from a model's response as it passes by: Anthropic, OpenAI and Google, streamed or not. Pure.

It looks at copies and never alters or delays the stream; what it cannot read it estimates from the sizes, rather high
than low, so that leaving the numbers out is no way around a limit.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MAX_LINE_BYTES = 1 << 20
MAX_BODY_BYTES = 8 << 20
MAX_MODEL_CHARS = 100
REQUEST_BYTES_PER_TOKEN = 4
BODY_BYTES_PER_TOKEN = 4
AUDIO_BYTES_PER_TOKEN = 200
"""Of a recording: a voice note has some 2 kB a second."""
AUDIO_TOKENS_PER_S = 10
"""As OpenAI counts what it hears."""
STREAM_BYTES_PER_TOKEN = 32
"""An event's wrapping is 100 to 250 bytes for one to ten tokens."""

_MOST_OUTPUT = re.compile(rb'"max_(?:completion_|output_)?tokens"\s*:\s*(\d{1,8})')
_MODEL = re.compile(
    rb'"model"\s*:\s*"(?P<json>[A-Za-z0-9._:/@-]{1,100})"'
    rb'|name="model"\r\n\r\n(?P<form>[A-Za-z0-9._:/@-]{1,100})\r\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """What one model call used."""

    model: str
    input_tokens: int
    """All of them, cached ones too."""
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    is_estimated: bool = False


class ModelUseReader:
    """Fed with a response's body; asked once at its end, whole or broken."""

    def __init__(self, *, is_event_stream: bool) -> None:
        self._is_event_stream = is_event_stream
        self._pending = bytearray()
        self._is_skipping = False
        self._seen_bytes = 0
        self._model = ""
        self._input = 0
        self._output = 0
        self._cache_read = 0
        self._cache_write = 0
        self._has_input = False
        self._has_final_output = False

    def feed(self, data: bytes) -> None:
        self._seen_bytes += len(data)
        if self._is_event_stream:
            self._feed_lines(data)
        elif len(self._pending) + len(data) <= MAX_BODY_BYTES:
            self._pending += data

    def use(self, *, status: int, request_bytes: int, asked_model: str, is_audio: bool = False) -> ModelUse:
        """Return what was used; an error response used nothing. `is_audio`: the request was a recording."""
        if not self._is_event_stream:
            self._take_json(bytes(self._pending))
        if status >= 400:
            return ModelUse(model=self._model or asked_model, input_tokens=0, output_tokens=0)
        per_token = STREAM_BYTES_PER_TOKEN if self._is_event_stream else BODY_BYTES_PER_TOKEN
        asked_per_token = AUDIO_BYTES_PER_TOKEN if is_audio else REQUEST_BYTES_PER_TOKEN
        guessed_output = self._seen_bytes // per_token
        return ModelUse(
            model=self._model or asked_model,
            input_tokens=self._input if self._has_input else request_bytes // asked_per_token,
            output_tokens=self._output if self._has_final_output else max(self._output, guessed_output),
            cache_read_tokens=self._cache_read,
            cache_write_tokens=self._cache_write,
            is_estimated=not (self._has_input and self._has_final_output),
        )

    def _feed_lines(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._pending += line
            if not self._is_skipping:
                self._take_line(bytes(self._pending))
            self._pending.clear()
            self._is_skipping = False
        self._pending += rest
        if len(self._pending) > MAX_LINE_BYTES:
            self._pending.clear()
            self._is_skipping = True

    def _take_line(self, line: bytes) -> None:
        if line.startswith(b"data:") and (b'"usage"' in line or b'"usageMetadata"' in line):
            self._take_json(line[5:])

    def _take_json(self, text: bytes) -> None:
        try:
            value = json.loads(text.decode("utf-8"))  # told what it is, since guessing costs as much as decoding
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        kind = value.get("type")
        inner = value.get("message") if kind == "message_start" else value.get("response")
        holder = inner if isinstance(inner, dict) else value
        if isinstance(holder.get("model"), str):
            self._model = _writable(holder["model"])
        usage = holder.get("usage")
        if isinstance(usage, dict):
            self._take_usage(usage, is_final=kind != "message_start")
        elif isinstance(holder.get("usageMetadata"), dict):
            self._take_google(holder)

    def _take_google(self, holder: dict[str, Any]) -> None:
        """Each piece of a stream tells the sums so far; what was thought is paid for as what was said."""
        usage = holder["usageMetadata"]
        if isinstance(holder.get("modelVersion"), str):
            self._model = _writable(holder["modelVersion"])
        if type(usage.get("promptTokenCount")) is int:
            self._has_input = True
            self._cache_read = _count(usage, "cachedContentTokenCount")
            self._input = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
        output = _count(usage, "candidatesTokenCount") + _count(usage, "thoughtsTokenCount")
        self._output = max(self._output, output)
        self._has_final_output = self._has_final_output or self._has_input

    def _take_usage(self, usage: dict[str, Any], *, is_final: bool) -> None:
        read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
        plain = _first_count(usage, "input_tokens", "prompt_tokens")
        if plain is not None:
            self._has_input = True
            self._cache_read = read or _cached(usage)
            self._cache_write = written
            self._input = plain + read + written
        elif usage.get("type") == "duration" and isinstance(seconds := usage.get("seconds"), int | float):
            self._has_input = True
            self._input = int(min(max(seconds, 0.0), 86_400.0) * AUDIO_TOKENS_PER_S) + 1
        output = _first_count(usage, "output_tokens", "completion_tokens")
        if output is not None:
            self._output = max(self._output, output)
            self._has_final_output = self._has_final_output or is_final
        elif is_final and plain is not None:
            self._has_final_output = True  # embeddings: nothing is put out


def asked_model(body: bytes) -> str:
    """Return the model that a request's first bytes name, empty if they do not."""
    found = _MODEL.search(body)
    return (found["json"] or found["form"]).decode("ascii") if found else ""


def asked_output(body: bytes) -> int | None:
    """Return how many tokens a request allows its answer, None if it does not say. A text inside it that looks the
    same can only make it more."""
    return max((int(found) for found in _MOST_OUTPUT.findall(body)), default=None)


def _writable(name: str) -> str:
    """Return a model's name as it may be stored and shown: JSON can spell what is no character (`\\ud800`), and neither
    sqlite nor a frame takes that."""
    return "".join(char if char.isprintable() else "?" for char in name[:MAX_MODEL_CHARS])


def _first_count(usage: dict[str, Any], *keys: str) -> int | None:
    return next((_count(usage, key) for key in keys if type(usage.get(key)) is int), None)


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


def _cached(usage: dict[str, Any]) -> int:
    """OpenAI counts cached tokens inside the prompt's."""
    for key in ("prompt_tokens_details", "input_tokens_details"):
        details = usage.get(key)
        if isinstance(details, dict):
            return _count(details, "cached_tokens")
    return 0
