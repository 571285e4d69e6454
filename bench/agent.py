"""The agent itself, our own and Claude Code: what one holds while it waits and after its first word, how long a message
takes to its model and back, and that a hundred rounds of tools leave it as it was."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.installation import ROOT, Installation, installation
from bench.latency import Trips, await_spare, slower_than_reference, spares, trips_of
from bench.memory import agents_at_work, containers, mean_mb
from bench.process_memory import pss_mb
from bench.report import Metric, at_most, figure, kept, percentile, publish
from bench.yardstick import Yardstick
from cli.image import ensure_image
from protocol.control import Say

PARTS = ("native", "rounds", "claude")
HARNESS = "claude-code"
ROUNDS = 15
AGENTS = {"native": 5, HARNESS: 4}
"""At once, of each kind, for memory: what they share counts for each in part."""
NO_TOOL = "nothing runs that is called so"
FIRST, LAST = 10, 100
"""After which rounds of tools the agent is weighed."""
FLAT_MB = 2.0
"""What Python's own allocator may keep of a hundred rounds."""
BUILD_S = 900.0
"""A harness's image is fetched and built by the host where it is missing."""
WAIT_S = 120.0
SETTLE_S = 5.0
"""A program that has just been started is still at it."""
STARTS = 5
QUICK = {"rules": [{"when": "", "turns": [{"text": "ok"}]}]}
LIMITS = f"limits: {{rounds: {LAST}, model_calls: 10000, input_tokens: 1000000000, output_tokens: 1000000000}}\n"


class NoHarness(Exception):
    """It cannot be measured here."""


async def run() -> None:
    """Measure and publish."""
    parts = os.environ.get("NIGHTYARD_BENCH_PARTS", " ".join(PARTS)).split()
    yardstick = Yardstick(ensure_image(ROOT))
    starts = [await asyncio.to_thread(yardstick.start_one) for _ in range(STARTS)]
    start = percentile(starts, 50)
    metrics = [figure("engine_first_line_p50", start, "ms")]
    if "native" in parts:
        metrics += await _native(start)
    if "rounds" in parts:
        metrics += await _hundred_rounds("small", "echo $n")
        metrics += await _hundred_rounds("large", "seq ${n}00000 ${n}40000")
    if "claude" in parts:
        try:
            metrics += await _claude(start)
        except NoHarness as error:
            print(f"\nClaude Code is left out: {error}")
    publish("agent", [*metrics, *kept("agent", but={metric.key for metric in metrics})])


async def _native(start: float) -> list[Metric]:
    slower = slower_than_reference(start)
    waiting, working = await _weigh("native", "sleep 600", "shell")
    cold, warm = await _trips("native")
    near = "{} ms at the reference's speed"
    return [
        at_most("native_waiting", waiting, "MB", 12),
        at_most("native_after_first_reply", working, "MB", 25),
        at_most("native_cold_to_model_p50", cold.to_model(50), "ms", 1.3 * start, "1.3 x engine"),
        at_most("native_cold_model_to_reply_p50", cold.after_model(50), "ms", 8 * slower, near.format(8)),
        at_most("native_warm_to_model_p50", warm.to_model(50), "ms", 5 * slower, near.format(5)),
        at_most("native_warm_to_model_p95", warm.to_model(95), "ms", 10 * slower, near.format(10)),
        at_most("native_warm_to_reply_p50", warm.to_reply(50), "ms", 10 * slower, near.format(10)),
        at_most("native_warm_to_reply_p95", warm.to_reply(95), "ms", 20 * slower, near.format(20)),
        at_most("native_request_bytes_for_hi", warm.first_request_bytes, "B", 5 * 1024),
    ]


async def _claude(start: float) -> list[Metric]:
    slower = slower_than_reference(start)
    cold, warm = await _trips(HARNESS)
    waiting, working = await _weigh(HARNESS, "tail -f /etc/hostname", "Bash")
    near = "{} ms at the reference's speed"
    return [
        at_most("claude_waiting", waiting, "MB", 110),
        at_most("claude_after_first_reply", working, "MB", 160),
        at_most("claude_cold_to_model_p50", cold.to_model(50), "ms", 560 * slower, near.format(560)),
        figure("claude_cold_to_reply_p50", cold.to_reply(50), "ms"),
        at_most("claude_warm_to_model_p50", warm.to_model(50), "ms", 60 * slower, near.format(60)),
        at_most("claude_warm_to_model_p95", warm.to_model(95), "ms", 160 * slower, near.format(160)),
        at_most("claude_warm_model_to_reply_p50", warm.after_model(50), "ms", 10 * slower, near.format(10)),
        figure("claude_request_bytes_for_hi", warm.first_request_bytes, "B"),
    ]


