"""What a task's end changes, out of its decided end and what the store knows of it. Pure.

`task_run.py` decides the end and what the chat reads; `store/end_rows.py` stores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocol import pre_check
from protocol.message import OutboundMessage
from protocol.task import TaskStatus
from runtime.attempt_outcome import EndTask
from runtime.store.records import MessageState, NewOutbound, StoredMessage, TaskEnd, TaskEnding, TaskRow
from runtime.task_builder import build_entries, own_summary


def build_end(row: TaskRow, end: EndTask, said: str, ending: TaskEnding, footer: str = "") -> TaskEnd:
    """Return all that the end changes; `said` is what the chat reads, empty for nothing; `footer` a line that is read
    under it, and is no part of the conversation."""
    result = end.result
    is_answer = result.status in (TaskStatus.REPLY, TaskStatus.NOTHING_TO_SAY, TaskStatus.STRUCTURED)
    is_unasked = result.code in (pre_check.SKIPPED, pre_check.FAILED)  # no model was: the conversation did not go on
    return TaskEnd(
        result=result,
        seq=end.seq,
        outbound=_outbound(row, result.status, _with_footer(said, footer), ending.messages),
        entries=build_entries(ending.spec, ending.steps, said) if ending.spec and not is_unasked else (),
        summary=own_summary(ending.steps) if not is_unasked else None,
        message_state=MessageState.ANSWERED if is_answer else MessageState.DEAD,
        end_reason="" if is_answer else (result.code or result.status.value),
    )


def _with_footer(said: str, footer: str) -> str:
    return f"{said}\n\n{footer}" if said and footer else said


def _outbound(
    row: TaskRow, status: TaskStatus, said: str, messages: Sequence[StoredMessage]
) -> tuple[NewOutbound, ...]:
    """Return what goes out. Only where many people talk does it point at the message that it answers."""
    if not said or row.chat is None:
        return ()
    many = any(message.inbound.chat_kind == "many" for message in messages)
    message = OutboundMessage(chat=row.chat, text=said, reply_to=row.reply_to if many else None)
    message = replace(message, is_answer=status is TaskStatus.REPLY)
    return (NewOutbound(step=status.value, message=message),)
