"""One life of the agent, from the Hello to the end: wires the parts, waits for the task, says the last word.

The main thread runs the loop. The link's thread reads from when there is a task, and is the one that stops the others.
"""

from __future__ import annotations

# ruff: noqa: PTH104, PTH108, PTH123
# Without pathlib: tools/opened_file.py says why.
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from agents import crash
from agents.activity import Activity
from agents.descendants import kill_descendants, protect_this_process
from agents.forwarder import ForwarderThread
from agents.heartbeat import HeartbeatThread
from agents.host_link import HostGone, HostLink
from agents.http import Doorstep, Patience
from agents.interrupt import Interrupt, Interrupted
from agents.loop import Loop
from agents.model_call import ModelCall
from agents.places import Places
from agents.providers.retry import RetryLimits
from agents.refusals import Refusals
from agents.tools.toolbox import Toolbox
from agents.warm_up import warm_up
from protocol.codec import ShapeError, from_json
from protocol.frames import FrameError
from protocol.link import Ack, AgentCard, Assignment, SkillCard, Stop
from protocol.task import ModelRoute, TaskResult, TaskStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.harness.runner import HarnessRun
    from agents.harness.starter import Starter
    from agents.mcp.servers import McpServers

LAST_FRAMES_NAME = "last.frames"
_CALM_S = 0.2
"""An agent that has no task after this is a spare, and has time."""
_STOP_DEADLINE_S = 0.7
"""A Stop is answered within one second even where a thread hangs in the kernel."""


def run(
    descriptor: int,
    places: Places,
    patience: Patience | None = None,
    retry_limits: RetryLimits | None = None,
) -> int:
    """Do one task for the host at the other end of `descriptor` and return the exit code."""
    crash.watch_threads(f"{places.out_folder}/stderr.txt")
    life = _Life(descriptor, places, patience or Patience(), retry_limits or RetryLimits())
    return life.run()


