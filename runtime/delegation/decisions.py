"""Whether one agent may ask another: who is named, how deep it goes, how often. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from protocol.ids import GroupId
from runtime.delegation.records import AskingFacts, DelegationRequest

MAX_DEPTH = 3
"""An agent's delegate may ask another, and that one a third: behind more nobody sees through any more."""
MAX_PER_TASK = 10
MAX_PER_PAIR_AN_HOUR = 20
"""Two agents that keep each other busy are found out within minutes, and cost no more than this."""
MAX_OPEN = 10
"""Of a group's, at once."""
MAX_PROMPT_CHARS = 20_000
MAX_FILES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationRefused:
    code: str
    message: str
    mend: str = ""


def decide_delegation(
    asking: GroupId,
    request: DelegationRequest,
    *,
    delegates: Collection[str],
    facts: AskingFacts,
    handed: Collection[str],
) -> DelegationRefused | None:
    """Return why an agent may not ask another, None if it may. `delegates`: whom its group.yaml names; `handed`: the
    call ids under which it has sent files."""
    shown = request.to[:40]
    if request.to not in delegates:
        named = ", ".join(sorted(delegates)) or "nobody"
        mend = f"its owner names {shown} under delegates in groups/{asking}/group.yaml"
        return DelegationRefused(code="not_a_delegate", message=f"{asking} may ask {named}, not {shown!r}", mend=mend)
    behind = (*facts.ancestors, asking)
    if request.to in behind:
        way = " asks ".join((*behind, request.to))
        return DelegationRefused(code="loop", message=f"that would go round in a circle: {way}")
    if len(behind) > MAX_DEPTH:
        message = f"this work was handed on {len(facts.ancestors)} times already, and goes no further: do it yourself"
        return DelegationRefused(code="too_deep", message=message)
    if facts.asked_by_task >= MAX_PER_TASK:
        return DelegationRefused(code="too_often", message=f"one task asks others at most {MAX_PER_TASK} times")
    if facts.asked_last_hour >= MAX_PER_PAIR_AN_HOUR:
        message = f"{asking} has asked {shown} {MAX_PER_PAIR_AN_HOUR} times within an hour: that is the most"
        return DelegationRefused(code="too_often", message=message)
    if facts.open_of_group >= MAX_OPEN:
        message = f"{MAX_OPEN} requests of {asking} wait for others already"
        return DelegationRefused(code="too_many", message=message)
    return _decide_content(request, handed)


def _decide_content(request: DelegationRequest, handed: Collection[str]) -> DelegationRefused | None:
    if not request.prompt.strip():
        return DelegationRefused(code="empty_prompt", message="there is nothing to do: the prompt is empty")
    if len(request.prompt) > MAX_PROMPT_CHARS:
        message = f"the prompt has {len(request.prompt)} characters, the most is {MAX_PROMPT_CHARS}: hand over a file"
        return DelegationRefused(code="too_long", message=message)
    if len(request.files) > MAX_FILES:
        return DelegationRefused(code="too_many_files", message=f"at most {MAX_FILES} files are handed over at once")
    missing = [call_id for call_id in request.files if call_id not in handed]
    if missing:
        return DelegationRefused(code="unknown_file", message=f"{len(missing)} of the files did not arrive at the host")
    return None
