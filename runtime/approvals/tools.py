"""Tools that a constraint names: the agent asks before it runs one, and a person's word is the answer.

A room of `waiting_tasks.py`: whatever an agent says about a call, the constraints are looked up here. A no is read by
the model, so it says what to do; after a yes the agent makes the call, in this attempt or a later one.
"""

from __future__ import annotations

import re

from protocol.codec import Json
from protocol.ids import GroupId, TaskId
from protocol.link import Ask
from runtime.approvals.approvals import Approvals
from runtime.approvals.constraint_terms import Constraint
from runtime.approvals.effect_text import inline
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import Approval, NewApproval, ScopeWord
from runtime.approvals.rules import digest_of
from runtime.refusal import OperationRefused
from runtime.store import question_rows
from runtime.store.store import Store
from runtime.waiting_tasks import Asked, WaitingTasks

_SHA256 = re.compile(r"[0-9a-f]{64}")
APPROVED = "approved"
"""What the answer to an agent begins with where it may go on; `agents/constraints.py` knows the word."""
YES = f"{APPROVED}: make this very call now"
NO = "A person was asked about this call and said no. It was not made. Do not try it again or in another way"
LATE = "Nobody decided about this call in time. It was not made. Say so in your answer."
WITHDRAWN = "Nobody is asked about this call any more. It was not made."
RULED_OUT = "A constraint of your owner's rules this call out. It was not made; do not try it in another way"


class ToolApprovals:
    """Answers questions of the kind `approval` (`asked` is its room), and brings decisions back to the tasks that wait
    for them."""

    def __init__(self, store: Store, approvals: Approvals, book: PolicyBook, waiting: WaitingTasks) -> None:
        self._store = store
        self._approvals = approvals
        self._book = book
        self._waiting = waiting
        approvals.subscribe("tool", self.decided)

    async def asked(self, asked: Asked) -> str | None:
        """Return the answer to an agent's question about a call, None where a person is asked; raises OperationRefused
        where the call is never made."""
        payload = call_of(asked.ask)
        constraint = self._book.for_tool(asked.task.group_id, str(payload["tool"]), payload["arguments"])
        if constraint is None:
            return YES  # it was lifted since the task began
        if constraint.then == "deny":
            raise OperationRefused("constraint_denied", RULED_OUT)
        approval = await self._approvals.ask(build_question(asked, payload, constraint))
        if approval.is_open:
            return None
        return _answer(approval)

    async def decided(self, approval: Approval) -> None:
        """Give a decision to the task that waits for it; if several ask the same, to one, and ask again for the others:
        one yes lets one call through."""
        is_given = False
        for question in await self._store.read(question_rows.open_questions):
            task = await self._store.task(question.task_id)
            if question.ask.kind != "approval" or task is None:
                continue
            if digest_of("tool", task.group_id, call_of(question.ask)) != approval.digest:
                continue
            if is_given and approval.is_approved:
                await self._ask_again(Asked(task=task, ask=question.ask))
                continue
            if approval.is_approved:
                await self._approvals.use(approval.approval_id)  # for this call, be it made in a later attempt
            is_given = await self._give(task.task_id, question.ask.call_id, approval) or is_given

    async def _ask_again(self, asked: Asked) -> None:
        try:
            answer = await self.asked(asked)
        except OperationRefused as refused:
            await self._waiting.resume(asked.task.task_id, asked.ask.call_id, f"{refused.message}.", is_error=True)
            return
        if answer is not None:
            await self._waiting.resume(asked.task.task_id, asked.ask.call_id, answer)

    async def _give(self, task_id: TaskId, call_id: str, approval: Approval) -> bool:
        if approval.is_approved:
            return await self._waiting.resume(task_id, call_id, YES)
        words = {"denied": no_text(approval), "expired": LATE}.get(approval.state, WITHDRAWN)
        return await self._waiting.resume(task_id, call_id, words, is_error=True)


def call_of(ask: Ask) -> dict[str, Json]:
    """Return exactly what an agent asks about: the tool, its arguments, the files that would go; nothing that it may
    have put beside."""
    given = ask.payload if isinstance(ask.payload, dict) else {}
    call: dict[str, Json] = {"tool": str(given.get("tool", "")), "arguments": given.get("arguments")}
    file, files = file_of(ask.payload), given.get("files")
    if file is not None:
        call["file"] = _shown(file)
    if isinstance(files, list) and files:
        call["files"] = [_shown(file_of(ask.payload, index)) for index in range(len(files))]
    return call


def file_of(payload: Json, index: int | None = None) -> tuple[int, str] | None:
    """Return size and SHA-256 of the file that a call would send, or of one of those that it would hand to another
    agent, as its agent says; the host compares what comes."""
    given = payload if isinstance(payload, dict) else {}
    files = given.get("files")
    file = given.get("file")
    if index is not None:
        file = files[index] if isinstance(files, list) and index < len(files) else None
    if not isinstance(file, dict):
        return None
    size, sha256 = file.get("bytes"), file.get("sha256")
    return (size, sha256) if isinstance(size, int) and isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None


def _shown(file: tuple[int, str] | None) -> Json:
    return {"bytes": file[0], "sha256": file[1]} if file is not None else "(cannot be read now, and is not handed over)"


def build_question(asked: Asked, payload: dict[str, Json], constraint: Constraint) -> NewApproval:
    """Return what people are asked about a call."""
    group_id: GroupId = asked.task.group_id
    arguments = payload["arguments"]
    offers: list[ScopeWord] = []
    if isinstance(arguments, dict):
        offers += ["command"] if isinstance(arguments.get("command"), str) else []
        offers += ["folder"] if isinstance(arguments.get("path"), str) and "paths" not in arguments else []
    who, chat = constraint.who, asked.task.chat
    return NewApproval(
        kind="tool",
        group_id=group_id,
        task_id=asked.task.task_id,
        payload=payload,
        summary=f"It would call {inline(str(payload['tool']))}; the constraint {constraint.constraint_id} asks first.",
        who=who,
        quorum=constraint.quorum,
        deadline_s=constraint.deadline_s,
        scope_offers=(*offers, "tool"),
        chats=(chat,) if who == "member" and chat is not None else (),
    )


def _answer(approval: Approval) -> str:
    if approval.is_approved:
        return YES
    raise OperationRefused("approval_denied", no_text(approval))


def no_text(approval: Approval) -> str:
    """Return what an agent is told of a no, with the reason that was given."""
    return f"{NO}. The reason given: {approval.because}" if approval.because else NO
