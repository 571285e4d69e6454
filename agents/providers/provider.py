"""What a model API is to the loop: a request to build, events to read, a Turn at the end. Pure.

To add one: write `<api>.py` beside this file with a Provider, and name it in `__init__.py`. All waiting, retrying and
HTTP is `agents/model_call.py`'s; what must be careful with a model's words is `turn_builder.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.providers.failure import Failure
from agents.sse import ServerEvent
from protocol.record import Record
from protocol.task import Usage
from protocol.transcript import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Protocol

    StopReason = Literal["end", "tools", "length", "refused"]
else:  # importing `typing` would cost every agent's start
    Protocol, StopReason = object, str


class ToolCard(Record):
    """A tool as a model sees it."""

    name: str
    description: str
    schema: Mapping[str, object]
    """A JSON Schema of an object: the arguments."""


NO_FILES: Mapping[str, str] = {}


class Question(Record):
    """One model call: everything said so far."""

    instructions: str
    entries: Sequence[Entry]
    """Begins with a user entry; each call has its output (`conversation.py`)."""
    tools: Sequence[ToolCard]
    files: Mapping[str, str] = NO_FILES
    """sha256 → base64 of the images and documents among the entries; one that is not here is gone."""


class ModelRequest(Record):
    path: str
    body: bytes


class Turn(Record):
    """What the model answered, checked and cut to size."""

    entry: Entry
    usage: Usage
    stop: StopReason
    faulty_calls: Mapping[str, str]
    """call_id → what is wrong with its arguments, told to the model instead of running it."""


class StreamFault(Exception):
    """The stream said that the call failed, or said something that is not this API."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class TurnReader(Protocol):
    """Takes one answer's events."""

    def take(self, event: ServerEvent) -> str:
        """Return the text that the event adds to the answer, mostly ""; raise StreamFault."""

    def is_complete(self) -> bool:
        """Return whether the answer has said that it is over: without that it broke off."""

    def turn(self) -> Turn:
        """Return the whole answer, once complete."""


class Provider(Protocol):
    def request(self, question: Question) -> ModelRequest:
        """Return the HTTP request that asks the question, for a streamed answer."""

    def reader(self) -> TurnReader:
        """Return a new reader, for one answer."""
