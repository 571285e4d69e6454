"""`nightyard bench NAME`: run one benchmark; how to read it is in bench/README.md."""

from __future__ import annotations

import asyncio
import importlib

import click

BENCHES = {
    "agent": "one agent, our own and Claude Code: memory, times, and a hundred rounds of tools",
    "channels": "the host with platforms connected and idle: with Telegram, and with all three",
    "credproxy": "the credential proxy beside mitmdump, a bare tunnel and no proxy: speed, CPU, streams, memory",
    "host": "messages taken in, restarts under work, commands, bursts, many sessions",
    "latency": "from a message to the model and back, fresh and from the spare, against the engine's own start",
    "memory": "idle memory and CPU of host and proxy, memory per waiting and working agent, image size",
    "recall": "search in an agent's memory: how often the right passage is found, alone and among ten thousand",
}


@click.command(help="Measure one thing and print a table and a JSON line. NAME is one of: " + ", ".join(BENCHES) + ".")
@click.argument("name", type=click.Choice(sorted(BENCHES)))
def bench(name: str) -> None:
    asyncio.run(importlib.import_module(f"bench.{name}").run())
