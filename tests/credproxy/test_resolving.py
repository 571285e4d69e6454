"""Names: found on threads that nothing waits for in vain. Who shares them with whom is tested with the faults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from credproxy.wire.resolving import THREADS_PER_GROUP, SystemResolver
from protocol.ids import GroupId

ROOT = Path(__file__).resolve().parents[2]
GROUP = GroupId("main")
ENDS_WHILE_NAMES_HANG = """
import asyncio, threading
from credproxy.wire.resolving import SystemResolver
from protocol.ids import GroupId

asked = threading.Semaphore(0)

def never(host, port):
    asked.release()
    threading.Event().wait()

async def main():
    resolver = SystemResolver(never)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(resolver("a.test", 443, GroupId(name))) for name in ("one", "two")]
        for _ in asking:
            await asyncio.to_thread(asked.acquire)
        print("asking", flush=True)
        for task in asking:
            task.cancel()

asyncio.run(main())
"""


def test_a_process_ends_while_names_hang() -> None:
    """A name server that never answers keeps no process from ending."""
    process = subprocess.Popen([sys.executable, "-c", ENDS_WHILE_NAMES_HANG], cwd=ROOT, stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"asking\n"
            assert process.wait(20) == 0
        finally:
            process.kill()


async def test_failed_and_crooked_names_free_their_thread() -> None:
    """However a name is not found, the next one is asked for: no thread of the group's share is lost."""

    def look_up(host: str, _port: int) -> Sequence[str]:
        if host == "none.test":
            raise OSError("no such name")
        if host == "crooked.test":
            raise UnicodeError("label too long")
        return ("192.0.2.1",)

    resolver = SystemResolver(look_up)
    for _ in range(THREADS_PER_GROUP + 1):
        with pytest.raises(OSError, match="no such name"):
            await resolver("none.test", 443, GROUP)
        with pytest.raises(UnicodeError):
            await resolver("crooked.test", 443, GROUP)
    assert await resolver("a.test", 443, GROUP) == ("192.0.2.1",)


async def test_the_system_is_asked_when_nobody_else_is() -> None:
    """Every machine knows its own name."""
    assert set(await SystemResolver()("localhost", 443, GROUP)) <= {"127.0.0.1", "::1"}
