"""The gateway's numbers: opcodes, close codes, limits; what a payload may be. Pure."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

Json = dict[str, Any]

HEARTBEAT_INTERVAL_S = 41.25
RESUME_WITHIN_S = 180.0
MAX_PAYLOAD_BYTES = 4096
EVENTS_PER_MINUTE = 120
IDENTIFIES_PER_DAY = 1000
IDENTIFY_WINDOW_S = 5.0
MAX_CONCURRENCY = 1
LARGE_GUILD = 250
API_VERSIONS = ("9", "10")


class Op(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11
    REQUEST_SOUNDS = 31
    REQUEST_CHANNEL_INFO = 43


class Close(IntEnum):
    """Why Discord closes a socket; `is_final` says which of them no client gets over by connecting again."""

    UNKNOWN_ERROR = 4000
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SEQUENCE = 4007
    RATE_LIMITED = 4008
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    SHARDING_REQUIRED = 4011
    INVALID_VERSION = 4012
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014

    @property
    def is_final(self) -> bool:
        return self == Close.AUTHENTICATION_FAILED or self >= Close.INVALID_SHARD

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Close.UNKNOWN_ERROR: "Unknown error.",
    Close.UNKNOWN_OPCODE: "Unknown opcode.",
    Close.DECODE_ERROR: "Error while decoding payload.",
    Close.NOT_AUTHENTICATED: "Not authenticated.",
    Close.AUTHENTICATION_FAILED: "Authentication failed.",
    Close.ALREADY_AUTHENTICATED: "Already authenticated.",
    Close.INVALID_SEQUENCE: "Invalid seq.",
    Close.RATE_LIMITED: "Rate limited.",
    Close.SESSION_TIMED_OUT: "Session timed out.",
    Close.INVALID_SHARD: "Invalid shard.",
    Close.SHARDING_REQUIRED: "Sharding required.",
    Close.INVALID_VERSION: "Invalid API version.",
    Close.INVALID_INTENTS: "Invalid intent(s).",
    Close.DISALLOWED_INTENTS: "Disallowed intent(s).",
}


class SocketClosed(Exception):
    """The twin closes this socket."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


def read_payload(data: str | bytes) -> tuple[int, Any]:
    """Return a client's opcode and data; raise SocketClosed for what is none."""
    raw = data.encode() if isinstance(data, str) else data
    if len(raw) > MAX_PAYLOAD_BYTES:
        raise SocketClosed(Close.DECODE_ERROR)
    try:
        payload = json.loads(raw)
    except ValueError as error:
        raise SocketClosed(Close.DECODE_ERROR) from error
    if not isinstance(payload, dict) or not isinstance(payload.get("op"), int):
        raise SocketClosed(Close.DECODE_ERROR)
    return payload["op"], payload.get("d")
