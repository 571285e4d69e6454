"""The provider-neutral conversation: what the store keeps, the host hands over and the loop adds to."""

from __future__ import annotations

from protocol.codec import Json
from protocol.record import Record
from protocol.task import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class ToolCall(Record):
    call_id: str
    """The provider's id of the call; unique in one conversation."""
    name: str
    arguments: Json


class SeenFile(Record):
    """An image or a PDF that the model looks at, by its place in the container: no transcript holds its bytes."""

    path: str
    media_type: str
    """`image/png`, `image/jpeg`, `image/gif`, `image/webp` or `application/pdf`."""
    sha256: str
    """Hexadecimal. A file that has another one now is not what was looked at, and is not shown."""

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


class ToolOutput(Record):
    call_id: str
    text: str
    is_error: bool = False
    files: tuple[SeenFile, ...] = ()
    """What a tool has the model look at."""


class Thought(Record):
    """What a model thought on the way to a turn, as its API gave it: sent back to that model unchanged, never shown."""

    block: Json
    """The API's own block or item, often encrypted or signed."""
    place: int = 0
    """0: before the text; n: before the turn's n-th call."""


class Entry(Record):
    """One turn of a conversation. Role `tool` carries the outputs that answer the calls of the entry before it."""

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    outputs: tuple[ToolOutput, ...] = ()
    files: tuple[SeenFile, ...] = ()
    """Images and documents beside the text."""
    thoughts: tuple[Thought, ...] = ()
    thinker: str = ""
    """`route/model` whose thoughts these are: no other model can read them."""


class Step(Record):
    """A fact of a running attempt that the host stores before the agent goes on.

    `model_turn` carries an assistant entry and its usage; `tool_started` the call; `tool_finished` its output;
    `steered` a user entry that came while the task ran, and which messages it is made of; `compacted` the summary that
    stands for the conversation from there on, but for the task's prompt and its newest entries. A second attempt is
    given all steps of the task so far; a call that started and did not finish "may have happened".
    """

    index: int
    """From 0, without gaps, over all attempts of the task."""
    kind: Literal["model_turn", "tool_started", "tool_finished", "steered", "compacted"]
    entry: Entry | None = None
    call: ToolCall | None = None
    output: ToolOutput | None = None
    usage: Usage | None = None
    message_ids: tuple[str, ...] = ()
    kept: int = 0
    """Of `compacted`: how many of the newest entries the model still sees as they were."""
    branch: str = ""
    """The call whose sub-agent took the step; empty: the task's own conversation."""
