"""What a harness's program is to the frame: something to start, to speak to in lines, and to read lines from. Pure.

To add one: write `<name>.py` beside this file with an Adapter, and name it in `__init__.py`. An adapter decides only:
what is started and with which files (`launch`), what is written to the program's stdin (`opening`, `begin`, `tell`,
`answer`, `stop`), and what each line of its stdout means (`take`). One adapter object is one started program; it may
keep what it has read so far. Starting, waiting, the link, steps, limits, our own tools and what is kept in HOME between
tasks are the runner's.

A program's life: `launch` says how it is started, and `opening` is written at once. When `take` has given Ready it is
a spare. With the task comes one `begin`; then lines come until `take` gives Ended or Broke. What people say meanwhile
is written by `tell`, and counts as delivered when `take` gives Took for it. A program whose Brief is not the task's
(another session, other instructions) is ended, and the right one started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.places import Places
from agents.providers.failure import Failure
from protocol.link import McpServer, SkillCard, SteerMessage
from protocol.record import Record
from protocol.task import ModelRoute, Usage
from protocol.transcript import Entry, ToolCall, ToolOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Protocol

    Stop = Literal["end", "length", "refused"]
else:  # importing `typing` would cost every agent's start
    Protocol, Stop = object, str


class Brief(Record):
    """What a program is started for. With an equal brief a started one can be taken."""

    session: str
    """The program's own id of the conversation that it goes on with; empty: a new one."""
    instructions: str
    """The system prompt, to be added to the program's own: product base, AGENTS.md. Without the skills' cards: the
    program finds the skills themselves, in the folder that `launch` links them into."""
    model: ModelRoute
    """Its address is `model_address(model)`, its `effort` is to be passed on."""
    is_last_model: bool = True
    """No other model is asked if the service of this one fails for good: then it is worth to ask it for longer."""
    skills: tuple[SkillCard, ...] = ()
    """Each is the folder /skills/<name>."""
    servers: tuple[McpServer, ...] = ()
    """The group's own MCP servers, for the program's configuration. Ours is given to `launch`."""
    variables: tuple[str, ...] = ()
    """The names of the container's variables, for a program that hides them from those servers."""
    without: tuple[str, ...] = ()
    """Tools that the agent does not have, by our names (`protocol/tools.py`): the program's own of that kind are to be
    switched off."""
    has_result: bool = False
    """It is a structured task, which ends with our tool `task_result`."""


NO_FILES: Mapping[str, str] = {}


class Launch(Record):
    """How a program is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Over the container's own (`runtime/container_command.py`, which has the model's address and the proxy's)."""
    files: Mapping[str, str] = NO_FILES
    """Path → text: laid before the start, in the place of what is there. Below HOME, or below /tmp."""
    links: Mapping[str, str] = NO_FILES
    """Path → where it leads: symbolic links, laid the same way."""
    folders: tuple[str, ...] = ()
    """Made where they are missing."""
    gone: tuple[str, ...] = ()
    """Files and folders that are removed before the start: what an earlier task may have planted."""


class Prompt(Record):
    """What a task begins with."""

    text: str
    message_id: str
    """A UUID that is made for it."""
    images: tuple[tuple[str, str], ...] = ()
    """Media type and base64 of the images (and PDFs) that the model is to look at; for a model that sees."""


class Ready(Record):
    """The program is up and waits for `begin`."""


class Opened(Record):
    """The program's own id of the conversation: kept by the runner, and the Brief's when the session goes on."""

    session: str


class Said(Record):
    """A piece of the answer as it grows; shown, never stored."""

    text: str


class Noted(Record):
    """What the program is doing, in a few words for a person."""

    kind: Literal["thinking", "retry", "note"]
    text: str


class Turned(Record):
    """One model turn, or a part of one whose calls begin already: stored as a step before anything else happens. An
    answer without calls goes to the host together with what follows it."""

    entry: Entry
    """An assistant's entry; its calls under our tools' names where there is one of that kind (`shell`, `read_file`, …,
    arguments too: constraints and what people are shown know these), our own as `mcp__nightyard__<name>`."""
    usage: Usage | None = None
    """Of the whole turn, with its last part. `input_tokens` counts what the cache gave too."""
    branch: str = ""
    """The call whose sub-agent took the turn."""


class Began(Record):
    """A tool of the program's begins, or asks whether it may (`gate`): the step is stored, and constraints are asked,
    before `answer` lets it go on. Not for our own tools: those are announced where they run."""

    call: ToolCall
    gate: str = ""
    """What `answer` is to be given; empty: the program does not wait."""
    branch: str = ""


class Ran(Record):
    """A tool of the program's has ended. Not for our own tools."""

    output: ToolOutput
    branch: str = ""


class Awaits(Record):
    """A command has ended, and the program waits for `comment` before its model reads the output: the place to add what
    the proxy refused it. Programs that do not ask have no such event."""

    gate: str


class Took(Record):
    """The model has seen a message that `tell` wrote (or sees it with the next turn)."""

    message_id: str


class Write(Record):
    """Something the program waits for."""

    data: bytes


class Ended(Record):
    """The program's turn is over."""

    text: str
    """The last answer."""
    stop: Stop = "end"


class Broke(Record):
    """The turn failed, or the program did."""

    failure: Failure


Event = Ready | Opened | Said | Noted | Turned | Began | Ran | Awaits | Took | Write | Ended | Broke


class Adapter(Protocol):
    """One started program."""

    def launch(self, brief: Brief, places: Places, own_server: McpServer, new_session: str) -> Launch:
        """Return how the program is started for a brief. `own_server`: our tools, over stdio; `new_session`: a UUID for
        a session that begins, where the program lets its starter choose."""

    def opening(self) -> bytes:
        """Return what is written right after the start; may be nothing."""

    def warm_up(self) -> bytes:
        """Return what a spare is given after Ready, so that its first turn is as quick as its second; it is Ready again
        after that. Nothing: no such thing. A model call that it makes reaches no service (`stand_in.py`)."""

    def begin(self, prompt: Prompt) -> bytes:
        """Return what hands the task over."""

    def tell(self, message: SteerMessage) -> bytes | None:
        """Return what has the model see a message while it works; None: the program cannot, and it is not delivered."""

    def answer(self, gate: str, refusal: str) -> bytes:
        """Return what lets a waiting call go on (`refusal` empty) or refuses it with these words for the model."""

    def comment(self, gate: str, words: str) -> bytes:
        """Return what answers an Awaits: words for the model beside the output, or none."""

    def stop(self) -> bytes:
        """Return what asks the program to end its turn and keep the session; nothing: it is only killed."""

    def take(self, line: bytes) -> Sequence[Event]:
        """Return what a line of stdout says; raise ValueError for one that is not the program's language."""

    def ended(self, exit_code: int, stderr: str) -> Failure:
        """Return why the program has ended by itself before its turn did."""


def model_address(forwarder_port: int, model: ModelRoute) -> str:
    """Return where a program in the container finds the model: the proxy's route, whose key is added there."""
    return f"http://127.0.0.1:{forwarder_port}/m/{model.route}"
