"""The upgrade to WebSocket, and its frames as far as a search must know them. Pure.

https://www.rfc-editor.org/rfc/rfc6455 sections 4 and 5. The splicing itself is `pipeline/splice.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from credproxy.wire.heads import Headers, find_header

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _RESERVED, _OPCODE, _MASKED = 0x80, 0x70, 0x0F, 0x80
MAX_CONTROL_BYTES = 125
KEY_BYTES = 16


class BadFrames(Exception):
    """Bytes that are no frames of a server's that had no extension granted."""


@dataclass(frozen=True, slots=True)
class FrameHead:
    head_bytes: int
    payload_bytes: int
    is_control: bool
    is_final: bool


def is_upgrade(method: str, headers: Headers) -> bool:
    """Whether a request asks to speak WebSocket; other upgrades are not asked of anybody."""
    upgrade = find_header(headers, b"upgrade")
    if upgrade is None or method != "GET" or upgrade.strip().lower() != b"websocket":
        return False
    tokens = [token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")]
    return b"upgrade" in tokens


def find_fault(headers: Headers) -> str:
    """Return what is wrong with an upgrade's request, empty if nothing is."""
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    try:
        is_key = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == KEY_BYTES
    except binascii.Error:
        is_key = False
    if not is_key:
        return "a WebSocket's key is 16 bytes in base64, once"
    if find_header(headers, b"sec-websocket-version") != b"13":
        return "the only WebSocket version taken is 13"
    return ""


def request_headers(headers: Headers, *, is_searched: bool) -> Headers:
    """Return an upgrade's headers. `is_searched`: without extensions, which compress what is to be searched."""
    kept = [header for header in headers if not (is_searched and header[0] == b"sec-websocket-extensions")]
    return [*kept, (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]


def is_accepted(request: Headers, response: Headers, *, is_searched: bool) -> bool:
    """Whether a 101 answers this very request, and grants nothing that was not asked for."""
    key = find_header(request, b"sec-websocket-key") or b""
    # What the RFC asks for; it guards nothing but against a server that does not know what it answers.
    proof = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    accepts = [value.strip() for name, value in response if name == b"sec-websocket-accept"]
    upgrade = (find_header(response, b"upgrade") or b"").strip().lower()
    has_extensions = find_header(response, b"sec-websocket-extensions") is not None
    return accepts == [proof] and upgrade == b"websocket" and not (is_searched and has_extensions)


def read_frame_head(data: bytes) -> FrameHead | None:
    """Return what a server's frame begins with, None if that is not all there; raises BadFrames."""
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    if first & _RESERVED or second & _MASKED:
        raise BadFrames
    length, head_bytes = second & 0x7F, 2
    is_control = first & _OPCODE >= 8
    if length > MAX_CONTROL_BYTES:
        head_bytes = 4 if length == 126 else 10
        if is_control:
            raise BadFrames
        if len(data) < head_bytes:
            return None
        length = int.from_bytes(data[2:head_bytes], "big")
    return FrameHead(head_bytes, length, is_control, bool(first & _FIN))
