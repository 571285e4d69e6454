"""What commands answer in a chat. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import ChatKey
from protocol.plain_text import escape
from runtime.config import REHEARSAL_NOTICE


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatStatus:
    """What /status tells in a chat."""

    group: str
    model: str
    is_rehearsal: bool
    is_frozen: bool
    held_back: tuple[str, ...] = ()
    """Why the agent is held back, cause by cause; empty: it is not."""
    is_working: bool
    """In this chat."""
    waiting_here: int
    working_everywhere: int
    calls_today: int
    calls_per_day: int
    undelivered: int
    problems: tuple[str, ...] = ()


def build_greeting(group: str, help_text: str, *, is_rehearsal: bool) -> str:
    rehearsal = f"{REHEARSAL_NOTICE}\n\n" if is_rehearsal else ""
    about = f"This is Nightyard; the agent here is {group}. Write to it as you would to a person."
    return f"{about}\n\n{rehearsal}{help_text}"


def build_stop_answer(tasks: int, messages: int, kept: int = 0) -> str:
    """Return what was stopped; `messages` will not be answered, `kept` will be."""
    if not tasks and not messages:
        return "Nothing was running here."
    waiting = f" {_count(messages, 'waiting message')} will not be answered." if messages else ""
    goes_on = f" {_count(kept, 'waiting message')} will be answered now; /stop all drops that too." if kept else ""
    return f"Stopped.{waiting}{goes_on}"


def build_stopped_elsewhere(chats: Sequence[ChatKey]) -> str:
    """Return what somebody reads who said /stop where nothing was running."""
    where = ", ".join(f"`{escape(chat)}`" for chat in chats)
    return f"Nothing was running here. Stopped what you had asked for elsewhere: {where}."


def build_new_answer(is_working: bool) -> str:
    also = " What I am still working on goes on; /stop ends it." if is_working else ""
    return f"A fresh conversation begins.{also}"


def build_freeze_answer(tasks: int, egress: str) -> str:
    """Return what an owner reads; `egress` is empty, or why the proxy could not be told."""
    stopped = f" {_count(tasks, 'task')} stopped." if tasks else ""
    if egress:
        return f"Frozen.{stopped} But {egress}; it is told when it is back. /unfreeze lifts it."
    return f"Frozen: no agent runs, and nothing goes out.{stopped} Messages are kept; /unfreeze lifts it."


def build_unfreeze_answer(waiting: int) -> str:
    return f"Unfrozen. {_count(waiting, 'message')} waiting." if waiting else "Unfrozen."


def build_status_answer(status: ChatStatus) -> str:
    """Return a few plain lines, the worst first."""
    lines = []
    if status.is_frozen:
        lines.append("Everything is frozen until an owner says /unfreeze: messages wait.")
    if status.held_back:
        lines.append(f"{status.group} is held back ({', '.join(status.held_back)}): messages wait.")
    lines += [f"Not well: {problem}" for problem in status.problems]
    if status.is_working:
        lines.append(f"Working here now{_more(status.waiting_here)}.")
    elif status.waiting_here:
        lines.append(f"{_count(status.waiting_here, 'message')} waiting here.")
    else:
        lines.append("Nothing is running here.")
    rehearsal = " (a rehearsal: no real model answers)" if status.is_rehearsal else ""
    lines.append(f"Agent {status.group}, model {status.model}{rehearsal}.")
    lines.append(f"Model calls of this agent today: {status.calls_today} of {status.calls_per_day}.")
    lines.append(f"Working in all chats: {_count(status.working_everywhere, 'task')}.")
    if status.undelivered:
        lines.append(f"{_count(status.undelivered, 'message')} could not be delivered: `nightyard status` tells more.")
    return "\n".join(lines)


def _more(waiting: int) -> str:
    return f", {_count(waiting, 'message')} waiting" if waiting else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
