"""Server-sent events out of bytes, however the bytes are split. Pure.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html; `retry` is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from protocol.record import Record

MAX_EVENT_BYTES = 4 << 20
"""A whole event, its lines together. The largest honest ones are a few kilobytes."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(Exception):
    """The stream holds an event of more than the limit."""


class ServerEvent(Record):
    name: str
    """`message` where the stream gives none."""
    data: str


class EventDecoder:
    """Cuts a byte stream into events."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_id = ""
        """The last `id` of the stream so far: from where to go on after it has broken."""
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._at_start = True

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Yield each event that is now complete; raise EventTooLarge."""
        self._buffer += chunk
        for line in self._lines():
            event = self._take(line)
            if event is not None:
                yield event
        if len(self._buffer) + self._data_bytes > self._max:
            raise EventTooLarge

    def _lines(self) -> Iterator[bytes]:
        """Yield whole lines. A carriage return at the end waits: the line feed that belongs to it may come next."""
        start = 0
        while match := _LINE_END.search(self._buffer, max(start, self._searched)):
            if match.group() == b"\r" and match.end() == len(self._buffer):
                break
            line = bytes(self._buffer[start : match.start()])
            start = match.end()
            yield line
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - 1)

    def _take(self, line: bytes) -> ServerEvent | None:
        if self._at_start:
            line, self._at_start = line.removeprefix(b"\xef\xbb\xbf"), False
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max:
                raise EventTooLarge
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            self.last_id = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerEvent | None:
        name, data = self._name or "message", self._data
        self._name, self._data, self._data_bytes = "", [], 0
        if not data:
            return None
        return ServerEvent(name=name, data=b"\n".join(data).decode("utf-8", "replace"))
