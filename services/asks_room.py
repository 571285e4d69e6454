"""The room of what agents ask of the host itself, wired: what they send, and what they want to know of people."""

from __future__ import annotations

from runtime.asks.questions import UserQuestions
from runtime.asks.sending import Sending
from runtime.asks.tool_sets import checked
from runtime.commands.answers import answer_handlers
from runtime.control.answers import answer_verbs
from runtime.group import Groups
from runtime.host_state import HostState
from runtime.store.answer_rows import KIND
from runtime.task_ends import TaskEnds
from runtime.waiting_tasks import WaitingTasks
from services.room import Room


def asks_room(
    state: HostState, sending: Sending, questions: UserQuestions, *, waiting: WaitingTasks, ends: TaskEnds
) -> Room:
    """Return the room, answering the questions of its tools."""

    def groups() -> Groups:
        return state.groups

    waiting.answer_kind("send", checked("send_message", sending.send, groups))
    waiting.answer_kind("edit", checked("edit_message", sending.edit, groups))
    waiting.answer_kind("react", checked("react", sending.react, groups))
    waiting.answer_kind(KIND, checked("ask_user", questions.asked, groups))
    ends.subscribe(questions.task_ended)
    ends.subscribe(sending.task_ended)
    return Room(verbs=answer_verbs(questions), handlers=answer_handlers(questions))
