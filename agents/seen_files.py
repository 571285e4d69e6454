"""Images and PDFs for models that can see: found in the container, and read anew for each question.

A conversation names a file by path and digest (`protocol.transcript.SeenFile`). Of many, the newest go along.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence

from agents.places import Places
from agents.tools.opened_file import full_path, opened_for_reading
from agents.tools.tool import ToolError
from protocol.transcript import Entry, SeenFile

MAX_IMAGE_BYTES = 3_750_000
"""Of one image: base64 makes it 5 MB, the least that the providers' limits allow."""
MAX_PDF_BYTES = 10_000_000
MAX_FILES = 20
MAX_FILES_BYTES = 15_000_000
"""Of all in one question: with base64 inside the 32 MB that the Messages API takes."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def look_at(places: Places, path: str) -> SeenFile:
    """Return an image or PDF as a conversation names it; raise ToolError, with the mend, for what no model reads."""
    with opened_for_reading(places, path) as descriptor:
        size = os.fstat(descriptor).st_size
        media_type = _media_type(os.pread(descriptor, 16, 0))
        if media_type is None:
            raise ToolError(f"{path}: is no PNG, JPEG, GIF, WebP or PDF; convert it with the shell first")
        most = MAX_PDF_BYTES if media_type == "application/pdf" else MAX_IMAGE_BYTES
        if size > most:
            raise ToolError(f"{path}: is {size} bytes, and the limit is {most}; make it smaller with the shell first")
        data = _read(descriptor, most)
    return SeenFile(path=full_path(places, path), media_type=media_type, sha256=hashlib.sha256(data).hexdigest())


def find_seen(places: Places, paths: Sequence[str]) -> tuple[SeenFile, ...]:
    """Return those of the files that a model can look at; the others it opens with its tools, if it wants to."""
    found: list[SeenFile] = []
    for path in paths[:MAX_FILES]:
        try:
            found.append(look_at(places, f"{places.root}{path}"))
        except ToolError:
            continue
    return tuple(found)


def load_files(entries: Sequence[Entry], places: Places) -> dict[str, str]:
    """Return sha256 → base64 of the newest files that are still what they were."""
    found: dict[str, str] = {}
    room = MAX_FILES_BYTES
    for file in _newest_first(entries):
        if file.sha256 in found:
            continue
        if len(found) == MAX_FILES:
            break
        try:
            with opened_for_reading(places, file.path) as descriptor:
                data = _read(descriptor, min(room, MAX_PDF_BYTES))
        except ToolError:
            continue
        if hashlib.sha256(data).hexdigest() == file.sha256:
            found[file.sha256] = base64.b64encode(data).decode("ascii")
            room -= len(data)
    return found


def _newest_first(entries: Sequence[Entry]) -> Iterator[SeenFile]:
    for entry in reversed(entries):
        for output in reversed(entry.outputs):
            yield from reversed(output.files)
        yield from reversed(entry.files)


def _read(descriptor: int, most: int) -> bytes:
    data = bytearray()
    while len(data) <= most and (piece := os.read(descriptor, 1 << 20)):
        data += piece
    return bytes(data)


def _media_type(head: bytes) -> str | None:
    """Return what a file is by its first bytes: its name may say anything."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _SIGNATURES if head.startswith(start)), None)
