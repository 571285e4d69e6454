"""What goes between the agent and Chromium: the DevTools protocol, JSON values ended by zero bytes. Pure.

What comes is not trusted: it is made of what pages say, and a page may have taken the renderer over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from protocol.codec import Json
from protocol.record import Record

MAX_MESSAGE_BYTES = 48 << 20
"""Above what a picture of the largest page takes."""
NOTHING: Mapping[str, Json] = {}


class Reply(Record):
    """The answer to a command."""

    number: int
    result: Mapping[str, Json]
    problem: str
    """Why the command was refused; empty: it was not."""


class Event(Record):
    """Something that happened without being asked for."""

    method: str
    session: str
    """Which tab's; empty: the browser's own."""
    params: Mapping[str, Json]


class WireFault(Exception):
    """What came is not the protocol."""


def encode_command(number: int, method: str, params: Mapping[str, Json], session: str) -> bytes:
    """Return a command as it is sent; `session` empty: to the browser itself."""
    command: dict[str, Json] = {"id": number, "method": method, "params": dict(params)}
    if session:
        command["sessionId"] = session
    return json.dumps(command).encode() + b"\0"


class Decoder:
    """Takes in bytes, gives messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[Reply | Event]:
        """Return the messages that are whole now; raise WireFault."""
        searched = len(self._buffer)
        self._buffer += piece
        messages: list[Reply | Event] = []
        begin = 0
        while (end := self._buffer.find(0, max(begin, searched))) >= 0:
            messages.append(_message(bytes(self._buffer[begin:end])))
            begin = end + 1
        del self._buffer[:begin]
        if len(self._buffer) > MAX_MESSAGE_BYTES:
            raise WireFault(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
        return messages


def _message(data: bytes) -> Reply | Event:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireFault("a message that is no JSON") from error
    if not isinstance(value, dict):
        raise WireFault("a message that is no object")
    number = value.get("id")
    if isinstance(number, int):
        problem = text_in(mapping_in(value, "error"), "message") or ("refused" if "error" in value else "")
        return Reply(number=number, result=mapping_in(value, "result"), problem=problem)
    return Event(
        method=text_in(value, "method"), session=text_in(value, "sessionId"), params=mapping_in(value, "params")
    )


def text_in(value: Mapping[str, Json], name: str) -> str:
    """Return a member that is text; empty for anything else."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def number_in(value: Mapping[str, Json], name: str) -> float:
    """Return a member that is a number; 0 for anything else."""
    found = value.get(name)
    return found if isinstance(found, (int, float)) else 0


def mapping_in(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return a member that is an object; an empty one for anything else."""
    found = value.get(name)
    return found if isinstance(found, dict) else NOTHING


def list_in(value: Mapping[str, Json], name: str) -> Sequence[Json]:
    """Return a member that is an array; an empty one for anything else."""
    found = value.get(name)
    return found if isinstance(found, list) else ()
