"""`python -m twins.discord --port 0`: run the twin alone; the first line it prints is its address."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from twins.clock import Clock
from twins.discord.server import DiscordTwin
from twins.discord.world import DEFAULT_TOKEN


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    twin = DiscordTwin(arguments.token, clock=Clock(arguments.scale), limits=not arguments.no_limits)
    serving = twin.serve(arguments.host, arguments.port, arguments.directory, phone_port=arguments.phone_port)
    async with serving as address:
        print(address, flush=True)
        print(f"Trust {twin.ca_file}: the certificate is the twin's own.")
        print(f"The bot's token is {arguments.token}")
        print(f"People type, press and upload at {twin.phone_address}", flush=True)
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="twins.discord", description="A behavioural twin of Discord.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--phone-port", type=int, default=0, help="where people's side is in plain HTTP, for browsers")
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    parser.add_argument("--directory", type=Path, help="where the certificates go (default: a temporary folder)")
    parser.add_argument("--scale", type=float, default=1.0, help="how fast the twin's time passes")
    parser.add_argument("--no-limits", action="store_true", help="switch the rate limits off")
    asyncio.run(serve(parser.parse_args()))


main()
