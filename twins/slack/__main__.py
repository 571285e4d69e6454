"""`python -m twins.slack --port 0`: run the twin alone; the first line it prints is its address."""

from __future__ import annotations

import argparse
import asyncio
import signal

from twins.clock import Clock
from twins.slack.server import SlackTwin


async def serve(host: str, port: int, *, scale: float, rate_limits: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    twin = SlackTwin(rate_limits=rate_limits, clock=Clock(scale))
    async with twin.serve(host, port) as address:
        print(address, flush=True)
        print(f"The Web API is at {address}/api/", flush=True)
        print(f"The bot's token is {twin.world.tokens.of_kind('bot').value}", flush=True)
        print(f"The app-level token is {twin.world.tokens.of_kind('app').value}", flush=True)
        print(f"The phone is at {address}/twin/phone", flush=True)
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="twins.slack", description="A behavioural twin of a Slack workspace.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="how many of the twin's seconds pass in a real one")
    parser.add_argument("--no-rate-limits", action="store_true", help="answer 429 to nobody")
    arguments = parser.parse_args()
    rate_limits = not arguments.no_rate_limits
    asyncio.run(serve(arguments.host, arguments.port, scale=arguments.scale, rate_limits=rate_limits))


main()
