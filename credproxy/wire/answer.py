"""A response that the proxy itself makes: one JSON form for every refusal and failure. Pure.

Which there are, and what they say, is `pipeline/answers.py`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from credproxy.wire.heads import Headers

MAX_REASON_BYTES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response made here; nothing of it came from upstream."""

    status: int
    code: str
    message: str
    grant_with: str = ""
    """The command or edit by which the owner would allow it."""
    may_retry: bool = False
    """Whether asking again may help without anyone changing anything."""
    retry_after_s: float | None = None
    """When that would be; None: nobody knows."""
    content: bytes | None = None
    """What is said instead of all this, for an answer that is no refusal."""
    closes: bool = False
    """The connection cannot be trusted to be in step any more."""

    def body(self) -> bytes:
        if self.content is not None:
            return self.content
        error = {
            "type": "nightyard_denied",
            "code": self.code,
            "message": self.message,
            "grant_with": self.grant_with,
            "retry": self.may_retry,
        }
        return json.dumps({"type": "error", "error": error}, ensure_ascii=True).encode("ascii") + b"\n"

    def reason(self) -> bytes:
        """Return the status line's words: of a refused tunnel many tools show nothing else, as in Python and Go."""
        if self.content is not None:
            return b""
        words = f"{self.code}: {self.message}".encode("ascii", "replace")[:MAX_REASON_BYTES]
        return bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in words)

    def headers(self, body: bytes) -> Headers:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"x-nightyard", self.code.encode("ascii")),
        ]
        if self.status == 407:
            # Without it, git and others that first ask without their token do not ask again with it.
            headers.append((b"proxy-authenticate", b'Basic realm="nightyard"'))
        if self.retry_after_s is not None:
            headers.append((b"retry-after", str(max(math.ceil(self.retry_after_s), 1)).encode("ascii")))
        if self.closes:
            headers.append((b"connection", b"close"))
        return headers
