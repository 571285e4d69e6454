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


class ToolOutput(Record):
    call_id: str
    text: str
    is_error: bool = False


class Entry(Record):
    """One turn of a conversation. Role `tool` carries the outputs that answer the calls of the entry before it."""

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    outputs: tuple[ToolOutput, ...] = ()


class Step(Record):
    """A fact of a running attempt that the host stores before the agent goes on.

    `model_turn` carries an assistant entry and its usage; `tool_started` the call; `tool_finished` its output;
    `steered` a user entry that came while the task ran, and which messages it is made of. A second attempt is given all
    steps of the task so far; a call that started and did not finish "may have happened".
    """

    index: int
    """From 0, without gaps, over all attempts of the task."""
    kind: Literal["model_turn", "tool_started", "tool_finished", "steered"]
    entry: Entry | None = None
    call: ToolCall | None = None
    output: ToolOutput | None = None
    usage: Usage | None = None
    message_ids: tuple[str, ...] = ()
