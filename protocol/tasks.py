"""The frames of task.sock, where programs hand in tasks: submit, result, cancel, events, health.

The program sends Open and is answered Opened; then it asks as often as it likes, one question at a time: Submit is
answered by Submitted, ReadResult and Cancel by ResultEnvelope, AskHealth by TasksHealth, Follow by any number of
TaskEvent and at last EventsEnd. Whatever cannot be done is answered by TaskProblem, and the connection goes on.
A Follow that waits has no end but the connection's.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol.codec import Json
from protocol.frames import FrameSet
from protocol.ids import AttemptId, GroupId, SubmissionId, TaskId
from protocol.record import Record
from protocol.task import Effects, Limits, TaskResult, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class Open(Record):
    """The first frame of a connection: who asks."""

    protocol: str
    program: str = ""
    """Its name, where it shows no token: only for one that was added without."""
    token: str = ""


class Opened(Record):
    protocol: str
    program: str
    groups: tuple[GroupId, ...]
    """Where it may submit."""


class Submit(Record):
    """One task to be done."""

    group: GroupId
    input: Json
    """A text is the prompt itself; any other value is handed to the agent as JSON."""
    idempotency_key: str = ""
    """The program's own: the same one again returns the first submission."""
    skill: str | None = None
    """A skill of the group's that the agent is to follow."""
    result_schema: Json = None
    """What the result must be like (docs/programs.md); None: words."""
    effects: Effects = Effects.LIVE
    model_hint: str | None = None
    """`route/model-name`, instead of the group's."""
    limits: Limits | None = None
    """Tighter ones than the group's."""
    max_attempts: int = 1
    labels: Mapping[str, str] | None = None


class Submitted(Record):
    submission: SubmissionId
    state: Literal["queued", "running", "suspended", "ended"]
    task: TaskId | None = None
    """None while it is queued."""
    is_new: bool = True
    """False: this key had been submitted before."""


class ReadResult(Record):
    """Asks how a submission stands; waits for its end for at most so long."""

    submission: SubmissionId
    wait_s: float = 0.0


class Cancel(Record):
    """Ends a submission, waiting or running. One that has ended stays as it ended."""

    submission: SubmissionId
    reason: str = ""


class ResultEnvelope(Record):
    """How a submission stands, and once it has ended everything about how it was done."""

    submission: SubmissionId
    state: Literal["queued", "running", "suspended", "in_review", "ended"]
    """`in_review`: done, and a person looks at the result before the program gets it."""
    group: GroupId
    mode: str
    """The group's operating mode when the attempt began: `copilot` or `autonomous`."""
    input_sha256: str
    """Of the input as canonical JSON."""
    submitted_at: str
    task: TaskId | None = None
    attempt: AttemptId | None = None
    """The last one."""
    attempts: int = 0
    skill: str = ""
    skill_sha256: str = ""
    """Of the skill's folder when the attempt began."""
    provider: str = ""
    """The route through which the last answer came, as the proxy saw it; empty until there is one."""
    model: str = ""
    """What answered there, as the provider names it."""
    models_used: tuple[str, ...] = ()
    """All that were asked, as the provider names them, the most used first."""
    usage: Usage = Usage()
    prompt_sha256: str = ""
    """Of the whole prompt that the model read."""
    started_at: str | None = None
    ended_at: str | None = None
    result: TaskResult | None = None
    """None until it has ended, and any review of it. `structured` fits the schema; what does not is `failed`, with
    `result_invalid` or `result_not_json`, and is kept."""


class Follow(Record):
    """Asks for what has happened to the program's submissions since a cursor."""

    cursor: int = 0
    """0: from the beginning. Cursors hold over restarts of either side."""
    submission: SubmissionId | None = None
    """Of this one alone; None: of all."""
    wait: bool = True
    """False: what has happened so far, then EventsEnd."""


class TaskEvent(Record):
    cursor: int
    """Follow from here, and none is lost or told twice."""
    kind: str
    """As the journal has it: `submission_queued`, `task_started`, `step_stored`, `task_suspended`, `task_ended` …"""
    at: str
    submission: SubmissionId
    task: TaskId | None = None
    attempt: AttemptId | None = None


class EventsEnd(Record):
    cursor: int
    """Where everything up to now has been told."""


class AskHealth(Record):
    """Asks whether tasks are being taken and done."""


class TasksHealth(Record):
    protocol: str
    is_frozen: bool
    is_stopping: bool
    queued: int
    """Of this program."""
    running: int
    groups: Mapping[str, str]
    """Of each group of the program's: `ready`, `suspended` (its settings are wrong), `paused`."""


class TaskProblem(Record):
    """Why something cannot be done: what happened, to which named thing, what to do."""

    code: str
    message: str
    mend: str = ""


PROGRAM_FRAMES = FrameSet(Open, Submit, ReadResult, Cancel, Follow, AskHealth)
"""What a program may send."""
TASK_SERVER_FRAMES = FrameSet(Opened, Submitted, ResultEnvelope, TaskEvent, EventsEnd, TasksHealth, TaskProblem)
"""What the host answers."""
