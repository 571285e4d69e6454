"""A quarter for tests: the street's proxy and its upstreams, and real containers whose only way out is a door to it.

What is run inside is a shell script with the environment that every agent's tools have, nothing added: that the tools
trust the proxy's authority and find the proxy is what is tested.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from credproxy.admin_client.injection import placeholder_variables
from credproxy.trust.bundle import write_bundle
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits, ModelRoute
from runtime.container_command import ContainerKind, ContainerLimits, FolderMount
from runtime.container_engine import ContainerEngine
from runtime.container_session import ContainerSession
from runtime.containers import Containers
from tests.credproxy.street import GROUP, Arrived, Respond, Street, Upstream
from tests.runtime.container_house import ROOT, SCRIPTED_AGENT, an_assignment, follow, make_setup, until

LIMITS = ContainerLimits(memory_bytes=1536 << 20, tmp_bytes=256 << 20)
TIMEOUT_S = 100.0

FORWARDING = """
import sys
from agents.forwarder import ForwarderThread
from agents.refusals import Refusals
ForwarderThread(3128, "/run/yard/proxy.sock", Refusals()).start()
"""
RUN = """
import json, subprocess
done = subprocess.run(
    ["bash", "-c", {script!r}],
    cwd="/workspace", stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
)
answer(json.dumps([done.returncode, done.stdout[-60000:], done.stderr[-60000:]]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a script did inside."""

    code: int
    output: str
    errors: str

    def well(self) -> str:
        """Return what it wrote, if it ended well."""
        assert self.code == 0, f"exit code {self.code}\n{self.output}\n{self.errors}"
        return self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a shop answers."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Serve = Callable[[Arrived], Awaitable[Reply]]


def respond_with(serve: Serve) -> Respond:
    """Return how an upstream of the street answers with a shop's replies."""

    async def respond(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        reply = await serve(arrived)
        lines = [f"HTTP/1.1 {reply.status} Answer", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        is_head = arrived.line.startswith("HEAD ")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if is_head else reply.body))

    return respond


@dataclass(slots=True)
class Quarter:
    """What is open."""

    street: Street
    image: str
    containers: Containers
    tools: tuple[FolderMount, ...] = ()
    """Shown inside as `/skills/NAME`."""
    model: ModelRoute | None = None
    grants: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def shop(self, host: str, serve: Serve, **grant: object) -> AsyncIterator[Upstream]:
        """A TLS server that the group may reach, under these keys of a grant."""
        async with self.street.upstream(host) as upstream:
            upstream.respond = respond_with(serve)
            self.street.addresses[host] = ["127.0.0.1"]
            self.grant(host=host, port=upstream.port, addresses=["127.0.0.1"], **grant)
            yield upstream

    def grant(self, **keys: object) -> None:
        self.grants.append(f"- {json.dumps(keys)}")
        self.street.grants = "\n".join(self.grants)
        self.street.proxy.reload()

    async def run(self, script: str) -> Ran:
        """Run a script in a container of its own; the group's folders are the same in each."""
        kind = ContainerKind(group_id=GROUP, image=self.image, limits=LIMITS, skills=self.tools, model=self.model)
        session = await self.containers.take(kind)
        assert isinstance(session, ContainerSession), session
        lease = Lease(
            task_id=TaskId("task_1"),
            attempt_id=AttemptId("attempt_1"),
            group_id=GROUP,
            effects=Effects.LIVE,
            limits=Limits(),
            routes=tuple(self.street.routes),
        )
        assignment = an_assignment(RUN.format(script=script), GROUP)
        try:
            assert await session.hand_over(lease, assignment, recorded=asyncio.sleep(0)) is None
            result, events = await follow(session, TIMEOUT_S)
        finally:
            await session.end("the test is over")
        assert result is not None, events
        try:
            code, output, errors = json.loads(result.text)
        except ValueError:
            raise AssertionError(result.text) from None
        return Ran(code=code, output=output, errors=errors)


@asynccontextmanager
async def open_quarter(image: str, *tools: FolderMount) -> AsyncIterator[Quarter]:
    """Open a proxy and a place for containers, in a home of their own."""
    home = Path(mkdtemp(prefix="ny-", dir="/tmp"))
    engine = ContainerEngine()
    try:
        async with Street(home).open() as street:
            write_bundle(home / "ca")
            setup = make_setup(home, bundle=_make_bundle(home))

            async def placeholders(group_id: GroupId) -> tuple[tuple[str, str], ...]:
                return tuple(sorted((await placeholder_variables(street.admin, group_id)).items()))

            containers = Containers(setup, engine, street.admin, known_doors=_no_doors, placeholders=placeholders)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(containers.run())
                try:
                    yield Quarter(street=street, image=image, containers=containers, tools=tools)
                finally:
                    await until(lambda: containers.statistics().removing == 0)
                    running.cancel()
            for left in await engine.list_containers(setup.home_id):
                await engine.remove(left.container_id)
    finally:
        engine.close()
        await asyncio.to_thread(shutil.rmtree, home, True)


async def _no_doors() -> frozenset[DoorId]:
    return frozenset()


def _make_bundle(home: Path) -> Path:
    """The scripted agent, with the real agent's forwarder in front."""
    bundle = home / "agent" / "forwarding"
    for package in ("agents", "protocol"):
        shutil.copytree(ROOT / package, bundle / package, ignore=shutil.ignore_patterns("__pycache__", "image"))
    (bundle / "__main__.py").write_text(FORWARDING + SCRIPTED_AGENT)
    return bundle
