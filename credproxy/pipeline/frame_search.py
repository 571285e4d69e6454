"""Searches a WebSocket's frames for what must not come back, across frames too. Pure.

A message's end lets go what was held back, so that an answer is never kept for the next one. How a plain stream is
searched is `scrub.py`.
"""

from __future__ import annotations

from credproxy.pipeline.scrub import Needles, Reflected
from credproxy.wire.websocket import FrameHead, read_frame_head


class FrameSearcher:
    """Passes a server's frames through, byte for byte, holding back only what may become a needle."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._unread = b""
        """The beginning of a frame's head, or of a control frame."""
        self._frame: FrameHead | None = None
        self._left_bytes = 0
        """Of the data frame's payload."""
        self._text = b""
        """The end of the message so far, which may be a needle's beginning."""
        self._held = b""
        """All bytes from that beginning on, frames' heads among them."""

    def feed(self, data: bytes) -> bytes:
        """Return what may go on now; raises Reflected or BadFrames, and then nothing more may go."""
        data, self._unread = self._unread + data, b""
        passed: list[bytes] = []
        while data:
            if self._frame is None:
                data = self._begin_frame(data, passed)
                if self._frame is None:
                    break
            piece, data = data[: self._left_bytes], data[self._left_bytes :]
            self._left_bytes -= len(piece)
            passed.append(self._pass_payload(piece))
            if self._left_bytes == 0:
                if self._frame.is_final:
                    passed.append(self._held)
                    self._text = self._held = b""
                self._frame = None
        return b"".join(passed)

    def _begin_frame(self, data: bytes, passed: list[bytes]) -> bytes:
        """Take a frame's head, or control frames whole; return what comes behind."""
        while (head := read_frame_head(data)) is not None:
            if not head.is_control:
                self._frame, self._left_bytes = head, head.payload_bytes
                passed.append(self._keep_order(data[: head.head_bytes]))
                return data[head.head_bytes :]
            end = head.head_bytes + head.payload_bytes
            if len(data) < end:
                break
            if self._needles.holds(data[head.head_bytes : end]):
                raise Reflected
            passed.append(self._keep_order(data[:end]))
            data = data[end:]
        self._unread = data
        return b""

    def _keep_order(self, wire: bytes) -> bytes:
        """Return bytes that are not searched, unless others are held back before them."""
        if not self._held:
            return wire
        self._held += wire
        return b""

    def _pass_payload(self, piece: bytes) -> bytes:
        known_bytes = len(self._text)
        text = self._text + piece
        if self._needles.holds(text):
            raise Reflected
        begin = self._needles.begin_in(text)
        self._text = text[begin:]
        if begin < known_bytes:
            self._held += piece
            return b""
        passed = self._held + piece[: begin - known_bytes]
        self._held = piece[begin - known_bytes :]
        return passed
