"""One container's life with its owner: from `Containers.take` or `adopt` to its removal.

The owner (one per attempt) does, in this order:

    taken = await containers.take(kind)              # ContainerSession | CannotStart
    # `recorded` stores the attempt with taken.memory: LinkMemory, door id and nonce hash, for adopt
    await taken.hand_over(lease, assignment, recorded=…)   # CannotStart if it went wrong, None if not
    async for event in taken.events():               # ends after ContainerEnded
        match event:
            case StepTaken() | Finished(): store it, then await taken.ack(event.seq)
            case FileArrived():            store it, then await taken.file_stored(event.file_id)
            …
    finally: await taken.end("why")                  # or `taken.leave()` when only the host goes away

After `ack` of Finished the agent ends by itself; `end` is still to be called (it is quick then).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from credproxy.admin_client.link import ProxyError, ProxyRefused
from protocol.frames import FrameError
from protocol.ids import AttemptId, DoorId, FileId, GroupId
from protocol.link import Answered, Assignment, Finished, Heartbeat, Steer, Stop
from protocol.task import Lease
from runtime.agent_events import AgentEvent, AgentMisbehaved, ContainerEnded
from runtime.agent_link import AgentLink, LinkMemory
from runtime.container_engine import ContainerEngine, ContainerState
from runtime.door import DoorFolder, read_last_frames, read_stderr_tail
from runtime.engine_errors import EngineError

log = logging.getLogger(__name__)

WAIT_S = 2
"""How long one question "has it ended?" may take before it is asked anew."""
KILL_WAIT_S = 2.0
HELLO_PATIENCE_S = 1.0
"""How long a new or an adopted agent may take to say Hello before the engine is asked whether it lives."""

CannotStartCode = Literal[
    "engine_away",
    "engine_refused",
    "limits_not_applied",
    "image_missing",
    "no_memory",
    "disk_floor",
    "proxy_away",
    "agent_did_not_start",
    "path_too_long",
    "task_too_large",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotStart:
    """No container, and why: `code` decides whether to try again, `message` and `mend` are for people."""

    code: CannotStartCode
    message: str
    mend: str = ""


class ProxyDoors(Protocol):
    """The part of `credproxy.admin_client.link.ProxyAdmin` that a container needs. Raises ProxyError."""

    async def open_door(
        self,
        door_id: DoorId,
        path: Path,
        uid: int | None = None,
        lease: Lease | None = None,
        *,
        is_held: bool = False,
    ) -> None: ...
    async def close_door(self, door_id: DoorId) -> None: ...
    async def grant(self, door_id: DoorId, lease: Lease, *, is_held: bool = False) -> None: ...
    async def release(self, door_id: DoorId, attempt_id: AttemptId) -> None: ...


class ContainerSession:
    """A container with its agent, as its owner sees it. `run` is the yard's; everything else is the owner's."""

    def __init__(
        self,
        *,
        group_id: GroupId,
        container: str,
        door: DoorFolder,
        link: AgentLink,
        engine: ContainerEngine,
        proxy: ProxyDoors,
        stop_grace_s: float,
        when_over: Callable[[ContainerSession], None],
        let_go: Callable[[ContainerSession, int], None],
    ) -> None:
        """`container`: id or name. `when_over` is called once, when container, door and folder may be removed;
        `let_go` sees to the ack of the agent's last word, and to `end`, when there is time for that."""
        self.group_id = group_id
        self.container_id = container
        self.door = door
        self._link = link
        self._engine = engine
        self._proxy = proxy
        self._stop_grace_s = stop_grace_s
        self._when_over = when_over
        self._let_go = let_go
        self._ended = asyncio.Event()
        self._is_left = False
        self._is_over = False
        self._running: asyncio.Task[None] | None = None
        self._launched = asyncio.Event()
        self._stopping: asyncio.Lock = asyncio.Lock()
        self._granting = asyncio.Lock()
        self._granted: Lease | None = None
        """What we pushed to the proxy ourselves."""
        self._is_held = False
        """It is pushed, and nothing goes out by it yet."""
        self._is_handed_over = False

    @property
    def door_id(self) -> DoorId:
        return self._link.memory.door_id

    @property
    def memory(self) -> LinkMemory:
        """What `Containers.adopt` needs; kept up to date by `ack` and `file_stored`."""
        return self._link.memory

    @property
    def doing(self) -> Heartbeat | None:
        """The agent's last heartbeat."""
        return self._link.last_heartbeat

    @property
    def is_fit_spare(self) -> bool:
        """Whether the agent is there and has done nothing but wait."""
        return self._link.is_connected and not self._ended.is_set() and self._link.events.is_empty

    async def hand_over(
        self, lease: Lease, assignment: Assignment, *, recorded: Awaitable[None] | None = None
    ) -> CannotStart | None:
        """Push the lease to the proxy while the attempt is being `recorded` (None: it is already); with both done, send
        the task, if it was not sent ahead. At most one call per session. Raises what `recorded` raises."""
        try:
            if recorded is None:
                await self._grant(lease)
            else:
                await self._grant_while(lease, recorded)
        except ProxyError as error:
            return CannotStart(code="proxy_away", message=str(error), mend="nightyard status")
        try:
            if self._is_handed_over or await self._link.hand_over(assignment):
                return None
        except FrameError as error:
            return CannotStart(code="task_too_large", message=f"the task is too large to hand over ({error})")
        return CannotStart(code="agent_did_not_start", message="the waiting agent ended before it had its task")

    async def hand_over_ahead(self, lease: Lease, assignment: Assignment) -> None:
        """Send the task while its start is being stored, and push its lease, held: nothing that the agent asks for
        leaves the machine before `release`, or `hand_over`, which does what was not done here. A start that is not
        stored: the session is to be ended."""
        async with self._granting:
            with suppress(FrameError, ProxyError):
                self._is_handed_over = await self._link.hand_over(assignment)
                self._granted = None
                await self._proxy.grant(self.door_id, lease, is_held=True)
                self._granted, self._is_held = lease, True

    async def release(self) -> None:
        """Say that the start of what was handed over ahead is stored. `hand_over` follows."""
        async with self._granting:
            if self._is_held and self._granted is not None:
                with suppress(ProxyError):
                    await self._release(self._granted)

    async def _grant(self, lease: Lease) -> None:
        async with self._granting:
            if self._granted == lease and (not self._is_held or await self._release(lease)):
                return
            self._granted = None
            await self._proxy.grant(self.door_id, lease)
            self._granted, self._is_held = lease, False

    async def _release(self, lease: Lease) -> bool:
        """Have the held lease hold; False if the proxy does not know it any more."""
        try:
            await self._proxy.release(self.door_id, lease.attempt_id)
        except ProxyRefused:
            return False
        self._is_held = False
        return True

    async def _grant_while(self, lease: Lease, recorded: Awaitable[None]) -> None:
        """Wait for both; what went wrong with the record comes first."""
        granted, noted = await asyncio.gather(self._grant(lease), recorded, return_exceptions=True)
        for outcome in (noted, granted):
            if isinstance(outcome, BaseException):
                raise outcome

    async def events(self) -> AsyncIterator[AgentEvent]:
        """Yield what the agent says; the last event is ContainerEnded. One reader."""
        while True:
            event = await self._link.events.get()
            yield event
            if isinstance(event, ContainerEnded):
                return

    def take_finished(self) -> Finished | None:
        """Return the agent's last word if it is here and the next event; for its reader only."""
        return self._link.events.take_finished()

    async def ack(self, seq: int) -> None:
        """Say that everything up to `seq` is stored. Never raises for a link that is gone."""
        await self._link.ack(seq)

    async def send(self, frame: Answered | Steer) -> bool:
        """Tell the agent something while it works; False if it is not there to hear it, or too old to know it."""
        return self._link.speaks_steer and await self._link.send(frame)

    async def file_stored(self, file_id: FileId) -> None:
        """Say that a FileArrived is stored. Never raises for a link that is gone."""
        await self._link.file_stored(file_id)

    async def file_refused(self, file_id: FileId, reason: str) -> None:
        """Say that a FileArrived goes nowhere; it is removed. Never raises for a link that is gone."""
        await self._link.file_refused(file_id, reason)

    async def stop(self, reason: str) -> None:
        """Ask the agent to end (it says Finished(stopped)), then kill: no process is left after 2 s.

        Events go on meanwhile, to ContainerEnded. Stopping twice is stopping once.
        """
        async with self._stopping:
            if self._ended.is_set() or self._is_left:
                return
            if not self._link.has_finished and not await self._link.send(Stop(reason=reason)):
                # Nobody there to hear it: no reason to be patient.
                await self._kill()
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._stop_grace_s):
                    await self._ended.wait()
            if not self._ended.is_set():
                await self._kill()

    def dismiss(self, seq: int) -> None:
        """Free everything in the background, as soon as nobody waits for a container: the agent's last word, `seq`, is
        stored, and it waits to hear that. Returns at once; all is gone within 5 s."""
        self._link.events.discard()
        self._let_go(self, seq)

    async def end(self, reason: str) -> None:
        """Free everything: no process is left on return; container, door and folder go within 5 s.

        An agent that has sent Finished is given `stop_grace_s` to end by itself. Safe to call twice.
        """
        # Nobody reads on: a full queue must not keep the link from seeing the agent's end.
        self._link.events.discard()
        try:
            await self.stop(reason)
        finally:
            self._be_over()

    def leave(self) -> None:
        """Close this side of the link and leave the container working, for the host's next start to adopt."""
        if not self._is_over:
            self._is_left = True
            self._close_link()

    def mark_launched(self) -> None:
        """The engine has started the container: from now on not finding it means that it has ended."""
        self._launched.set()

    def report_disk_full(self, detail: str, *, is_machine: bool = False) -> None:
        """The container's folders hold more than they may; `is_machine`: more than the machine has."""
        code = "machine_disk_full" if is_machine else "disk_full"
        self._link.events.put_now(AgentMisbehaved(code=code, detail=detail))

    def report_space_full(self, detail: str) -> None:
        """A space that the container may write to holds more than it may."""
        self._link.events.put_now(AgentMisbehaved(code="space_full", detail=detail))

    async def run(self) -> None:
        """Serve the link until the container has ended, then tell the last of it. Cancelled: the container is left."""
        if self._is_left or self._is_over:
            return
        self._running = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self._link.run())
            state = await self._wait_for_end()
            # What it sent before it died is read to its end: the connection's end is behind its last frame.
            if self._link.is_connected and not self._is_over:
                with suppress(TimeoutError):
                    async with asyncio.timeout(WAIT_S):
                        await self._link.lost.wait()
            serving.cancel()
        await self._tell_end(state)

    async def _wait_for_end(self) -> ContainerState | None:
        """Return how the container ended; None if the engine does not know it.

        While the agent is connected its container lives: nobody asks the engine.
        """
        await self._launched.wait()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(HELLO_PATIENCE_S):
                    await self._link.ready.wait()
            if self._link.is_connected:
                await self._link.lost.wait()
            try:
                if await self._engine.wait_for_end(self.container_id, WAIT_S):
                    return await self._engine.inspect(self.container_id)
            except EngineError as error:
                log.warning("the engine cannot say whether a container ended: %s", error, extra=self._extra("engine"))
                await asyncio.sleep(WAIT_S / 2)

    async def _tell_end(self, state: ContainerState | None) -> None:
        last_word = await asyncio.to_thread(read_last_frames, self.door)
        if last_word:
            await self._link.take_last_word(last_word)
        self._link.events.put_now(
            ContainerEnded(
                exit_code=state.exit_code if state else None,
                out_of_memory=state.out_of_memory if state else False,
                stderr_tail=read_stderr_tail(self.door),
            )
        )
        self._ended.set()

    async def _kill(self) -> None:
        try:
            await self._engine.kill(self.container_id)
        except EngineError as error:
            # Removal and the reaper try again; the owner is not held up by an engine that is away.
            log.warning("a container could not be killed: %s", error, extra=self._extra("kill_failed"))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_WAIT_S):
                await self._ended.wait()

    def _be_over(self) -> None:
        if not self._is_over and not self._is_left:
            self._is_over = True
            self._close_link()
            self._when_over(self)

    def _close_link(self) -> None:
        if self._running is None:
            self._link.close()
        else:
            self._running.cancel()

    def _extra(self, action: str) -> dict[str, str]:
        return {"action": action, "door_id": self.door_id, "group_id": self.group_id}
