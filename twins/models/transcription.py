"""The transcriptions of an OpenAI-compatible server: a recording says what its bytes spell. Pure.

A recording in tests is text in UTF-8, behind the four bytes that an Ogg file begins with if it likes; in any other
nobody speaks.
"""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

OGG = b"OggS"
ENDINGS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")


def read_form(content_type: str, body: bytes) -> tuple[str, str, bytes]:
    """Return model, file name and recording of a request; raise ValueError for another."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise ValueError("the body is no form")
    fields: dict[str, tuple[str, bytes]] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = (part.get_filename() or "", content)
    if "model" not in fields or "file" not in fields:
        raise ValueError("a form has model and file")
    file_name, recording = fields["file"]
    if file_name.rpartition(".")[2] not in ENDINGS:
        raise ValueError(f"Invalid file format. Supported formats: {list(ENDINGS)}")
    return fields["model"][1].decode(), file_name, recording


def build_answer(model: str, recording: bytes) -> dict[str, Any]:
    """Return the answer as the API gives it: whisper tells its use in seconds, newer models in tokens, and a server of
    one's own not at all."""
    try:
        words = recording.removeprefix(OGG).decode("utf-8")
    except UnicodeDecodeError:
        words = ""
    if model.startswith("whisper"):
        return {"text": words, "usage": {"type": "duration", "seconds": len(recording) // 2_000 + 1}}
    if not model.startswith("gpt"):
        return {"text": words}
    heard, said = len(recording) // 200 + 1, len(words) // 4 + 1
    usage = {"type": "tokens", "input_tokens": heard, "output_tokens": said, "total_tokens": heard + said}
    return {"text": words, "usage": usage}
