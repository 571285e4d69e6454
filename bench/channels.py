"""What a host holds and uses with a platform's library in it, connected and idle: with Telegram, and with all three."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from bench.installation import ROOT, Installation, installation
from bench.process_memory import cpu_seconds, pss_mb
from bench.report import Metric, at_most, figure, kept, publish
from cli.image import ensure_image
from cli.rehearsal_phone import Phone

IDLE_S = float(os.environ.get("NIGHTYARD_BENCH_IDLE_S", "600"))
SETTLE_S = 20.0
"""After the last channel has connected: logging in is not idling."""
CONNECT_S = 60.0
TWIN_S = 30.0
SDKS = {"telegram": ("telegram",), "three": ("telegram", "discord", "slack")}
PARTS = os.environ.get("NIGHTYARD_BENCH_PARTS", " ".join(SDKS)).split()


async def run() -> None:
    """Measure and publish."""
    ensure_image(ROOT)
    metrics: list[Metric] = []
    for part in PARTS:
        metrics += await _idle(part, SDKS[part])
    publish("channels", [*metrics, *kept("channels", but={metric.key for metric in metrics})])


async def _idle(part: str, platforms: Sequence[str]) -> list[Metric]:
    async with contextlib.AsyncExitStack() as stack:
        phones = {name: await stack.enter_async_context(_twin(name)) for name in platforms}
        secrets = {f"{name}-token": _token(phone) for name, (_, phone) in phones.items()}
        running = await stack.enter_async_context(installation(secrets=secrets))
        await _connect(running, {name: url for name, (url, _) in phones.items()})
        await asyncio.sleep(SETTLE_S)
        pids = running.processes()
        before = cpu_seconds(pids["host"])
        await asyncio.sleep(IDLE_S)
        used = (cpu_seconds(pids["host"]) - before) * 60 / IDLE_S
        host = pss_mb([pids["host"]])
        together = pss_mb([pids["host"], pids["credproxy"], running.supervisor.pid])
    if part == "three":
        return [
            at_most("three_host_idle", host, "MB", 85),
            # Counted by the kernel in hundredths of a second: a ratio would say no more.
            figure("three_host_idle_cpu", used, "s/min"),
            figure("three_all_idle", together, "MB"),
        ]
    return [
        figure("telegram_host_idle", host, "MB"),
        figure("telegram_host_idle_cpu", used, "s/min"),
        at_most("telegram_all_idle", together, "MB", 110),
    ]


@contextlib.asynccontextmanager
async def _twin(platform: str) -> AsyncIterator[tuple[str, Phone]]:
    """Run a platform's twin in a process of its own; the url of a channel there, and its user's side."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", f"twins.{platform}", "--port", "0"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # a pipe, as asked above
    try:
        async with asyncio.timeout(TWIN_S):
            address = (await process.stdout.readline()).decode().strip()
            authority = ""
            if platform == "discord":
                authority = (await process.stdout.readline()).decode().partition("Trust ")[2].partition(":")[0]
        phone = Phone(platform, address, authority)
        await asyncio.to_thread(phone.open)
        yield (f"{address}#{authority}" if authority else address), phone
    finally:
        process.terminate()
        await process.wait()


def _token(phone: Phone) -> str:
    return " ".join(str(phone.world[key]) for key in ("token", "app_token") if key in phone.world)


async def _connect(running: Installation, urls: Mapping[str, str]) -> None:
    """Add the channels, whose tokens are in the vault; return when all are connected."""
    entries = [f'  {name}: {{secret: {name}-token, url: "{url}"}}\n' for name, url in urls.items()]
    settings = running.fork / "nightyard.yaml"
    settings.write_text(f"{settings.read_text('utf-8')}channels:\n{''.join(entries)}", "utf-8")
    await running.control.request("reload")
    async with asyncio.timeout(CONNECT_S):
        while True:
            answer: Any = await running.control.request("channel_list")
            if all(one["health"] == "ok" for one in answer["channels"]):
                return
            await asyncio.sleep(0.2)
