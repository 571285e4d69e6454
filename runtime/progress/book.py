"""What each task does just now, for those who look on: one line a chat, which gets a clock when work takes long.

How a line is shown is the channel's business; it may leave any of them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from protocol.ids import ChatKey, TaskId
from protocol.transcript import Step
from runtime.group_settings import ProgressStyle
from runtime.progress.line import LONG_S, build_line, note_line, output_lines, tool_call, tool_name

EVERY_S = 60.0
"""How often the clock of a long task goes on."""

OUTPUT_EVERY_S = 1.0
"""More often nobody can read it."""

Show = Callable[[ChatKey, str], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class _Working:
    chat: ChatKey
    style: ProgressStyle
    begun_at: float
    due_at: float
    tool: str = ""
    steps: int = 0
    output_due_at: float = 0.0


class ProgressBook:
    """One for the whole host. `now` is monotonic."""

    def __init__(self, *, long_s: float = LONG_S, every_s: float = EVERY_S) -> None:
        self._long_s = long_s
        self._every_s = every_s
        self._working: dict[TaskId, _Working] = {}
        self._awake = asyncio.Event()

    def begin(self, task_id: TaskId, chat: ChatKey | None, style: ProgressStyle, now: float) -> None:
        """Take a task that works for a chat; again, after a restart, is the same."""
        if chat is not None and style != "off" and task_id not in self._working:
            self._working[task_id] = _Working(chat=chat, style=style, begun_at=now, due_at=now + self._long_s)
            self._awake.set()

    def tool(self, task_id: TaskId, name: str, now: float) -> str:
        """Note that a tool begins; return the line to show, empty for none."""
        working = self._working.get(task_id)
        if working is None:
            return ""
        shown = tool_name(name)
        if working.style != "full" or not working.tool.startswith(f"{shown} "):  # else its step has just said more
            working.tool = shown
        return self._line(working, now)

    def note(self, task_id: TaskId, text: str) -> str:
        """Return what the agent says of itself besides its tools (it asks a model again), as it is to be shown."""
        return note_line(text) if task_id in self._working else ""

    def output(self, task_id: TaskId, text: str, now: float) -> str:
        """Return what a command under way has written last, under the line of its tool, where people want to see it and
        have not just seen the like; empty for nothing to show."""
        working = self._working.get(task_id)
        lines = output_lines(text)
        if working is None or working.style != "full" or not lines or now < working.output_due_at:
            return ""
        working.output_due_at = now + OUTPUT_EVERY_S
        return f"{self._line(working, now)}\n{lines}"

    def stored(self, task_id: TaskId, step: Step, now: float) -> str:
        """Note a step; return the line to show, empty if it says nothing new."""
        working = self._working.get(task_id)
        if working is None:
            return ""
        working.steps += step.kind in ("model_turn", "tool_started")
        if step.call is None or working.style != "full":
            return ""
        working.tool = tool_call(step.call)
        return self._line(working, now)

    def end(self, task_id: TaskId) -> None:
        """Forget a task."""
        self._working.pop(task_id, None)

    async def run(self, show: Show) -> None:
        """Keep the clocks of long tasks going until cancelled; sleeps while there is none."""
        while True:
            self._awake.clear()
            now = asyncio.get_running_loop().time()
            for working in [each for each in self._working.values() if each.due_at <= now]:
                working.due_at = now + self._every_s
                await show(working.chat, self._line(working, now))
            next_at = min((each.due_at for each in self._working.values()), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if next_at is None else max(0.0, next_at - now)):
                    await self._awake.wait()

    def _line(self, working: _Working, now: float) -> str:
        worked_s = now - working.begun_at
        return build_line(working.tool, working.steps, worked_s if worked_s >= self._long_s else 0.0)
