"""What the host can take: messages stored and acknowledged, restarts under work, commands, bursts, many sessions."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.installation import ROOT, Installation, installation
from bench.intake import fsync_ms, measure
from bench.process_memory import CLOCK_TICKS, pss_mb
from bench.report import Metric, at_least, at_most, figure, kept, publish
from bench.stops import stop_all_one_by_one
from cli.image import ensure_image
from client.errors import ControlError
from protocol.control import Say

SMALL = 1_000
LARGE = int(os.environ.get("NIGHTYARD_BENCH_MESSAGES", "100000"))
"""Messages in the store when the last figures are taken."""
STORE = os.environ.get("NIGHTYARD_BENCH_STORE", "")
"""The folder of a store that is kept and filled once; empty: a new one each time."""
PARTS = os.environ.get("NIGHTYARD_BENCH_PARTS", "intake restart sessions agents burst").split()
"""What is measured; the figures of the other parts stay as they were kept."""
SAMPLE = 10_000
CALM_S = 6.0
RESTARTS = 5
AGENTS = 20
COMMANDS = 15
BURST = 30
MODEL_S = 0.5
SESSIONS = 1_000
TALKERS = ("one", "two", "three")
WAIT_S = 180.0
WORK = {
    "rules": [
        {"when": "", "turns": [{"text": "on it", "calls": [{"tool": "shell", "arguments": {"command": "sleep 900"}}]}]}
    ]
}
SLOW = {
    "rules": [
        {"when": "", "turns": [{"text": "all of it: {collected}", "delay_s": MODEL_S}], "collect": r"burst-(\d+)"}
    ]
}


async def run() -> None:
    """Measure and publish."""
    ensure_image(ROOT)
    metrics: list[Metric] = []
    if "intake" in PARTS:
        metrics += await _intake()
    if "restart" in PARTS:
        async with installation() as idle:
            metrics += [at_most("restart", await _restart(idle), "s", 0.7)]
            metrics += await _commands(idle)
    if "sessions" in PARTS:
        async with installation(groups=TALKERS) as talking:
            metrics += await _sessions(talking)
    if "agents" in PARTS:
        names = [f"group-{number}" for number in range(AGENTS)]
        async with installation(groups=names, script=WORK, settings="containers:\n  spare_idle_s: 0\n") as busy:
            metrics += await _restart_with_agents(busy, names)
            metrics += await stop_all_one_by_one(busy, names)
    if "burst" in PARTS:
        async with installation(script=SLOW) as slow:
            metrics += await _burst(slow)
    publish("host", [*metrics, *kept("host", but={metric.key for metric in metrics})], extra={"messages": LARGE})


async def _intake() -> list[Metric]:
    with tempfile.TemporaryDirectory(prefix="ny-intake-") as folder:
        yardstick = fsync_ms(Path(folder))
        small = await measure(Path(folder) / "small", SMALL, SAMPLE, CALM_S)
        large = await measure(Path(STORE or folder) / "large", LARGE, SAMPLE, CALM_S)
    limit = 5 * yardstick + 5
    return [
        figure("fsync_p50", yardstick, "ms"),
        at_least("intake_rate", small.per_s, "1/s", 2_000),
        at_least("intake_rate_large", large.per_s, "1/s", 2_000),
        at_least("intake_large_to_small", large.per_s / small.per_s, "x", 0.8),
        figure("filed_rate", small.filed_per_s, "1/s"),
        figure("filed_rate_large", large.filed_per_s, "1/s"),
        figure("intake_p50", small.calm_p50_ms, "ms"),
        at_most("intake_p99", small.calm_p99_ms, "ms", limit, "5 fsyncs + 5 ms"),
        at_most("intake_p99_large", large.calm_p99_ms, "ms", limit, "5 fsyncs + 5 ms"),
    ]


async def _restart(running: Installation) -> float:
    """Return the median s from a host process's start to its first answer, each after a kill."""
    return statistics.median([await _restart_once(running) for _ in range(RESTARTS)])


async def _restart_once(running: Installation) -> float:
    before = running.processes()["host"]
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                health: Any = await running.control.request("health", timeout_s=5)
            except ControlError:
                await asyncio.sleep(0.005)
                continue
            if health["pid"] != before:
                return time.clock_gettime(time.CLOCK_BOOTTIME) - _started_s(health["pid"])


