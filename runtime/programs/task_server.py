"""task.sock: the door where programs hand in tasks. A connection is one program's, and asks one thing after another.

What is asked is `desk.py`'s business; this file listens, counts connections, bounds frames and waits, and keeps one
client's misbehaviour to that client. The other end is `client/tasks.py`.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from protocol.frames import PROTOCOL_VERSION, FrameError, check_version
from protocol.tasks import (
    PROGRAM_FRAMES,
    AskHealth,
    Cancel,
    Follow,
    Open,
    Opened,
    ReadResult,
    Submit,
    TaskProblem,
)
from runtime.frame_connection import ClientGone, FrameConnection, serve_socket
from runtime.programs.desk import ProgramDesk
from runtime.programs.records import Program
from runtime.refusal import OperationRefused
from runtime.store.errors import StoreError

log = logging.getLogger(__name__)

FIRST_FRAME_TIMEOUT_S = 10.0


class TaskServer:
    """Listens at `path` (mode 0600) until cancelled."""

    def __init__(self, path: Path, desk: ProgramDesk, *, max_connections: int = 64) -> None:
        self._path = path
        self._desk = desk
        self._max_connections = max_connections
        self._connections = 0
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; removes the socket at the end. Raises OSError if the path cannot be bound."""
        await serve_socket(
            self._path,
            self.listening,
            lambda reader, writer: FrameConnection(reader, writer, PROGRAM_FRAMES),
            self._serve,
        )

    async def _serve(self, connection: FrameConnection) -> None:
        """Answer one program. Whatever goes wrong here ends this connection and nothing else."""
        self._connections += 1
        try:
            if self._connections > self._max_connections:
                text = f"{self._max_connections} programs are connected to the host already"
                await connection.send(TaskProblem(code="too_many", message=text, mend="close a connection"))
                return
            await self._answer_all(connection)
        except FrameError as error:
            await connection.send(TaskProblem(code=error.code, message=f"this is not a frame of task.sock: {error}"))
        except ClientGone:
            log.debug("a program went away", extra={"action": "program_gone"})
        except Exception:
            log.exception("a program's question failed", extra={"action": "program_failed"})
            message = "the host made a mistake of its own; its log says which"
            await connection.send(TaskProblem(code="host_bug", message=message, mend="./nightyard logs host"))
        finally:
            self._connections -= 1

    async def _answer_all(self, connection: FrameConnection) -> None:
        try:
            async with asyncio.timeout(FIRST_FRAME_TIMEOUT_S):
                opening = await connection.receive()
        except TimeoutError:
            raise ClientGone from None
        if not isinstance(opening, Open):
            raise FrameError("unknown_type", "the first frame of a connection is open")
        check_version(opening.protocol)
        try:
            program = await self._desk.programs.known(token=opening.token, name=opening.program)
        except OperationRefused as refused:
            await connection.send(_problem(refused))
            return
        await connection.send(Opened(protocol=PROTOCOL_VERSION, program=program.name, groups=program.groups))
        ended = await self._converse(connection, program)
        raise ended

    async def _converse(self, connection: FrameConnection, program: Program) -> ClientGone | FrameError:
        """Answer question by question; return why it ended. While one is answered the next is listened for, so that a
        program that goes is noticed and what it waits for is let go."""
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(_hear(connection))
            while True:
                asked = await hearing
                if isinstance(asked, ClientGone | FrameError):
                    return asked
                hearing = group.create_task(_hear(connection))
                answering = group.create_task(self._answer(connection, program, asked))
                await asyncio.wait({hearing, answering}, return_when=asyncio.FIRST_COMPLETED)
                is_over = hearing.done() and isinstance(hearing.result(), ClientGone | FrameError)
                if is_over or (hearing.done() and isinstance(asked, Follow) and asked.wait):
                    answering.cancel()
                await asyncio.wait({answering})

    async def _answer(self, connection: FrameConnection, program: Program, asked: object) -> None:
        try:
            await self._answer_one(connection, program, asked)
        except OperationRefused as refused:
            await connection.send(_problem(refused))
        except StoreError as error:
            await connection.send(TaskProblem(code="store", message=str(error)))

    async def _answer_one(self, connection: FrameConnection, program: Program, asked: object) -> None:
        match asked:
            case Submit():
                await connection.send(await self._desk.submit(program, asked))
            case ReadResult(submission=submission, wait_s=wait_s):
                await connection.send(await self._desk.result(program, submission, wait_s))
            case Cancel(submission=submission, reason=reason):
                await connection.send(await self._desk.cancel(program, submission, reason))
            case Follow():
                async for event in self._desk.events(program, asked):
                    if not await connection.send(event):
                        return
            case AskHealth():
                await connection.send(await self._desk.health(program))
            case _:
                text = "this connection is open already"
                await connection.send(TaskProblem(code="unknown_type", message=text))


async def _hear(connection: FrameConnection) -> object:
    """Return the next frame, or why there is none: as a value, since it is not the error of whoever is answered."""
    try:
        return await connection.receive()
    except (ClientGone, FrameError) as error:
        return error


def _problem(refused: OperationRefused) -> TaskProblem:
    return TaskProblem(code=refused.code, message=refused.message, mend=refused.mend)
