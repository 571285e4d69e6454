"""What an owner of a container hears from it, as frozen records. Pure.

The link (`agent_link.py`) and the session (`container_session.py`) make them; `StepTaken`, `Finished`, `Delta`,
`Progress` and `Ask` are the agent's own frames, already checked, in order and without repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from protocol.ids import FileId
from protocol.link import Ask, Delta, Finished, Progress, StepTaken


@dataclass(frozen=True, slots=True, kw_only=True)
class FileArrived:
    """A whole file that the agent wants a person to have. Store it, then call `session.file_stored(file_id)`, or
    `session.file_refused`."""

    file_id: FileId
    call_id: str
    """The tool call that sent it: a call whose file is stored already never arrives again."""
    path: Path
    """Where the host put it, under a name made by the host."""
    name: str
    """What the agent calls it: shown, escaped, never a path."""
    size: int
    sha256: str
    """Of its bytes, as the host has them; in hex."""
    caption: str
    is_for_agent: bool = False
    """It is for another agent, and not for a person."""
    to: str = ""
    """The name of a destination; empty: the chat of the task."""
    place: int = 1
    of: int = 1
    """It is this one of so many that go in one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSilent:
    """No heartbeat for `silence_s` although the container runs. Sent once; the owner ends the session."""

    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMisbehaved:
    """The agent broke the link's rules: the link is closed. The owner ends the session.

    `code` is a FrameError's code, or one of: no_hello, too_early, sequence_gap, step_incomplete, too_much_output,
    file_too_long, knocking, disk_full, machine_disk_full, space_full.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUnassigned:
    """Only after `adopt`: the agent never got its task, since the host died before. Start a new attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBack:
    """The agent, at work, is connected again: what could not be said to it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerRefused:
    """Something in the container connected to host.sock a second time and was refused. Told once per session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnded:
    """The last event of every session: its container runs no longer (or was not there any more)."""

    exit_code: int | None
    """None: the engine does not know the container."""
    out_of_memory: bool
    """A hint, not a verdict: some process in the container was killed for memory."""
    stderr_tail: str
    """The last lines that the agent's process wrote to stderr, at most 16 KiB, hostile text."""


AgentEvent = (
    StepTaken
    | Finished
    | Delta
    | Progress
    | Ask
    | FileArrived
    | AgentSilent
    | AgentMisbehaved
    | AgentUnassigned
    | AgentBack
    | StrangerRefused
    | ContainerEnded
)
