"""Answers a spare's warm-up in the model's place: before there is a task, nothing leaves the container.

The forwarder hands over connections here for as long as the program warms up. Whatever asks gets one canned answer.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_MAX_REQUEST_BYTES = 4 << 20
_TIMEOUT_S = 5.0
_MESSAGES = b"""\
event: message_start
data: {"type":"message_start","message":{"id":"msg_warm","type":"message","role":"assistant","model":"warm",\
"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"warm"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

"""


def answer_aside(connection: socket.socket) -> None:
    """Answer one request on a connection in a thread of its own, and close it."""
    threading.Thread(target=_answer, args=(connection,), name="stand-in", daemon=True).start()


def _answer(connection: socket.socket) -> None:
    connection.settimeout(_TIMEOUT_S)
    with connection, suppress(OSError):
        head = _read_request(connection)
        is_question = head.startswith(b"POST ") and b"/messages?" in head.replace(b"/messages ", b"/messages?")
        status, kind, body = (
            (b"200 OK", b"text/event-stream", _MESSAGES)
            if is_question
            else (b"404 Not Found", b"application/json", b'{"type":"error","error":{"type":"not_found_error"}}')
        )
        length = str(len(body)).encode()
        connection.sendall(
            b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %b\r\nconnection: close\r\n\r\n%b"
            % (status, kind, length, body)
        )


def _read_request(connection: socket.socket) -> bytes:
    """Read a request to its end and return its first line."""
    data = bytearray()
    while b"\r\n\r\n" not in data and len(data) < _MAX_REQUEST_BYTES:
        piece = connection.recv(64 << 10)
        if not piece:
            return bytes(data)
        data += piece
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    lengths = [line[15:].strip() for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0]) - len(body) if lengths and lengths[0].isdigit() else 0
    while left > 0 and (piece := connection.recv(64 << 10)):
        left -= len(piece)
    return head.partition(b"\r\n")[0]
