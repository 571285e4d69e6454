"""What an OpenAI-compatible service for transcriptions is sent, and what it answers. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

MAX_WORDS_CHARS = 100_000
"""More than anybody says in a voice note."""
_NAMES = {
    "audio/ogg": "voice.ogg",
    "audio/opus": "voice.ogg",
    "audio/mpeg": "voice.mp3",
    "audio/mp3": "voice.mp3",
    "audio/mp4": "voice.m4a",
    "audio/m4a": "voice.m4a",
    "audio/x-m4a": "voice.m4a",
    "audio/aac": "voice.m4a",
    "audio/wav": "voice.wav",
    "audio/x-wav": "voice.wav",
    "audio/webm": "voice.webm",
    "audio/flac": "voice.flac",
    "video/mp4": "voice.mp4",
    "video/webm": "voice.webm",
}
_EXTENSION = re.compile(r"\.(flac|m4a|mp3|mp4|mpeg|mpga|oga|ogg|wav|webm)\Z")
_SAFE_MODEL = re.compile(r"[A-Za-z0-9._:/@-]{1,100}")


class OddTranscript(Exception):
    """An answer without a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with one file: what stands before its bytes and after them."""

    head: bytes
    tail: bytes
    content_type: str


def build_form(model: str, media_type: str, stored_name: str, boundary: str) -> Form:
    """Return the form that asks for the words of a recording. Services tell its format by the name: one that the host
    makes, of what the platform calls it or else of how its stored name ends."""
    if _SAFE_MODEL.fullmatch(model) is None:
        raise OddTranscript(f"no service knows a model called {model[:40]!r}")
    ending = _EXTENSION.search(stored_name)
    usual = f"voice{ending.group(0)}" if ending else "voice.ogg"
    name = _NAMES.get(media_type.partition(";")[0].strip().lower(), usual)
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (("model", model), ("response_format", "json"))
    )
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return Form(
        head=f"{fields}{file}".encode(),
        tail=f"\r\n--{boundary}--\r\n".encode(),
        content_type=f"multipart/form-data; boundary={boundary}",
    )


def read_words(body: bytes) -> str:
    """Return the words of an answer, empty where nobody speaks; raise OddTranscript."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise OddTranscript("it is no JSON") from error
    text = value.get("text") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise OddTranscript("it has no text")
    return text.strip()[:MAX_WORDS_CHARS]


def mark_words(words: str, heard_by: str) -> str:
    """Return a transcript as it stands in a message: nobody takes it for what the sender typed."""
    if not words:
        return f"[voice note: {heard_by} heard no words in it]"
    return f"[voice note, transcribed by {heard_by}]\n{words}"