async def _trips(harness: str) -> tuple[Trips, Trips]:
    """Return a message's times in fresh containers, and from the spare."""

    async def at_once(_: Installation) -> None:
        return

    async with installation(settings=spares(0), script=QUICK) as fresh:
        await _set_up(fresh, ["main"], harness)
        cold = await trips_of(fresh, ROUNDS, at_once)
    async with installation(settings=spares(900), script=QUICK) as spared:
        await _set_up(spared, ["main"], harness)
        warm = await trips_of(spared, ROUNDS, _await_started if harness != "native" else await_spare)
    return cold, warm


async def _await_started(running: Installation) -> None:
    """Return when the spare's program waits for its input, too."""
    await await_spare(running)
    await asyncio.sleep(SETTLE_S / 2)


async def _weigh(harness: str, tool: str, shell: str) -> tuple[float, float]:
    """Return what a waiting and a working agent hold, in MB; `tool` is what one is at work with, called by `shell`."""
    names = [f"group-{number}" for number in range(AGENTS[harness])]
    work = {"text": "first a word", "calls": [{"tool": shell, "arguments": {"command": tool}}]}
    script = {"rules": [{"when": "^work", "turns": [work]}, *QUICK["rules"]]}
    async with installation(groups=names, script=script) as running:
        await _set_up(running, names, harness)
        # A machine keeps fewer spares of large agents beside those that work: the ones that wait are weighed first.
        waiting = await _weigh_waiting(running, names)
        _, working = await agents_at_work(running, names, tool, spares=0, settle_s=SETTLE_S)
        return waiting, working


async def _weigh_waiting(running: Installation, names: Sequence[str]) -> float:
    """Return what a spare holds when each group has one and nobody works."""
    for name in names:
        await _greet(running, name)
    async with asyncio.timeout(WAIT_S):
        while True:
            status: Any = await running.control.request("status")
            if status["agents"]["waiting"] >= len(names) and status["agents"]["working"] == 0:
                break
            await asyncio.sleep(0.5)
    await asyncio.sleep(SETTLE_S)
    return mean_mb(containers(running, NO_TOOL)[0])


async def _hundred_rounds(size: str, command: str) -> list[Metric]:
    """Have one task call a tool a hundred times; weigh the agent at the tenth and at the last."""
    # Counted in the workspace: a model that was told a summary of its rounds does not know their number.
    count = "n=$(($(cat n 2>/dev/null)+1)); echo $n > n"
    wait = f"case $n in {FIRST}|{LAST}) mkfifo go.$n; read go < go.$n;; esac"
    turn = {"calls": [{"tool": "shell", "arguments": {"command": f"{count}; {command}; {wait}"}}]}
    script = {"rules": [{"when": "^work", "turns": [turn]}, {"when": "", "turns": [{"text": "- so far"}]}]}
    async with installation(script=script) as running:
        await _set_up(running, ["main"], "native")
        workspace = running.home / "groups" / "main" / "workspace"
        weights = {}
        async with running.control.chat("main") as conversation:
            await conversation.say(Say(text="work"))
            for number in (FIRST, LAST):
                await _until_there(workspace / f"go.{number}")
                weights[number] = _agent_mb(running, "mkfifo go")
                (workspace / f"go.{number}").write_text("\n")
            async with asyncio.timeout(WAIT_S):
                async for shown in conversation.shown():
                    if shown.kind == "message":
                        break
    grown = weights[LAST] - weights[FIRST]
    return [
        figure(f"after_{FIRST}_rounds_{size}", weights[FIRST], "MB"),
        figure(f"after_{LAST}_rounds_{size}", weights[LAST], "MB"),
        at_most(f"rounds_growth_{size}", grown, "MB", FLAT_MB),
    ]


def _agent_mb(running: Installation, tool: str) -> float:
    """Return what the agent's own process holds, while its tool runs."""
    (container,) = containers(running, tool)[1]
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") for pid in container}
    return pss_mb(pid for pid, line in lines.items() if line.startswith(b"/usr/bin/python3 -I /opt/agent"))


async def _until_there(path: Path) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.05)


async def _set_up(running: Installation, names: Sequence[str], harness: str) -> None:
    """Give the groups their harness, and wait until its image is there; raise NoHarness where it cannot be had."""
    for name in names:
        path = running.fork / "groups" / name / "group.yaml"
        path.write_text(f"{LIMITS}{'' if harness == 'native' else f'harness: {harness}'}\n", "utf-8")
    answer: Any = await running.control.request("reload")
    if answer["problems"]:
        raise NoHarness(str(answer["problems"]))
    if harness == "native":
        return
    await _greet(running, names[0])


async def _greet(running: Installation, name: str) -> None:
    """Have a group's agent answer once; raise NoHarness where it cannot."""
    async with running.control.chat(name, "first") as conversation:
        await conversation.say(Say(text="hello"))
        async with asyncio.timeout(BUILD_S):
            async for shown in conversation.shown():
                if shown.kind == "message" and shown.text.strip() == "ok":
                    return
                if shown.kind in ("message", "notice") and shown.text.startswith("⚠"):
                    raise NoHarness(shown.text)
    raise NoHarness("the host closed the chat")
