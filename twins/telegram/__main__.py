"""`python -m twins.telegram --port 0`: run the twin alone; the first line it prints is its address."""

from __future__ import annotations

import argparse
import asyncio
import signal

from twins.clock import Clock
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    twin = TelegramTwin(arguments.token, clock=Clock(arguments.scale), limits=arguments.limits)
    async with twin.serve(arguments.host, arguments.port) as address:
        print(address, flush=True)
        print(f"The bot's token is {arguments.token}; a person types with POST {address}/twin/type", flush=True)
        print(f"The phone is {address}/twin/phone", flush=True)
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="twins.telegram", description="A behavioural twin of Telegram's Bot API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    parser.add_argument("--scale", type=float, default=1.0, help="How many of the twin's seconds pass in a real one.")
    parser.add_argument("--limits", action="store_true", help="Refuse more messages than the published rates.")
    asyncio.run(serve(parser.parse_args()))


main()
