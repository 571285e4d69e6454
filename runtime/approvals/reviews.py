"""Which outputs wait for a review: what a group's mode makes of what a task says outside its chat. Pure.

Copilot: all of it waits. Autonomous: it goes, some of it is shown to a reviewer afterwards, and what is out of the
ordinary waits as if it were copilot's. Holding and releasing are `store/hold_rows.py`'s; of what
programs and other agents get, `store/result_rows.py`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.codec import Json, to_json
from protocol.ids import ChatKey, GroupId, TaskId
from protocol.message import OutboundMessage
from protocol.record import replace
from protocol.task import TaskResult, TaskStatus
from runtime.approvals.effect_text import inline
from runtime.approvals.records import OUTPUT_KINDS, Approval, NewApproval, Taint, Who
from runtime.delegation.records import HandedFile
from runtime.outbound_files import files_of, label_of

FILE_BYTES, FILE_SHA256 = "file_bytes", "file_sha256"
"""What a message's labels say of its file: a reviewer's yes is to these bytes, and `delivery.py` sends no others."""

Review = Literal["refuse", "hold", "sample", "go"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRule:
    """How one group's outputs are reviewed, as group.yaml says."""

    group_id: GroupId
    mode: Literal["copilot", "autonomous"]
    who: Who
    quorum: int
    deadline_s: float
    sample_percent: int
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRule:
    """A constraint on what is said to a destination."""

    group_id: GroupId
    rule_id: str
    name: str
    """The destination's; `*`: whatever is not the chat where a task began."""
    then: Literal["ask", "deny"]
    who: Who
    quorum: int
    deadline_s: float


def decide_review(
    rule: ReviewRule,
    constraint: SendRule | None,
    *,
    task_id: TaskId,
    began_in: ChatKey | None,
    to: ChatKey | None,
    taint: Taint,
) -> Review:
    """Return what becomes of an output that is no answer in the chat where its task began; `to`: None for what a
    program or another agent gets.

    Out of the ordinary is what goes to another chat after its task has read untrusted text: that is how a page's or a
    mail's orders would be carried out.
    """
    if constraint is not None:
        return "refuse" if constraint.then == "deny" else "hold"
    if rule.mode == "copilot":
        return "hold"
    if taint.is_tainted and to != began_in:
        return "hold"
    return "sample" if is_sampled(task_id, rule.sample_percent) else "go"


def waits_in_its_chat(mode: str, submitter: str, *, is_submission: bool) -> bool:
    """Return whether what a task says in its own chat waits for a review, as `review_of_output` has it: then nobody
    there sees its words before."""
    return mode == "copilot" and is_submission and not submitter.startswith("person:")


def is_sampled(task_id: TaskId, percent: int) -> bool:
    """Return whether a task is one of so many in a hundred: always the same answer for the same task."""
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:4], "big") % 100 < percent


def build_review(
    rule: ReviewRule,
    constraint: SendRule | None,
    task_id: TaskId,
    submitter: str,
    message: OutboundMessage,
    key: str,
    *,
    is_sent: bool,
) -> NewApproval:
    """Return the question to a reviewer: to whom a constraint names, else to whom the group does."""
    asked = constraint or rule
    where = inline(message.chat)
    about = f"a task of {inline(submitter)}"
    summary = (
        f"What {about} has said in {where}: was it right? It has been sent."
        if is_sent
        else f"What {about} would say in {where}. Yes sends it, no drops it."
    )
    # A constraint, or what the task has read, asks about this sending; a mode asks about all that is said.
    is_send = constraint is not None or (rule.mode == "autonomous" and not is_sent)
    return NewApproval(
        kind="send" if is_send else "review",
        group_id=rule.group_id,
        task_id=task_id,
        payload={**output_of(message), "is_sent": True} if is_sent else output_of(message),
        summary=summary,
        who=asked.who,
        quorum=asked.quorum,
        deadline_s=asked.deadline_s,
        scope_offers=("chat",) if is_send else (),
        key=f"{'sample' if is_sent else 'review'}:{key}",
    )


def has_output(result: TaskResult) -> bool:
    """Return whether a result says anything of the agent's own."""
    return bool(result.text) or result.structured is not None or result.judgement is not None


def result_of(result: TaskResult, submitter: str, files: Sequence[HandedFile]) -> dict[str, Json]:
    """Return what is reviewed of a result."""
    output: dict[str, Json] = {"to": submitter}
    if result.structured is not None or result.judgement is not None:
        output["result"] = result.structured
        output["judgement"] = to_json(result.judgement)
    else:
        output["text"] = result.text
    if files:
        output["files"] = [{"file": each.name, "bytes": each.size_bytes, "sha256": each.sha256} for each in files]
    return output


def build_result_review(
    rule: ReviewRule, task_id: TaskId, submitter: str, output: dict[str, Json], *, is_sent: bool
) -> NewApproval:
    """Return the question to a reviewer whether a program or another agent gets this."""
    kind, _, name = submitter.partition(":")
    who = f"the {'agent' if kind == 'group' else kind} {inline(name)}"
    summary = (
        f"What a task has given {who}: was it right? It has it."
        if is_sent
        else f"What a task would give {who}. Yes hands it over, no drops it."
    )
    return NewApproval(
        kind="review",
        group_id=rule.group_id,
        task_id=task_id,
        payload={**output, "is_sent": True} if is_sent else output,
        summary=summary,
        who=rule.who,
        quorum=rule.quorum,
        deadline_s=rule.deadline_s,
        key=f"{'sample' if is_sent else 'review'}:{task_id}/result",
    )


def takes_words(approval: Approval) -> bool:
    """Return whether one reviewer may have other words go instead: of words, before they went."""
    payload = approval.payload if isinstance(approval.payload, dict) else {}
    is_text = approval.kind in OUTPUT_KINDS and "text" in payload
    return is_text and approval.quorum == 1 and payload.get("is_sent") is not True


def let_go(result: TaskResult, review: Approval | None) -> TaskResult | None:
    """Return what of a result its submitter gets: as it is, or as a reviewer has it; None while that is not decided."""
    if review is None:
        return result
    if review.is_open:
        return None
    if review.is_approved:
        return result if review.edited is None else replace(result, text=review.edited)
    why = {"denied": "a person looked at it and said no", "expired": "nobody looked at it in time"}.get(review.state)
    said = why or f"the review was withdrawn, {review.reason}"
    because = f": {review.because}" if review.because else ""
    return TaskResult(status=TaskStatus.FAILED, code=f"review_{review.state}", reason=f"{said}{because}.")


def output_of(message: OutboundMessage) -> dict[str, Json]:
    """Return what is reviewed."""
    output: dict[str, Json] = {"chat": message.chat, "text": message.text}
    if message.act != "say":
        output |= {"act": message.act, "message": message.about or message.about_key}
    if message.file_path is not None:
        labels = message.labels or {}
        files: list[dict[str, Json]] = [
            {
                "file": file.name,
                **{
                    name: labels[label_of(name, index)]
                    for name in (FILE_BYTES, FILE_SHA256)
                    if label_of(name, index) in labels
                },
            }
            for index, file in enumerate(files_of(message))
        ]
        output |= files[0]
        if len(files) > 1:
            output["more_files"] = [*files[1:]]
    if message.buttons:
        output["buttons"] = [button.label for button in message.buttons]
    return output
