"""The async client of task.sock: for programs that hand tasks in, and for pipelines.

Each method is one question on a connection of its own, so that many may be asked at once; `events` reconnects and goes
on from its cursor, so none is lost and none is told twice. Raises HostNotRunning, HostUnreadable and Refused;
cancelling one closes its connection and nothing else: a submission goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TypeVar

from client.connection import Connection, connected
from client.errors import HostNotRunning, HostSilent, HostUnreadable, Refused
from protocol.codec import Json
from protocol.frames import PROTOCOL_VERSION
from protocol.ids import GroupId, SubmissionId
from protocol.task import Effects, Limits
from protocol.tasks import (
    TASK_SERVER_FRAMES,
    AskHealth,
    Cancel,
    EventsEnd,
    Follow,
    Open,
    Opened,
    ReadResult,
    ResultEnvelope,
    Submit,
    Submitted,
    TaskEvent,
    TaskProblem,
    TasksHealth,
)

T = TypeVar("T")

ANSWER_TIMEOUT_S = 30.0
WAIT_AT_ONCE_S = 300.0
"""Whoever waits for a result asks anew so often: the host may have gone without a word."""
FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0


class TaskClient:
    """Asks the host whose task.sock is at `path`, as one program."""

    def __init__(self, path: Path, *, program: str = "", token: str = "", connect_timeout_s: float = 5.0) -> None:
        """By its `token`, or by its name alone where it was added without one."""
        self._path = path
        self._opening = Open(protocol=PROTOCOL_VERSION, program="" if token else program, token=token)
        self._connect_timeout_s = connect_timeout_s

    async def submit(
        self,
        group: str,
        given: Json,
        *,
        idempotency_key: str = "",
        skill: str | None = None,
        result_schema: Json = None,
        effects: Effects = Effects.LIVE,
        model_hint: str | None = None,
        limits: Limits | None = None,
        max_attempts: int = 1,
        labels: Mapping[str, str] | None = None,
    ) -> Submitted:
        """Hand in one task; it is on the host's disk when this returns. With a key it may be repeated without harm."""
        asked = Submit(
            group=GroupId(group),
            input=given,
            idempotency_key=idempotency_key,
            skill=skill,
            result_schema=result_schema,
            effects=effects,
            model_hint=model_hint,
            limits=limits,
            max_attempts=max_attempts,
            labels=labels,
        )
        return await self._ask(asked, Submitted)

    async def result(self, submission: SubmissionId) -> ResultEnvelope:
        """Return how a submission stands now."""
        return await self._ask(ReadResult(submission=submission), ResultEnvelope)

    async def wait(self, submission: SubmissionId) -> ResultEnvelope:
        """Return a submission's envelope when it has ended, over restarts of the host."""
        delay_s = FIRST_DELAY_S
        while True:
            try:
                asked = ReadResult(submission=submission, wait_s=WAIT_AT_ONCE_S)
                envelope = await self._ask(asked, ResultEnvelope, WAIT_AT_ONCE_S + ANSWER_TIMEOUT_S)
                delay_s = FIRST_DELAY_S
            except (HostNotRunning, HostUnreadable, HostSilent):
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, LAST_DELAY_S)
                continue
            if envelope.state == "ended":
                return envelope

    async def cancel(self, submission: SubmissionId, reason: str = "") -> ResultEnvelope:
        """End a submission, waiting or running; return how it stands."""
        return await self._ask(Cancel(submission=submission, reason=reason), ResultEnvelope)

    async def health(self) -> TasksHealth:
        return await self._ask(AskHealth(), TasksHealth)

    async def events(
        self, cursor: int = 0, *, submission: SubmissionId | None = None, wait: bool = True
    ) -> AsyncIterator[TaskEvent]:
        """Yield what has happened since a cursor; with `wait` also what happens then, over restarts of the host."""
        delay_s = FIRST_DELAY_S
        while True:
            try:
                async with self._open() as connection:
                    await connection.send(Follow(cursor=cursor, submission=submission, wait=wait))
                    async for frame in connection.frames():
                        delay_s = FIRST_DELAY_S
                        if isinstance(frame, TaskProblem):
                            raise Refused(frame.code, frame.message, frame.mend)
                        if isinstance(frame, EventsEnd):
                            return
                        if isinstance(frame, TaskEvent):
                            cursor = frame.cursor
                            yield frame
            except (HostNotRunning, HostUnreadable):
                if not wait:
                    raise
            if not wait:
                raise HostUnreadable(self._path, "the connection ended before the events did")
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LAST_DELAY_S)

    async def _ask(self, asked: object, answer: type[T], timeout_s: float = ANSWER_TIMEOUT_S) -> T:
        try:
            async with asyncio.timeout(timeout_s), self._open() as connection:
                await connection.send(asked)
                async for frame in connection.frames():
                    if isinstance(frame, TaskProblem):
                        raise Refused(frame.code, frame.message, frame.mend)
                    if isinstance(frame, answer):
                        return frame
        except TimeoutError:
            raise HostSilent(type(asked).__name__, timeout_s) from None
        raise HostUnreadable(self._path, "the connection ended without an answer")

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Connection]:
        async with connected(
            self._path, self._connect_timeout_s, TASK_SERVER_FRAMES, too_large_mend="put it into a file"
        ) as connection:
            await connection.send(self._opening)
            async for frame in connection.frames():
                if isinstance(frame, TaskProblem):
                    raise Refused(frame.code, frame.message, frame.mend)
                if isinstance(frame, Opened):
                    break
            else:
                raise HostUnreadable(self._path, "the connection ended before it was open")
            yield connection
