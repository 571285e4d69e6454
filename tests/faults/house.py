"""A whole installation as a person sees it: what they type, what they read; and the levers that break something."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import docker

from bench.installation import Installation
from client.control import Conversation
from credproxy.admin_client.link import ProxyAdmin
from protocol.control import Say, Shown

WAIT_S = 30.0
LOOK_EVERY_S = 0.05
_PIDFD_GETFD = 438
"""The system call's number, the same on every machine; it is younger than Python's own list."""


class Talk:
    """One terminal chat, read as it comes."""

    def __init__(self, conversation: Conversation, wait_s: float = WAIT_S) -> None:
        self._conversation = conversation
        self._wait_s = wait_s
        self._shown = conversation.shown()
        self.seen: list[Shown] = []

    async def say(self, text: str, *files: Path) -> None:
        await self._conversation.say(Say(text=text, files=tuple(str(file) for file in files)))

    async def until(self, kind: str, text: str = "", timeout_s: float | None = None) -> Shown:
        """Return the next thing of a kind that has the text in it."""
        timeout_s = self._wait_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                async for shown in self._shown:
                    self.seen.append(shown)
                    if shown.kind == kind and text in shown.text:
                        return shown
        except TimeoutError:
            raise AssertionError(f"no {kind} with {text!r} within {timeout_s:g} s; seen: {self.seen[-20:]}") from None
        raise AssertionError("the host closed the chat")

    async def answer(self) -> str:
        """Return the next whole message."""
        return (await self.until("message")).text

    async def ask(self, text: str, *files: Path) -> str:
        """Say something and return the next whole message."""
        await self.say(text, *files)
        return await self.answer()

    def read(self, kind: str) -> list[str]:
        """Return what was shown of a kind so far."""
        return [shown.text for shown in self.seen if shown.kind == kind]


@asynccontextmanager
async def talk(home: Installation, group: str = "main", name: str = "", wait_s: float = WAIT_S) -> AsyncIterator[Talk]:
    """Open a chat; `wait_s`: how long each answer may take."""
    async with home.control.chat(group, name) as conversation:
        yield Talk(conversation, wait_s)


async def until_true(holds: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Wait for a condition outside this process."""
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(LOOK_EVERY_S)


async def add_key(home: Installation, name: str, value: str, *, replace: bool = False) -> None:
    """Store a key as `nightyard secret add` does."""
    proxy = ProxyAdmin(home.home / "run" / "proxy.sock")
    async with asyncio.TaskGroup() as group:
        connection = group.create_task(proxy.run())
        await proxy.secret_add(name, value, kind="key", replace=replace)
        connection.cancel()


def write_group(home: Installation, group: str, settings: str) -> Path:
    """Write a group's group.yaml; it counts after a reload."""
    path = home.fork / "groups" / group / "group.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings, "utf-8")
    return path


def workspace(home: Installation, group: str = "main") -> Path:
    return home.home / "groups" / group / "workspace"


# --- The host, measured


def host_pss_mb(home: Installation) -> float:
    """Return the host's proportional memory."""
    rollup = Path(f"/proc/{home.processes()['host']}/smaps_rollup").read_text("ascii")
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


@asynccontextmanager
async def flat_memory(home: Installation, most_mb: float = 20.0) -> AsyncIterator[None]:
    """Assert that the host's memory does not grow while the block runs, looked at all along."""
    before, most = host_pss_mb(home), 0.0

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, await asyncio.to_thread(host_pss_mb, home))
            await asyncio.sleep(LOOK_EVERY_S)

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        yield
        looking.cancel()
    print(f"\nhost memory (PSS): {before:.1f} MB before, {most:.1f} MB at most")
    assert most - before < most_mb


# --- The agent's container, from outside


@contextmanager
def engine() -> Iterator[Any]:
    client: Any = docker.APIClient(version="auto")
    try:
        yield client
    finally:
        client.close()


def working_containers(home: Installation) -> list[str]:
    """Return the ids of this home's containers that run, spares included, newest first."""
    home_id = (home.home / "home_id").read_text("ascii").strip()
    with engine() as api:
        return [str(each["Id"]) for each in api.containers(filters={"label": f"nightyard.home={home_id}"})]


def container_processes(container: str) -> dict[int, str]:
    """Return pid on this machine → command line of a container's processes; empty once it is gone."""
    with engine() as api:
        try:
            top = api.top(container, ps_args="-eo pid,args")
        except docker.errors.APIError:
            return {}
    return {int(row[0]): " ".join(row[1:]) for row in top["Processes"] or ()}


def agent_at_work(home: Installation, tool: str) -> int:
    """Return the pid of the agent whose tool's command line holds `tool`; raise LookupError."""
    for container in working_containers(home):
        processes = container_processes(container)
        if any(tool in line and "/opt/agent" not in line for line in processes.values()):
            return next(pid for pid, line in processes.items() if line.startswith("/usr/bin/python3 -I /opt/agent"))
    raise LookupError(f"no agent runs {tool}")


async def find_agent(home: Installation, tool: str) -> int:
    """Return the agent's pid as soon as its tool runs."""
    found: list[int] = []

    def look() -> bool:
        with contextlib.suppress(LookupError):
            found.append(agent_at_work(home, tool))
        return bool(found)

    await until_true(look)
    return found[0]


def tool_processes(tool: str) -> list[int]:
    """Return the processes of this machine whose command line is exactly that."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip() == tool:
                found.append(int(folder.name))
    return found


@contextmanager
def agents_link(pid: int) -> Iterator[socket.socket]:
    """Give the very socket over which an agent talks to the host: what an agent that was taken over would send.

    Needs root. The agent is halted meanwhile, so that no frame of its own falls into ours.
    """
    os.kill(pid, signal.SIGSTOP)
    process = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):  # noqa: PTH208
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):  # noqa: PTH115
                continue
            descriptor = libc.syscall(_PIDFD_GETFD, process, int(name), 0)
            if descriptor < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd was refused")
            link = socket.socket(fileno=descriptor)
            with link:
                if link.family == socket.AF_UNIX and _peer(link).endswith("host.sock"):
                    yield link
                    return
        raise LookupError("the agent has no link")
    finally:
        os.close(process)


def _peer(link: socket.socket) -> str:
    try:
        return str(link.getpeername())
    except OSError:  # a listener
        return ""


# --- Time


@contextmanager
def measured(what: str, most_s: float) -> Iterator[None]:
    """Print how long the block took, and assert that it was not longer than that."""
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    print(f"\n{what}: {took_s:.2f} s")
    assert took_s <= most_s, f"{what} took {took_s:.2f} s, more than {most_s:g} s"
