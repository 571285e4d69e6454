"""Has a harness's program ready: a spare's before there is a task, by what the last one was started for; else the right
one when the task is there.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence

from agents.forwarder import ForwarderThread
from agents.harness import adapter_for
from agents.harness.frame import Adapter, Brief, Broke, Event, Ready, Write
from agents.harness.kept import Kept, Last
from agents.harness.program import POKE, Program
from agents.harness.stand_in import answer_aside
from agents.interrupt import Interrupt, Interrupted
from agents.mcp.server import RunTool, ToolServer
from agents.places import Places
from agents.providers.failure import Failure
from agents.providers.provider import ToolCard
from protocol.record import Record, replace

_LOOK_EVERY_S = 1.0
_READY_S = 60.0
"""A program that is not up by then never will be."""
_WARM_UP_S = 5.0
_LISTED_S = 5.0


class NotUp(Exception):
    """A program that did not come up."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Started(Record):
    """A program that is up, and what it was started for."""

    brief: Brief
    adapter: Adapter
    program: Program
    mark: str
    """Of what was kept when it was started (`kept.Last`)."""


class Starter:
    """One container's; the programs of its one task, one after another."""

    def __init__(self, name: str, *, places: Places, interrupt: Interrupt, forwarder: ForwarderThread) -> None:
        self.kept = Kept(f"{places.root}/home/agent", name)
        self._name = name
        self._places = places
        self._interrupt = interrupt
        self._forwarder = forwarder
        self._server: ToolServer | None = None
        self._spare: Started | None = None
        self._preparing: threading.Thread | None = None
        self._is_wanted = threading.Event()

    def prepare(self) -> None:
        """Start the program that the next task most likely wants, in a thread of its own."""
        self._preparing = threading.Thread(target=self._prepare, name="prepare", daemon=True)
        self._preparing.start()

    def take(self, brief: Brief, cards: Sequence[ToolCard], run: RunTool) -> Started:
        """Return a program for the brief that has these tools of ours: the spare, or a new one. `end` follows. Raises
        NotUp, OSError, Interrupted."""
        spare = self._take_spare(brief)
        # Before a program is started: from now on no spare of the group touches the session.
        self.kept.keep_last(Last(mark=os.urandom(8).hex(), is_at_work=True, brief=brief, cards=tuple(cards)))
        started = spare or self._start(brief, cards, "")
        server = self._tools(cards)
        server.offer(cards, run)
        server.wait_listed(_LISTED_S)  # one that asks later than that is told then
        return started

    def end(self, brief: Brief, cards: Sequence[ToolCard]) -> None:
        """Note what the next task's program is likely to be wanted for."""
        self.kept.keep_last(Last(mark=os.urandom(8).hex(), is_at_work=False, brief=brief, cards=tuple(cards)))

    def _prepare(self) -> None:
        import agents.harness.runner  # noqa: F401 - while nobody waits for it

        while (last := self.kept.last()) is not None:
            # Another container of the group may work on what this one is to go on with.
            if not last.is_at_work and self._is_spare_made(last):
                return
            if self._is_wanted.wait(_LOOK_EVERY_S):
                return

    def _is_spare_made(self, last: Last) -> bool:
        """Start the program of the last task's brief and warm it up; False if a task has begun meanwhile."""
        try:
            started = self._start(last.brief, last.cards, last.mark)
            now = self.kept.last()
            if now is None or now.mark != last.mark:
                started.program.kill()
                return False
            self._warm_up(started)
        except (NotUp, OSError, Interrupted):
            return True  # the task's own start will say why
        self._spare = started
        return True

    def _warm_up(self, started: Started) -> None:
        words = started.adapter.warm_up()
        if not words:
            return
        self._forwarder.aside = answer_aside
        try:
            started.program.write(words)
            self._wait_ready(started, _WARM_UP_S)
        except NotUp:
            started.program.kill()
            raise
        finally:
            self._forwarder.aside = None

    def _take_spare(self, brief: Brief) -> Started | None:
        """Return the spare if it is the right one and up to date; it is ended if not."""
        self._is_wanted.set()
        if self._preparing is not None:
            self._preparing.join()
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        last = self.kept.last()
        if spare.brief == brief and last is not None and last.mark == spare.mark:
            return spare
        spare.program.kill()
        return None

    def _start(self, brief: Brief, cards: Sequence[ToolCard], mark: str) -> Started:
        """Start a program and wait until it is up; raise NotUp, OSError, Interrupted."""
        adapter = adapter_for(self._name)
        places = replace(self._places, forwarder_port=self._forwarder.port)
        launch = adapter.launch(brief, places, self._tools(cards).entry, new_uuid())
        started = Started(brief=brief, adapter=adapter, program=Program(launch, self._places.workspace), mark=mark)
        started.program.write(adapter.opening())
        self._wait_ready(started, _READY_S)
        return started

    def _wait_ready(self, started: Started, timeout_s: float) -> None:
        while True:
            self._interrupt.check()
            try:
                line = started.program.next_line(timeout_s)
            except queue.Empty:
                reason = f"{self._name} was not ready within {timeout_s:g} s"
                raise NotUp(Failure(code="harness_ended", reason=reason)) from None
            if line is None:
                raise NotUp(started.adapter.ended(started.program.exit_code(), started.program.stderr()))
            for event in events(started.adapter, line):
                if isinstance(event, Ready):
                    return
                if isinstance(event, Write):
                    started.program.write(event.data)
                elif isinstance(event, Broke):
                    raise NotUp(event.failure)

    def _tools(self, cards: Sequence[ToolCard]) -> ToolServer:
        """Return the server of our tools; one that is made now says these until a task says others."""
        if self._server is None:
            self._server = ToolServer(self._places, cards)
            self._server.start()
        return self._server


def events(adapter: Adapter, line: bytes) -> Sequence[Event]:
    """Return what a line says; nothing for one that is none of the program's language."""
    if line == POKE:
        return ()
    try:
        return adapter.take(line)
    except (ValueError, RecursionError):
        return ()


def new_uuid() -> str:
    data = bytearray(os.urandom(16))
    data[6], data[8] = (data[6] & 0x0F) | 0x40, (data[8] & 0x3F) | 0x80  # version 4
    text = data.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
