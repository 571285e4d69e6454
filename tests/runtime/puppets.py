"""Agents that do what a model of the house tells them, over restarts of the host: `house_model.py`'s hands.

A puppet is the whole life of one attempt's agent: it comes back to the next host, sends again what was not acked, and
takes orders at any moment. It keeps to what a real agent does; what it is told and what it did is written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from credproxy.admin_client.audit import ModelUseRow
from protocol.frames import PROTOCOL_VERSION
from protocol.ids import GroupId, TaskId
from protocol.link import Ack, Answered, Ask, Finished, Hello, Steer, SteerMessage, StepTaken, Stop, Welcome
from protocol.task import Purse, TaskResult, TaskStatus
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from runtime.money.purses import day_of
from tests.runtime.host_bench import AgentStopped, RecordingProxy, ScriptedAgent

HOST_ABSENCE_S = 25.0
"""As long as a life may take to begin on a busy machine."""
CALL_USD = 0.25
"""What each model call costs."""
SAID = re.compile(r"\bw\d+\b")
Order = Literal["reply", "fail", "step", "call", "spend", "ask0", "ask1"]


class Lost(Exception):
    """The host has gone."""


class Ledger(RecordingProxy):
    """The proxy as far as money goes: lets a call go where the lease that it holds has room for it, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.by_task: Counter[TaskId] = Counter()
        self.by_purse: Counter[str] = Counter()
        self.groups: dict[TaskId, GroupId] = {}
        self.unheld: list[TaskId] = []
        """Calls that came without a lease."""

    def call(self, task_id: TaskId) -> str:
        """Have a task call its model; return the code of a refusal, empty for none."""
        lease = next((lease for lease in self.held.values() if lease.task_id == task_id), None)
        if lease is None:
            self.unheld.append(task_id)
            return "no_lease"
        if self.by_task[task_id] >= lease.limits.model_calls:
            return "limit_calls"
        for purse in lease.purses:
            if purse.model_calls is not None and self.by_purse[purse.name] >= purse.model_calls:
                return "limit_day_calls"
            if purse.cost_usd is not None and (self.by_purse[purse.name] + 1) * CALL_USD > purse.cost_usd:
                return "limit_day_cost"
        self.by_task[task_id] += 1
        self.groups[task_id] = lease.group_id
        self.by_purse.update(purse.name for purse in lease.purses)
        return ""

    async def put_purses(self, purses: Sequence[Purse]) -> None:
        """Hear what the machine's tools pay from: there are none here."""

    async def use(self, *, task: str | None = None, since: str = "") -> tuple[ModelUseRow, ...]:
        return tuple(
            ModelUseRow(
                task=task_id,
                group=self.groups[task_id],
                day=day_of(datetime.now(UTC)),
                model="m",
                model_calls=calls,
                input_tokens=0,
                output_tokens=0,
                cost_usd=calls * CALL_USD,
                calls_without_price=0,
            )
            for task_id, calls in self.by_task.items()
            if task in (None, task_id)
        )


@dataclass(slots=True)
class Deeds:
    """What all puppets did."""

    let_through: Counter[tuple[GroupId, str]] = field(default_factory=Counter)
    """Tool calls that were made because somebody had said yes, by group and argument."""
    at_work: dict[TaskId, Puppet] = field(default_factory=dict)
    called: Callable[[TaskId], None] = lambda _: None
    """Told of each model call."""
    ends_itself: bool = False
    """Whether puppets answer without being told."""
    calls: int = 0


