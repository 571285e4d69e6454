"""Task, its limits, its result, its lease: what a unit of agent work is made of."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from protocol.codec import Json
from protocol.ids import AttemptId, GroupId, SessionId, TaskId
from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class Effects(enum.StrEnum):
    """What a task's calls may do in the world."""

    LIVE = "live"
    SHADOW = "shadow"
    """Only reads without credentials and model calls go out; the rest is recorded as what would have been sent."""
    TWIN = "twin"
    """Calls go to configured behavioural twins only."""


class TaskStatus(enum.StrEnum):
    """How a task ended; every task ends in exactly one of these."""

    REPLY = "reply"
    NOTHING_TO_SAY = "nothing_to_say"
    STRUCTURED = "structured"
    FAILED = "failed"
    STOPPED = "stopped"


class Limits(Record):
    """What one task may use. The proxy enforces calls, tokens and money, the host time; the loop is only courteous."""

    model_calls: int = 100
    input_tokens: int = 4_000_000
    output_tokens: int = 200_000
    cost_usd: float | None = None
    """None: no limit on money. Enforced only for models whose price is known."""
    rounds: int = 50
    """Model turns with tool calls before the loop gives up."""
    wall_s: float = 1800.0


class Task(Record):
    """One unit of agent work."""

    task_id: TaskId
    group_id: GroupId
    submitter: str
    """Who asked: `person:<person key>`, `schedule:<id>`, `program:<name>`, `cli`."""
    session_id: SessionId | None
    """None: a task without a conversation (structured work)."""
    prompt: str
    """The whole envelope as the model reads it, built by the host."""
    effects: Effects = Effects.LIVE
    max_attempts: int = 3
    """Chat tasks 3, structured tasks 1: retrying belongs to the submitter there."""
    model_hint: str | None = None
    result_schema: Json = None
    """A JSON Schema, or None for a task that answers in words."""
    limits: Limits = Limits()
    pre_check: str = ""
    """A shell script that the agent runs before it asks a model anything (`protocol/pre_check.py`); empty: none."""
    labels: Mapping[str, str] | None = None
    """The submitter's: they go with the lease."""
    files: tuple[str, ...] = ()
    """The paths of what people sent along: images and PDFs among them are shown to a model that sees."""


class Usage(Record):
    """Model use, summed or of one turn."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None where a model's price is not known."""
    cache_read_tokens: int = 0
    """Of the input: read from the provider's cache."""
    cache_write_tokens: int = 0
    """Of the input: written into it."""
    reasoning_tokens: int = 0
    """Of the output: thought, not said. 0 where the API does not tell them apart."""


class Evidence(Record):
    """What a claim of a structured result rests on."""

    claim: str
    source: str
    """An address that was fetched, a file's path, `input`, or what else it was, in words."""
    span: str = ""
    """Where in it, or its own words."""
    fetched_at: str = ""
    """ISO 8601 UTC, from the proxy's record; empty: the source is no address."""
    sha256: str = ""
    """Of what was fetched, from the proxy's record, hex."""


class Alternative(Record):
    """What a structured result might have been instead."""

    what: str
    rejected_because: str


class Judgement(Record):
    """How an agent came to a structured result, and how sure it is."""

    why: str
    confidence: float
    """0 to 1."""
    alternatives: tuple[Alternative, ...] = ()
    no_alternatives: str = ""
    """Why there were none."""
    evidence: tuple[Evidence, ...] = ()
    abstained: str = ""
    """Why there is no result; empty: there is one."""


class TaskResult(Record):
    """How a task ended, as the agent (or the host, for an agent that could not) says it."""

    status: TaskStatus
    text: str = ""
    """The reply to the person (Markdown), for REPLY."""
    reason: str = ""
    """One plain sentence, for NOTHING_TO_SAY, FAILED and STOPPED."""
    structured: Json = None
    """For STRUCTURED. From an agent: what it gave `task_result` (agents/structured.py); as a task's end: what was
    found, as its schema says."""
    judgement: Judgement | None = None
    """Set by the host, for STRUCTURED."""
    code: str = ""
    """A stable word for FAILED, e.g. `model_refused_key`, `round_limit`, `agent_crashed`, `uncertain_effect`."""


class ModelRoute(Record):
    """Which model answers, and over which of the proxy's named routes (`/m/<route>/…`)."""

    route: str
    api: Literal["anthropic", "openai", "responses"]
    """`anthropic`: Messages API; `openai`: OpenAI-compatible chat completions; `responses`: OpenAI's Responses API."""
    model: str
    max_output_tokens: int = 8192
    context_tokens: int = 128_000
    """How much the model can hold, question and answer together."""
    sees: tuple[str, ...] = ()
    """What it reads beside text: `image`, `pdf`."""
    thinks: Literal["never", "budget", "adaptive", "effort"] = "never"
    """How it is asked to think first: `budget`: by tokens; `adaptive`: it decides, guided by an effort; `effort`."""
    effort: Literal["", "low", "medium", "high"] = ""
    """How hard it should think; empty: as the provider does by itself."""
    patches: bool = False
    """Whether it is trained to change files by patches (`agents/patch.py`)."""

    @property
    def full_name(self) -> str:
        """`route/model`: who said something."""
        return f"{self.route}/{self.model}"


class Purse(Record):
    """What several tasks may spend together in one day (UTC). The proxy keeps the sums, by name; None: no limit."""

    name: str
    """`machine`, `group:main`, `background:main`."""
    model_calls: int | None = None
    tokens: int | None = None
    """Input and output together."""
    cost_usd: float | None = None
    """Of calls whose price is known."""


class EgressRule(Record):
    """A constraint on requests out, whatever a grant allows: somebody is asked first, or it is refused."""

    rule_id: str
    then: Literal["ask", "deny"]
    host: str
    """A host, `*.example.org` for all below it, or `*`."""
    methods: tuple[str, ...] = ()
    """None: every method."""
    deadline_s: float = 3600.0
    """How long those asked have."""


class Lease(Record):
    """What one container's sockets may do now. Pushed by the host to the proxy before the task is handed over."""

    task_id: TaskId
    attempt_id: AttemptId
    group_id: GroupId
    effects: Effects
    limits: Limits
    routes: tuple[str, ...]
    """The names of the model routes that this task may use."""
    labels: Mapping[str, str] | None = None
    purses: tuple[Purse, ...] = ()
    """What is paid from, each of them for each call."""
    constraints: tuple[EgressRule, ...] = ()
    """The strictest first: of those that fit a request, the first counts."""
    unsettled_since: str = ""
    """ISO 8601, UTC: what earlier attempts called before that was in steps that are done. Empty: not known."""
