"""What one agent may send, and in which order: the link's rules. Pure.

`agent_link.py` reads the bytes and does what is decided here; files have their own rules in `agent_files.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.ids import DoorId, FileId
from protocol.link import Ask, Delta, FileChunk, FileOffer, Finished, Heartbeat, Hello, Progress, StepTaken
from protocol.transcript import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """How much one agent may send, and how long it may be silent."""

    heartbeat_s: float = 5.0
    silence_s: float = 30.0
    host_absence_s: float = 900.0
    """How long the agent goes on without its host."""
    attempt_bytes: int = 64 << 20
    """All frames of one attempt together, accepted files apart."""
    frames_per_s: int = 1000
    """Above this the link reads slower, so that the agent waits, not the host."""
    file_bytes: int = 50 << 20
    files: int = 20
    all_files_bytes: int = 200 << 20
    strangers: int = 200
    """So many connections beside the agent's own are refused one by one; then the session ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMemory:
    """What a restarted host must still know of a link to take it up again."""

    door_id: DoorId
    nonce_hash: str
    """SHA-256 (hex) of the nonce that only the agent's memory holds."""
    stored_seq: int = 0
    """The highest `seq` stored."""
    stored_files: Mapping[str, FileId] = field(default_factory=dict)
    """call_id → file, for the files of this attempt that were stored."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Tell the owner."""

    frame: StepTaken | Finished | Delta | Progress | Ask


@dataclass(frozen=True, slots=True)
class AcknowledgeAgain:
    """The agent did not hear that this was stored: say it again."""

    seq: int


@dataclass(frozen=True, slots=True)
class TakeFilePart:
    frame: FileOffer | FileChunk


@dataclass(frozen=True, slots=True)
class Note:
    """Remember what the agent is doing."""

    frame: Heartbeat


@dataclass(frozen=True, slots=True)
class Ignore:
    """A repeat that is on its way to the store already, or words after the last word."""


@dataclass(frozen=True, slots=True)
class BreakOff:
    """The agent broke the rules."""

    code: str
    detail: str


Verdict = Deliver | AcknowledgeAgain | TakeFilePart | Note | Ignore | BreakOff


class LinkRules:
    """Judges the frames of one agent, over all its connections."""

    def __init__(self, limits: LinkLimits, *, stored_seq: int = 0, is_assigned: bool = False) -> None:
        self._limits = limits
        self._bytes = 0
        self._seen_seq = stored_seq
        self._finished_seq: int | None = None
        self._tokens = 2.0 * limits.frames_per_s
        self._refilled_at: float | None = None
        self.stored_seq = stored_seq
        """The highest `seq` that the owner has stored."""
        self.is_assigned = is_assigned
        """Whether the agent has (or may have) its task."""

    @property
    def has_finished(self) -> bool:
        """Whether the agent has said its last word."""
        return self._finished_seq is not None

    def judge(self, frame: object, frame_bytes: int) -> Verdict:
        """Return what to do with the next frame."""
        if isinstance(frame, Heartbeat):
            return self._count(frame_bytes) or Note(frame)
        if isinstance(frame, Hello):
            return BreakOff("no_hello", "a second Hello on one connection")
        if not self.is_assigned:
            return BreakOff("too_early", f"{type(frame).__name__} before any task")
        if isinstance(frame, (FileOffer, FileChunk)):
            # An accepted file has a cap of its own; what names no accepted file is counted by who finds out.
            return TakeFilePart(frame) if not self.has_finished else Ignore()
        too_much = self._count(frame_bytes)
        if too_much is not None:
            return too_much
        if isinstance(frame, (StepTaken, Finished)):
            return self._judge_sequenced(frame)
        if isinstance(frame, (Delta, Progress, Ask)):
            return Deliver(frame) if not self.has_finished else Ignore()
        return BreakOff("unknown_type", type(frame).__name__)

    def count(self, frame_bytes: int) -> BreakOff | None:
        """Count bytes that came for nothing; return BreakOff when the attempt has sent too much."""
        return self._count(frame_bytes)

    def pause_s(self, now: float) -> float:
        """Return how long to wait before reading on, after one more frame was read at `now` (monotonic)."""
        rate = self._limits.frames_per_s
        if self._refilled_at is not None:
            self._tokens = min(2.0 * rate, self._tokens + (now - self._refilled_at) * rate)
        self._refilled_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / rate)

    def _count(self, frame_bytes: int) -> BreakOff | None:
        self._bytes += frame_bytes
        if self._bytes <= self._limits.attempt_bytes:
            return None
        return BreakOff("too_much_output", f"more than {self._limits.attempt_bytes >> 20} MiB in one attempt")

    def _judge_sequenced(self, frame: StepTaken | Finished) -> Verdict:
        if frame.seq <= self.stored_seq:
            return AcknowledgeAgain(frame.seq)
        if frame.seq <= self._seen_seq:
            return Ignore()
        if self.has_finished:
            return BreakOff("sequence_gap", "a step after the last word")
        if frame.seq != self._seen_seq + 1:
            return BreakOff("sequence_gap", f"seq {frame.seq} after {self._seen_seq}")
        if isinstance(frame, StepTaken) and not _is_complete(frame.step):
            return BreakOff("step_incomplete", f"a {frame.step.kind} without what it is about")
        self._seen_seq = frame.seq
        if isinstance(frame, Finished):
            self._finished_seq = frame.seq
        return Deliver(frame)


def _is_complete(step: Step) -> bool:
    if step.index < 0:
        return False
    match step.kind:
        case "model_turn":
            return step.entry is not None and step.entry.role == "assistant"
        case "tool_started":
            return step.call is not None
        case "tool_finished":
            return step.output is not None
        case "steered" | "compacted":
            return step.kept >= 0 and step.entry is not None and step.entry.role == "user"
