"""Work that no chat message brought: what a submitter gives, and what becomes of it. Pure.

Taking it in is submissions.py's business; how it becomes a task, task_builder.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, SubmissionId, TaskId
from protocol.task import Effects, Limits

MAX_PROMPT_CHARS = 400_000
"""About 100,000 tokens; more belongs in a file of the group's."""
MAX_PRE_CHECK_CHARS = 20_000
MAX_KEY_CHARS = 200
MAX_ATTEMPTS = 10
MAX_LABELS = 16
MAX_LABEL_CHARS = 200
_SUBMITTER = re.compile(r"cli|(?:person|schedule|program|group|webhook):\S{1,280}")

Trust = Literal["person", "program", "agent", "untrusted"]
"""How far the prompt's words are trusted; `untrusted` may hold anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubmission:
    """What is to be done."""

    submitter: str
    """`person:<key>`, `schedule:<id>`, `program:<name>`, `group:<id>` (an agent),
    `webhook:<group>/<hook>`, `cli`."""
    group_id: GroupId
    prompt: str
    idempotency_key: str = ""
    """The submitter's own: the same one again returns the first submission. Empty: none."""
    chat: ChatKey | None = None
    """Where the reply goes; None: nowhere, the submitter reads the result."""
    session: str = "none"
    """`chat`: the chat's conversation; `own`: a new one of its own; `none`; or a SessionId of the group's."""
    effects: Effects = Effects.LIVE
    max_attempts: int = 1
    """Retrying belongs to the submitter."""
    model_hint: str | None = None
    """`route/model-name`, instead of the group's."""
    result_schema: Json = None
    """A JSON Schema of the subset in json_schema.py: the result is checked against it. None: it answers in words."""
    limits: Limits | None = None
    """Tightens the group's; never widens them."""
    trust: Trust = "program"
    skill: str | None = None
    """A skill of the group's that the agent is to follow."""
    pre_check: str = ""
    """A shell script that runs in the container before a model is asked anything, and may say that there is nothing to
    do; empty: none."""
    labels: Mapping[str, str] | None = None
    """Go with the task's lease: its calls are accounted for under them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Where a submission stands."""

    submission_id: SubmissionId
    state: Literal["queued", "running", "suspended", "ended"]
    task_id: TaskId | None
    """None while it is queued."""
    is_new: bool = False
    """False: it was submitted before, and is only returned."""


def why_wrong(new: NewSubmission) -> tuple[str, str] | None:
    """Return code and text of what is wrong with a submission by itself, None if nothing is."""
    if not _SUBMITTER.fullmatch(new.submitter):
        return (
            "wrong_submitter",
            f"a submitter is person:, schedule:, program:, group: or webhook: and a name, or cli, "
            f"not {new.submitter[:60]!r}",
        )
    if not new.prompt.strip():
        return "empty_prompt", "there is nothing to do: the prompt is empty"
    if len(new.prompt) > MAX_PROMPT_CHARS:
        return "prompt_too_long", f"the prompt has {len(new.prompt)} characters, the most is {MAX_PROMPT_CHARS}"
    if len(new.pre_check) > MAX_PRE_CHECK_CHARS or "\0" in new.pre_check:
        return "wrong_pre_check", f"a pre-check has at most {MAX_PRE_CHECK_CHARS} characters, and no zero byte"
    if len(new.idempotency_key) > MAX_KEY_CHARS:
        return "wrong_key", f"an idempotency key has at most {MAX_KEY_CHARS} characters"
    if not 1 <= new.max_attempts <= MAX_ATTEMPTS:
        return "wrong_attempts", f"max_attempts is 1 to {MAX_ATTEMPTS}, not {new.max_attempts}"
    if new.session == "chat" and new.chat is None:
        return "wrong_session", "the session `chat` needs a chat"
    labels = new.labels or {}
    if len(labels) > MAX_LABELS or any(len(text) > MAX_LABEL_CHARS for pair in labels.items() for text in pair):
        return "wrong_labels", f"there are at most {MAX_LABELS} labels, of at most {MAX_LABEL_CHARS} characters"
    if new.limits is not None and not _is_sound(new.limits):
        return "wrong_limits", "each limit is above 0"
    return None


def tighten(limits: Limits, asked: Limits | None) -> Limits:
    """Return the smaller of each limit."""
    if asked is None:
        return limits
    costs = [cost for cost in (limits.cost_usd, asked.cost_usd) if cost is not None]
    return Limits(
        model_calls=min(limits.model_calls, asked.model_calls),
        input_tokens=min(limits.input_tokens, asked.input_tokens),
        output_tokens=min(limits.output_tokens, asked.output_tokens),
        cost_usd=min(costs, default=None),
        rounds=min(limits.rounds, asked.rounds),
        wall_s=min(limits.wall_s, asked.wall_s),
    )


def _is_sound(limits: Limits) -> bool:
    counts = (limits.model_calls, limits.input_tokens, limits.output_tokens, limits.rounds)
    return min(counts) >= 1 and limits.wall_s > 0 and (limits.cost_usd is None or limits.cost_usd >= 0)
