"""`python -m twins.oauth --port 0`: run the twin alone; the first line it prints is its address."""

from __future__ import annotations

import argparse
import asyncio
import signal

from twins.oauth.server import serve_oauth


async def serve(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serve_oauth(port=port) as (address, _twin):
        print(address, flush=True)
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="twins.oauth", description="A behavioural twin of an OAuth 2 server.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))


main()
