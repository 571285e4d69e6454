"""Frames: how records become bytes on every socket of ours, and back. Pure: no socket here.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON: an object whose "type" names the record.
Each socket has a `FrameSet`: the records it may carry. Whatever else arrives is a FrameError with a code, and the
one who reads closes the link: after a broken frame nothing that follows can be trusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from protocol.codec import ShapeError, from_json, to_json

PROTOCOL_VERSION = "1.1"
"""`major.minor`. Another major closes the link; a newer minor may add keys and frame types to negotiate. 1.1 added Ask,
Answered and Steer between host and agent."""

HEADER_BYTES = 4
MAX_FRAME_BYTES = 1 << 20
"""What an agent, a proxy client or a terminal may send at once: 1 MiB. Files go in chunks."""
MAX_HOST_FRAME_BYTES = 32 << 20
"""What an agent accepts from its host: a task with its transcript, 32 MiB."""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class FrameError(Exception):
    """Bytes that are not a frame of this link.

    `code` is one of: truncated, oversized, not_json, not_an_object, unknown_type, wrong_shape, wrong_version.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class FrameSet:
    """The records that one side may send on one kind of socket, by their wire name (`TaskResult` is `task_result`)."""

    def __init__(self, *records: type) -> None:
        self._by_name = {frame_name(record): record for record in records}

    def decode(self, body: bytes) -> object:
        """Return the record in a frame's body; raise FrameError."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise FrameError("not_json", str(error)[:200]) from error
        if not isinstance(value, dict):
            raise FrameError("not_an_object", type(value).__name__)
        name = value.get("type")
        record = self._by_name.get(name) if isinstance(name, str) else None
        if record is None:
            raise FrameError("unknown_type", repr(name)[:80])
        try:
            return from_json(record, value)
        except ShapeError as error:
            raise FrameError("wrong_shape", str(error)[:200]) from error


class FrameDecoder:
    """Cuts a byte stream into frames' bodies, however the bytes are split."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each body that is now complete; raise FrameError("oversized") as soon as a header says so."""
        self._buffer += chunk
        while len(self._buffer) >= HEADER_BYTES:
            length = body_length(self._buffer[:HEADER_BYTES], self._max)
            if len(self._buffer) < HEADER_BYTES + length:
                return
            body = bytes(self._buffer[HEADER_BYTES : HEADER_BYTES + length])
            del self._buffer[: HEADER_BYTES + length]
            yield body

    def end(self) -> None:
        """Say that the stream has ended; raise FrameError("truncated") inside a frame."""
        if self._buffer:
            raise FrameError("truncated", f"the stream ended {len(self._buffer)} bytes into a frame")


def body_length(header: bytes | bytearray, max_frame_bytes: int = MAX_FRAME_BYTES) -> int:
    """Return the body's length from the 4-byte header; raise FrameError("oversized")."""
    length = int.from_bytes(header, "big")
    if length > max_frame_bytes:
        raise FrameError("oversized", f"{length} bytes, the limit is {max_frame_bytes}")
    return length


def encode_frame(record: object, max_frame_bytes: int = MAX_FRAME_BYTES) -> bytes:
    """Return the frame of a record; raise FrameError("oversized") if the other side would refuse it."""
    value = {"type": frame_name(type(record)), **to_json(record)}
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    if len(body) > max_frame_bytes:
        raise FrameError("oversized", f"{len(body)} bytes, the limit is {max_frame_bytes}")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def frame_name(record: type) -> str:
    """Return a record's wire name: `FileChunk` is `file_chunk`."""
    return _WORDS.sub("_", record.__name__).lower()


def check_version(theirs: str) -> None:
    """Raise FrameError("wrong_version") unless the other side speaks our major version."""
    if theirs.split(".")[0] != PROTOCOL_VERSION.split(".")[0]:
        raise FrameError("wrong_version", f"the other side speaks {theirs[:20]!r}, this side {PROTOCOL_VERSION}")


def is_at_least(theirs: str, version: str) -> bool:
    """Return whether a `major.minor` that `check_version` passed is this one or newer."""
    try:
        return [int(part) for part in theirs.split(".")] >= [int(part) for part in version.split(".")]
    except ValueError:
        return False