class Puppet:
    """The agent of one attempt."""

    def __init__(self, agent: ScriptedAgent, ledger: Ledger, deeds: Deeds) -> None:
        self._agent = agent
        self._ledger = ledger
        self._deeds = deeds
        self._news: asyncio.Queue[object] = asyncio.Queue()
        self._orders: deque[Order] = deque()
        self._unacked: deque[StepTaken | Finished] = deque()
        self._open: Ask | None = None
        self._told: list[SteerMessage] = []
        self._index = len(agent.assignment.steps)
        self._said = SAID.findall(agent.assignment.task.prompt)
        self._said += [
            word for step in agent.assignment.steps if step.kind == "steered" and step.entry
            for word in SAID.findall(step.entry.text)
        ]  # fmt: skip
        self.task_id = agent.assignment.task.task_id
        self._group_id = agent.assignment.task.group_id

    @property
    def is_asking(self) -> bool:
        return self._open is not None

    def order(self, order: Order) -> None:
        self._news.put_nowait(order)

    def orders(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self.order(order)

    async def run(self) -> None:
        """Work until the end, or until the host says stop."""
        self._deeds.at_work[self.task_id] = self
        if self._deeds.ends_itself:
            self.order("reply")
        try:
            async with asyncio.TaskGroup() as parts:
                listening = parts.create_task(self._listen())
                try:
                    await self._obey()
                finally:
                    listening.cancel()
        except* AgentStopped:
            pass
        finally:
            if self._deeds.at_work.get(self.task_id) is self:
                del self._deeds.at_work[self.task_id]

    async def _listen(self) -> None:
        while True:
            try:
                while True:
                    self._news.put_nowait(await self._agent.receive())
            except (OSError, asyncio.IncompleteReadError):
                await self._come_back()

    async def _come_back(self) -> None:
        """Reach the next host, and send again what this one has not stored."""
        path = self._agent.writer.get_extra_info("peername")
        async with asyncio.timeout(HOST_ABSENCE_S):
            while True:
                self._agent.writer.close()
                try:
                    self._agent.reader, self._agent.writer = await asyncio.open_unix_connection(path)
                    await self._agent.send(
                        Hello(protocol=PROTOCOL_VERSION, agent_version="scripted", nonce=self._agent.nonce)
                    )
                    welcome = await self._agent.receive()
                    break
                except (OSError, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.01)
        assert isinstance(welcome, Welcome)
        for frame in [each for each in self._unacked if each.seq > welcome.stored_seq]:
            await self._send(frame)
        if self._open is not None:
            await self._send(self._open)
        self._news.put_nowait(Ack(seq=welcome.stored_seq))

    async def _obey(self) -> None:
        while True:
            if self._orders and self._open is None:
                if await self._perform(self._orders.popleft()):
                    return
                continue
            await self._take(await self._news.get())

    async def _take(self, news: object) -> None:
        match news:
            case Stop():
                raise AgentStopped
            case Ack(seq=seq):
                while self._unacked and self._unacked[0].seq <= seq:
                    self._unacked.popleft()
            case Steer(messages=messages):
                known = {each.message_id for each in self._told}
                self._told += [each for each in messages if each.message_id not in known]
            case Answered() if self._open is not None and news.call_id == self._open.call_id:
                await self._answered(news, self._open)
            case str():
                self._orders.append(news)  # type: ignore[arg-type]  # only orders are words here
            case _:
                pass

    async def _perform(self, order: Order) -> bool:
        """Return whether that was the end."""
        match order:
            case "reply":
                await self._take_in()
                text = " ".join(["answer", *self._said])
                await self._step("model_turn", entry=Entry(role="assistant", text=text))
                await self._finish(TaskResult(status=TaskStatus.REPLY, text=text))
                return True
            case "fail":
                await self._finish(TaskResult(status=TaskStatus.FAILED, code="model_error", reason="as told"))
                return True
            case "step":
                await self._take_in()
                await self._step("model_turn", entry=Entry(role="assistant", text="thinking"))
            case "call":
                return await self._call()
            case "spend":
                return await self._call() or await self._call() or await self._call()
            case _:
                await self._ask(order[-1])
        return False

    async def _call(self) -> bool:
        """Call the model; return whether a refusal was the end."""
        refused = self._ledger.call(self.task_id)
        if refused:
            await self._finish(TaskResult(status=TaskStatus.FAILED, code=refused, reason="refused"))
            return True
        self._deeds.called(self.task_id)
        return False

    async def _take_in(self) -> None:
        """Have the model see what was said meanwhile."""
        for message in self._told:
            self._said += SAID.findall(message.text)
            entry = Entry(role="user", text=message.text)
            await self._step("steered", entry=entry, message_ids=(message.message_id,))
        self._told.clear()

    async def _ask(self, argument: str) -> None:
        self._deeds.calls += 1
        call_id = f"call_{self._deeds.calls}"
        arguments: dict[str, object] = {"command": f"push {argument}"}
        call = ToolCall(call_id=call_id, name="shell", arguments=arguments)
        await self._step("model_turn", entry=Entry(role="assistant", text="I ask", calls=(call,)))
        await self._step("tool_started", call=call)
        payload = {"tool": "shell", "arguments": arguments, "argument": argument}
        self._open = Ask(call_id=call_id, kind="approval", timeout_s=86_400.0, payload=payload)
        await self._send(self._open)

    async def _answered(self, answered: Answered, ask: Ask) -> None:
        self._open = None
        if not answered.is_error and isinstance(ask.payload, dict):
            self._deeds.let_through[self._group_id, str(ask.payload["argument"])] += 1
        await self._step("tool_finished", output=ToolOutput(call_id=ask.call_id, text=answered.answer))

    async def _step(self, kind: str, **more: object) -> None:
        step = Step(index=self._index, kind=kind, **more)  # type: ignore[arg-type]  # the test's words
        self._index += 1
        self._agent.seq += 1
        await self._deliver(StepTaken(seq=self._agent.seq, step=step))

    async def _finish(self, result: TaskResult) -> None:
        self._agent.seq += 1
        await self._deliver(Finished(seq=self._agent.seq, result=result))

    async def _deliver(self, frame: StepTaken | Finished) -> None:
        """Send, and wait until it is on disk."""
        self._unacked.append(frame)
        await self._send(frame)
        while frame in self._unacked:
            await self._take(await self._news.get())

    async def _send(self, frame: object) -> None:
        with contextlib.suppress(OSError):  # it is sent again to the next host
            await self._agent.send(frame)


def puppet_script(ledger: Ledger, deeds: Deeds) -> Callable[[ScriptedAgent], Awaitable[None]]:
    async def script(agent: ScriptedAgent) -> None:
        await Puppet(agent, ledger, deeds).run()

    return script