class _Life:
    def __init__(self, descriptor: int, places: Places, patience: Patience, retry_limits: RetryLimits) -> None:
        self._places = places
        self._patience = patience
        self._retry_limits = retry_limits
        self._interrupt = Interrupt()
        self._activity = Activity()
        self._refusals = Refusals()
        self._link = HostLink(
            socket_path=places.host_socket, descriptor=descriptor, interrupt=self._interrupt, on_stop=self._stop
        )
        self._doorstep = Doorstep(places.proxy_socket)
        self._reading = self._link.reading()
        self._has_task = threading.Event()
        self._starter: Starter | None = None
        self._harness: HarnessRun | None = None
        """Of another program than our own loop, if one is the agent here."""
        self._reader = threading.Thread(target=self._read_on, name="link", daemon=True)

    def run(self) -> int:
        self._reader.start()
        HeartbeatThread(self._link, self._activity).start()
        protect_this_process()  # before any tool can run: tools come with the task
        forwarder = ForwarderThread(self._places.forwarder_port, self._places.proxy_socket, self._refusals)
        forwarder.start()
        self._starter = self._make_starter(forwarder)
        _build_decoders()
        try:
            assignment = self._wait_for_task()
        except Interrupted:
            return crash.EXIT_DONE  # stopped before there was a task
        loop = self._loop(assignment) if self._starter is None else self._harness_run(assignment, self._starter)
        self._has_task.set()
        try:
            result = loop.run()
        except Interrupted as error:
            result = TaskResult(status=TaskStatus.STOPPED, reason=error.reason)
        except HostGone:
            return self._leave_to_reader()
        return self._finish(result)

    def _wait_for_task(self) -> Assignment:
        """Read the link here until the task has come: a thread that waits for another to read is woken late."""
        is_warm = False
        with self._until_broken():
            for connection in self._reading:
                self._interrupt.check()
                if self._link.assignment is not None:
                    return self._link.assignment
                if not is_warm and not select.select([connection], [], [], _CALM_S)[0]:
                    if self._starter is not None:
                        self._starter.prepare()
                    else:
                        warm_up(self._toolbox(()).cards())
                        self._doorstep.connect_ahead()
                    is_warm = True
            raise HostGone

    def _finish(self, result: TaskResult) -> int:
        try:
            self._link.wait_acked(self._link.finish(result), interruptible=False)
        except HostGone:
            return self._leave_to_reader()
        kill_descendants()
        return crash.EXIT_DONE

    def _leave_to_reader(self) -> int:
        """Wait for the link's thread, which writes the last word and ends the process."""
        self._reader.join()
        return crash.EXIT_DONE

    def _loop(self, assignment: Assignment) -> Loop:
        model = ModelCall(
            routes=(assignment.model, *assignment.fallbacks),
            doorstep=self._doorstep,
            link=self._link,
            interrupt=self._interrupt,
            activity=self._activity,
            patience=self._patience,
            retry_limits=self._retry_limits,
        )
        toolbox = self._toolbox(
            assignment.skills,
            assignment.delegates,
            assignment.model,
            assignment.destinations,
            assignment.without,
            assignment.search,
            self._mcp(assignment) if assignment.mcp else None,
        )
        return Loop(assignment, link=self._link, model=model, toolbox=toolbox, activity=self._activity)

    def _make_starter(self, forwarder: ForwarderThread) -> Starter | None:
        name = os.environ.get("NIGHTYARD_HARNESS", "")
        if not name:
            return None
        from agents.harness.starter import Starter  # late: few groups have another program than our loop

        return Starter(name, places=self._places, interrupt=self._interrupt, forwarder=forwarder)

    def _harness_run(self, assignment: Assignment, starter: Starter) -> HarnessRun:
        from agents.harness.runner import HarnessRun

        self._harness = HarnessRun(
            assignment,
            starter=starter,
            toolbox=self._toolbox(
                assignment.skills,
                assignment.delegates,
                assignment.model,
                assignment.destinations,
                assignment.without,
                assignment.search,
            ),
            link=self._link,
            interrupt=self._interrupt,
            activity=self._activity,
            refusals=self._refusals,
        )
        self._link.when_told = self._harness.poke
        return self._harness

    def _toolbox(
        self,
        skills: Sequence[SkillCard],
        delegates: Sequence[AgentCard] = (),
        model: ModelRoute | None = None,
        destinations: Sequence[str] = (),
        without: Sequence[str] = (),
        search: str = "",
        mcp: McpServers | None = None,
    ) -> Toolbox:
        return Toolbox(
            places=self._places,
            link=self._link,
            interrupt=self._interrupt,
            refusals=self._refusals,
            skill_names=frozenset(card.name for card in skills),
            delegates=delegates,
            model=model,
            destinations=destinations,
            without=without,
            search=search,
            mcp=mcp,
        )

    def _mcp(self, assignment: Assignment) -> McpServers:
        from agents.mcp.servers import McpServers  # late: few groups have any

        return McpServers(
            assignment.mcp,
            places=self._places,
            link=self._link,
            interrupt=self._interrupt,
            without=assignment.without,
            sees=bool(assignment.model.sees),
        )

    # -- the link's thread --------------------------------------------------------------------------------------

    def _read_on(self) -> None:
        self._has_task.wait()
        with self._until_broken():
            for _ in self._reading:
                pass

    @contextmanager
    def _until_broken(self) -> Iterator[None]:
        """Read inside; where that comes to an end, the process does."""
        try:
            yield
        except HostGone:
            self._write_last_word()
            os._exit(crash.EXIT_DONE)
        except FrameError as error:
            crash.complain(f"the host's frames are not of our protocol: {error}")
            os._exit(crash.EXIT_BAD_LINK)

    def _stop(self, reason: str) -> None:
        deadline = threading.Timer(_STOP_DEADLINE_S, self._finish_for_a_hung_loop, (reason,))
        deadline.daemon = True
        deadline.start()
        if self._harness is None:
            self._end_work(reason)
        else:  # its program is asked first, and what it says then is read by this thread too
            threading.Thread(target=self._end_harness, args=(self._harness, reason), daemon=True).start()

    def _end_harness(self, harness: HarnessRun, reason: str) -> None:
        harness.stop()
        self._end_work(reason)

    def _end_work(self, reason: str) -> None:
        self._interrupt.trip(reason)
        self._link.wake()
        if self._harness is not None:
            self._harness.poke()
        kill_descendants()

    def _finish_for_a_hung_loop(self, reason: str) -> None:
        seq = self._link.finish(TaskResult(status=TaskStatus.STOPPED, reason=reason))
        with suppress(HostGone):
            self._link.wait_acked(seq, interruptible=False)
        os._exit(crash.EXIT_DONE)

    def _write_last_word(self) -> None:
        """Leave what the host has not stored in a file that it reads when it finds the container ended."""
        frames = self._link.close()
        self._interrupt.trip("the host is away")
        kill_descendants()
        if not frames:
            return
        path = f"{self._places.out_folder}/{LAST_FRAMES_NAME}"
        try:
            with suppress(FileNotFoundError):
                os.unlink(f"{path}.new")  # a tool may have planted a link there
            with open(f"{path}.new", "xb") as file:
                file.write(frames)
            os.rename(f"{path}.new", path)
        except OSError as error:
            crash.complain(f"cannot write {path}: {error.strerror}")


def _build_decoders() -> None:
    """Have the codec work out what a task looks like now, while nobody waits for it (5 ms)."""
    for record in (Assignment, Ack, Stop):
        with suppress(ShapeError):
            from_json(record, {})