def _started_s(pid: int) -> float:
    """Return when a process began, in s since the machine did."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / CLOCK_TICKS


async def _restart_with_agents(running: Installation, names: Sequence[str]) -> list[Metric]:
    for name in names:
        await _say(running, name, "work")
    await _await_working(running, len(names))
    answered = await _restart_once(running)
    began = time.monotonic()
    await _await_working(running, len(names))
    return [
        at_most("restart_with_20_agents", answered, "s", 1.0),
        figure("agents_taken_up", time.monotonic() - began, "s"),
    ]


async def _await_working(running: Installation, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            status: Any = await running.control.request("status")
            if status["agents"]["working"] == count:
                return
            await asyncio.sleep(0.02)


async def _say(running: Installation, group: str, text: str) -> None:
    async with running.control.chat(group) as conversation:
        await conversation.say(Say(text=text))
        async for shown in conversation.shown():
            if shown.kind == "accepted":
                return


async def _commands(running: Installation) -> list[Metric]:
    environment = {**os.environ, **running.environment}
    return [
        figure("python_start", _median_ms([sys.executable, "-c", "pass"], environment), "ms"),
        at_most("command_help", _median_ms([str(ROOT / "nightyard"), "--help"], environment), "ms", 80),
        at_most("command_status", _median_ms([str(ROOT / "nightyard"), "status"], environment), "ms", 150),
    ]


def _median_ms(command: Sequence[str], environment: dict[str, str]) -> float:
    times = []
    for _ in range(COMMANDS):
        began = time.perf_counter()
        subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def _sessions(running: Installation) -> list[Metric]:
    """Have a thousand chats each ask something and be answered, a session each; how much more the host holds then."""
    for talker in TALKERS:
        await _ask(running, talker, "first")  # what a first task brings in is no session's
    before = pss_mb([running.processes()["host"]])
    numbers, began = iter(range(SESSIONS)), time.monotonic()

    async def talk(talker: str) -> None:
        for number in numbers:
            await _ask(running, talker, f"chat-{number}")

    async with asyncio.TaskGroup() as talks:
        for talker in TALKERS:
            talks.create_task(talk(talker))
    took = time.monotonic() - began
    await asyncio.sleep(CALM_S)  # what has answered is cleared away
    after = pss_mb([running.processes()["host"]])
    return [at_most("sessions_1000_growth", after - before, "MB", 10), figure("sessions_1000_time", took, "s")]


async def _ask(running: Installation, group: str, name: str) -> None:
    """Say something in a chat of its own, and wait for the answer."""
    async with asyncio.timeout(WAIT_S), running.control.chat(group, name) as conversation:
        await conversation.say(Say(text="hello"))
        async for shown in conversation.shown():
            if shown.kind == "message":
                return


async def _await_model(running: Installation) -> None:
    """Wait until the model has been asked: the agent is at work."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if running.twin("GET", "/twin/log"):
                return
            await asyncio.sleep(0.01)


async def _burst(running: Installation) -> list[Metric]:
    """Say 30 things at once to an agent at work; all are answered, in order, in the time that the model needs."""
    async with AsyncExitStack() as stack:
        conversation = await stack.enter_async_context(running.control.chat("main"))
        await conversation.say(Say(text="begin"))
        await _await_model(running)
        began = time.monotonic()
        for number in range(BURST):
            await conversation.say(Say(text=f"burst-{number}"))
        seen: list[int] = []
        async with asyncio.timeout(WAIT_S):
            async for shown in conversation.shown():
                if shown.kind == "message":
                    seen += [int(found) for found in re.findall(r"\d+", shown.text)]
                if len(set(seen)) == BURST:
                    break
        took = time.monotonic() - began
    calls = len(running.twin("GET", "/twin/log"))
    in_order = list(dict.fromkeys(seen)) == list(range(BURST))
    return [
        at_least("burst_answered_in_order", float(in_order), "", 1),
        figure("burst_model_calls", calls, ""),
        at_most("burst_time", took, "s", calls * MODEL_S * 1.2 + 1, "the model's time x 1.2 + 1 s"),
    ]
