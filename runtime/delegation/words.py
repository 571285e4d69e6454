"""What the two agents of a delegation read. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.task import TaskResult, TaskStatus
from runtime.delegation.records import Delegation, DelegationAnswer, DelegationId
from runtime.envelope import clean_name

MAX_ANSWER_CHARS = 30_000
"""As much as a tool's output may be."""
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxFile:
    """A file as the agent that gets it finds it."""

    stored_name: str
    """Made by the host."""
    name: str
    """What the other agent calls it."""
    size_bytes: int


def stored_name(delegation_id: DelegationId, direction: str, index: int, name: str) -> str:
    """Return the host's name of a file that is handed over: the agent's gives only a plain extension."""
    extension = _EXTENSION.search(name)
    return f"{delegation_id}-{direction}-{index}{extension.group(0).lower() if extension else ''}"


def delegated_prompt(delegation: Delegation, files: Sequence[InboxFile]) -> str:
    """Return what the asked agent is to do."""
    lines = [
        delegation.request.prompt,
        "",
        f"[The agent {delegation.from_group} asks this. Your last message goes back",
    ]
    lines[-1] += " to it, and to no chat; what you send with send_file goes to it, too.]"
    if files:
        lines.append("Files from it:")
        lines += [_file_line(file) for file in files]
    return "\n".join(lines)


def build_answer(delegation: Delegation, result: TaskResult, files: Sequence[InboxFile]) -> DelegationAnswer:
    """Return what the asking agent is told at the end."""
    lines = [f"{delegation.to_group} answers:", "", result.text] if result.status is TaskStatus.REPLY else []
    if result.status is TaskStatus.NOTHING_TO_SAY:
        lines = [f"{delegation.to_group} has nothing to say: {result.reason or 'it gave no reason'}"]
    elif not lines:
        how = "was stopped" if result.status is TaskStatus.STOPPED else "could not do it"
        lines = [f"{delegation.to_group} {how}: {result.reason or result.code or 'no reason was given'}"]
    text = "\n".join(lines)
    if len(text) > MAX_ANSWER_CHARS:
        text = f"{text[:MAX_ANSWER_CHARS]}\n[cut here: the answer has {len(text)} characters]"
    if files:
        text = "\n".join([text, "", "Files from it:", *(_file_line(file) for file in files)])
    is_done = result.status in (TaskStatus.REPLY, TaskStatus.NOTHING_TO_SAY)
    return DelegationAnswer(is_done=is_done, text=text, files=tuple(file.stored_name for file in files))


def _file_line(file: InboxFile) -> str:
    return f'<attachment name="{clean_name(file.name)}" bytes="{file.size_bytes}" path="/inbox/{file.stored_name}"/>'
