"""The frames between a host and the agent in a container, over host.sock.

Agent: Hello. Host: Welcome, then (now or much later) Assignment. Agent: StepTaken … each answered by Ack, in order;
Delta, Progress and Heartbeat in between, unanswered; Ask, answered by Answered or by the end of the attempt; at last
Finished, answered by Ack; then the agent ends. The host may send Steer at any time in between.
A lost connection is opened again with a Hello that carries the Welcome's nonce; frames not yet acked are sent again
(same `seq`), and the host ignores a `seq` it has stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol.codec import Json
from protocol.frames import FrameSet
from protocol.ids import AttemptId, FileId
from protocol.record import Record
from protocol.task import ModelRoute, Task, TaskResult
from protocol.tool_rules import ToolRule
from protocol.transcript import Entry, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

FILE_CHUNK_BYTES = 256 << 10
"""Raw bytes in one FileChunk; base64 makes it 342 KiB, under MAX_FRAME_BYTES."""


class Hello(Record):
    """The first frame of a connection."""

    protocol: str
    agent_version: str
    nonce: str = ""
    """Empty on the first connection; afterwards what Welcome gave."""


class Welcome(Record):
    protocol: str
    nonce: str
    heartbeat_s: float
    host_absence_s: float
    """How long the agent goes on without its host before it writes its last word to /run/yard/out and ends."""
    stored_seq: int = 0
    """The highest `seq` that the host has stored: the agent may forget what is not above it."""


class SkillCard(Record):
    """What the model sees of a skill until it opens it."""

    name: str
    description: str


class AgentCard(Record):
    """Another agent that this one may ask."""

    name: str
    description: str


NOTHING: Mapping[str, str] = {}


class McpTool(Record):
    """A tool as its MCP server describes it, cut to size."""

    name: str
    description: str = ""
    schema: Json = None


class McpServer(Record):
    """A server of tools in the Model Context Protocol, in a neutral form: a command in the container, or an address."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = NOTHING
    """Variables of the command besides those of the container."""
    url: str = ""
    """Of a server that speaks streamable HTTP; over the proxy. Empty: it is a command."""
    headers: Mapping[str, str] = NOTHING
    """Of each request to `url`."""
    timeout_s: float = 120.0
    """How long one call may take."""
    tools: tuple[McpTool, ...] | None = None
    """What it had when it was asked last; None: nobody has asked yet. Who uses it tells the host what it has now."""


class Assignment(Record):
    """The task, and all that an attempt needs to begin or go on."""

    attempt_id: AttemptId
    attempt_number: int
    """From 1."""
    task: Task
    instructions: str
    """The system prompt: product base, the group's AGENTS.md."""
    notes: str = ""
    """Its end, after the skills: what the agent has noted for each task, and for those of this chat."""
    model: ModelRoute
    fallbacks: tuple[ModelRoute, ...] = ()
    """Who answers, in this order, where the service of `model` fails for good; the same one to the task's end then."""
    transcript: tuple[Entry, ...] = ()
    """The session before this task."""
    skills: tuple[SkillCard, ...] = ()
    steps: tuple[Step, ...] = ()
    """What earlier attempts of this task have done."""
    constraints: tuple[ToolRule, ...] = ()
    """Calls that a person is asked about before they are made, or that are never made."""
    delegates: tuple[AgentCard, ...] = ()
    """The agents that this one may ask."""
    destinations: tuple[str, ...] = ()
    """The names of the chats that it may send to, beside the one that it answers."""
    without: tuple[str, ...] = ()
    """The tools that it does not have here (`protocol/tools.py`)."""
    search: str = ""
    """The web search that `web_search` asks: `brave`, `tavily`, or the address of a SearXNG; empty: there is none."""
    mcp: tuple[McpServer, ...] = ()
    """The MCP servers that the agent may use: those of its group's settings that somebody has said yes to."""
    approved: tuple[str, ...] = ()
    """Calls of the steps that a person has said yes to since, and that have not been made: they are made first."""


class Stop(Record):
    """End now: tool processes first, then say Finished(stopped)."""

    reason: str


class Ack(Record):
    seq: int


class StepTaken(Record):
    seq: int
    step: Step


class Finished(Record):
    seq: int
    result: TaskResult


class Delta(Record):
    """A piece of the answer as it grows; shown, never stored."""

    text: str


class Progress(Record):
    """What the agent is doing now, in a few words, for a person."""

    kind: Literal["thinking", "tool", "retry", "note", "output"]
    """`output`: the last lines that a command under way has written."""
    text: str
    tool: str = ""


class Heartbeat(Record):
    """Sent by a thread of its own every `heartbeat_s`: the process lives, whatever its tool is doing."""

    doing: Literal["waiting", "model", "tool", "loop"]
    for_s: float
    """How long it has been doing that."""


class FileOffer(Record):
    """Asks to send a file to the person, or to another agent. The host answers FileAccepted or FileRefused."""

    call_id: str
    """The tool call that sends it: the same call offered again after a lost connection is the same file."""
    name: str
    """What the sender calls it; the host makes its own name."""
    size: int
    caption: str = ""
    is_for_agent: bool = False
    """It is for another agent, which is asked next, and not for the person."""
    to: str = ""
    """The name of a destination; empty: the chat that the task answers."""
    place: int = 1
    of: int = 1
    """It is this one of so many that go in one message. The last one's call id is the call's; what goes before it has
    that with a point and its place behind."""


class FileAccepted(Record):
    call_id: str
    file_id: FileId


class FileRefused(Record):
    """The answer to an offer; or in FileStored's place, where a whole file may not go where it was to."""

    call_id: str
    reason: str


class FileChunk(Record):
    """The next bytes of an accepted file, in order; the host answers FileStored after the last."""

    file_id: FileId
    data: bytes
    last: bool = False


class FileStored(Record):
    file_id: FileId


class Ask(Record):
    """A question of a tool's to a person or to the host. The answer is the tool's output, whole: if it takes longer
    than a minute, the attempt ends meanwhile and the next one finds the answer among the steps, so a tool that asks
    does nothing after. Sent again after a lost connection: the same call is the same question."""

    call_id: str
    kind: str
    """Which room of the host answers: `question`, `approval`, … one that no room knows is answered with an error."""
    text: str = ""
    """For a person to read."""
    options: tuple[str, ...] = ()
    timeout_s: float = 86_400.0
    """Then the host answers that nobody did."""
    payload: Json = None
    """What the kind's room needs."""


def approval_id(call_id: str) -> str:
    """Return the call id of the question whether a call may be made: the call itself may have one of its own."""
    return f"{call_id}?"


class Answered(Record):
    call_id: str
    answer: str
    is_error: bool = False


class SteerMessage(Record):
    """Something said to a task while it runs."""

    message_id: str
    text: str
    """An envelope, as the task's prompt is one."""
    files: tuple[str, ...] = ()
    """The paths of what came with it, as a task's `files`."""


class Steer(Record):
    """Show these to the model at the next opportunity, in this order. What the model has seen comes back as a `steered`
    step right before its turn; what it has not at the end was not delivered."""

    messages: tuple[SteerMessage, ...]


AGENT_FRAMES = FrameSet(Hello, StepTaken, Finished, Delta, Progress, Heartbeat, FileOffer, FileChunk, Ask)
"""What an agent may send."""
HOST_FRAMES = FrameSet(Welcome, Assignment, Stop, Ack, FileAccepted, FileRefused, FileStored, Answered, Steer)
"""What a host may send."""
