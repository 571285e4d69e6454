"""What an idle host and proxy hold and use, what each waiting and each working agent adds, how large the image is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import docker

from bench.installation import ROOT, Installation, installation
from bench.process_memory import cpu_seconds, parent_of, pss_mb
from bench.report import Metric, at_most, figure, publish
from cli.engine import engine_address
from cli.image import ensure_image
from protocol.control import Say

AGENTS = 5
IDLE_S = 60.0
SETTLE_S = 10.0
"""After the start, before idleness is measured: what a start leaves to be done is not idling."""
WAIT_S = 120.0
REPLY_THEN_WORK = {
    "rules": [
        {
            "when": "",
            "turns": [{"text": "first a word", "calls": [{"tool": "shell", "arguments": {"command": "sleep 600"}}]}],
        }
    ]
}


async def run(idle_s: float = IDLE_S) -> None:
    """Measure and publish."""
    image = ensure_image(ROOT)
    names = [f"group-{number}" for number in range(AGENTS)]
    async with installation(groups=names, script=REPLY_THEN_WORK) as running:
        metrics = await _idle(running, idle_s)
        metrics += await _agents(running, names)
    engine: Any = docker.APIClient(base_url=engine_address(), version="auto")
    metrics.append(at_most("image", engine.inspect_image(image)["Size"] / 1e6, "MB", 220))
    publish("memory", metrics)


async def _idle(running: Installation, idle_s: float) -> list[Metric]:
    host, proxy = running.processes()["host"], running.processes()["credproxy"]
    await asyncio.sleep(SETTLE_S)
    before = {pid: cpu_seconds(pid) for pid in (host, proxy)}
    await asyncio.sleep(idle_s)
    used = {pid: (cpu_seconds(pid) - before[pid]) * 60 / idle_s for pid in before}
    return [
        at_most("host_idle", pss_mb([host]), "MB", 45),
        at_most("proxy_idle", pss_mb([proxy]), "MB", 40),
        figure("supervisor_idle", pss_mb([running.supervisor.pid]), "MB"),
        figure("all_idle", pss_mb([host, proxy, running.supervisor.pid]), "MB"),
        figure("host_idle_cpu", used[host], "s/min"),
        figure("proxy_idle_cpu", used[proxy], "s/min"),
    ]


async def _agents(running: Installation, names: list[str]) -> list[Metric]:
    """A task in each group leaves a spare waiting behind it: both kinds are there at the same moment."""
    waiting, working = await agents_at_work(running, names, "sleep 600", spares=len(names))
    return [
        at_most("agent_waiting", waiting, "MB", 12),
        at_most("agent_working", working, "MB", 25),
        figure("host_with_agents", pss_mb([running.processes()["host"]]), "MB"),
    ]


async def agents_at_work(
    running: Installation, names: Sequence[str], tool: str, *, spares: int = 1, settle_s: float = 0.0
) -> tuple[float, float]:
    """Have each group's agent say a word and begin with a tool; return what one container holds that waits, of which
    there are so many at least, and one that works (PSS in MB, the engine's shim included)."""
    for name in names:
        async with running.control.chat(name) as conversation:
            await conversation.say(Say(text="work"))
            async for shown in conversation.shown():
                if shown.kind == "accepted":
                    break
    await _await_agents(running, tool, working=len(names), spares=spares)
    await asyncio.sleep(settle_s)
    waiting, working = containers(running, tool)
    return mean_mb(waiting), mean_mb(working)


def mean_mb(found: Sequence[Sequence[int]]) -> float:
    """Return what one of the containers holds (PSS in MB), given the processes of each; 0 where there is none."""
    return sum(map(pss_mb, found)) / max(len(found), 1)


async def _await_agents(running: Installation, tool: str, *, working: int, spares: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            status: Any = await running.control.request("status")
            agents = status["agents"]
            is_there = agents["working"] == working and agents["waiting"] >= spares
            if is_there and len(containers(running, tool)[1]) == working:
                return
            await asyncio.sleep(0.5)


def containers(running: Installation, tool: str) -> tuple[list[list[int]], list[list[int]]]:
    """Return the processes of each container that waits, and of each in which `tool` runs, with the engine's shim."""
    api: Any = docker.APIClient(base_url=engine_address(), version="auto")
    home_id = (running.home / "home_id").read_text("utf-8").strip()
    waiting: list[list[int]] = []
    working: list[list[int]] = []
    for container in api.containers(filters={"label": f"nightyard.home={home_id}"}):
        processes = api.top(container["Id"], ps_args="-eo pid,args")["Processes"]
        pids = [int(pid) for pid, _ in processes]
        shim = parent_of(int(api.inspect_container(container["Id"])["State"]["Pid"]))
        is_working = any(tool in line for _, line in processes)
        (working if is_working else waiting).append([*pids, shim])
    return waiting, working
