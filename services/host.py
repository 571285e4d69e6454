"""The host process: `python -m services.host`. What is in it: `wired_host.py`.

The home comes from NIGHTYARD_HOME, the fork from NIGHTYARD_FORK. SIGTERM ends the process and leaves working agents
at work for the next start; the verb `shutdown` (`nightyard down`) ends them too. Exit codes: 0 ended as asked, 1 a bug
or a failing disk (start it again), 3 it cannot run at all until somebody mends something.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from runtime.home import Home, SocketPathTooLong, fork_from, home_from
from runtime.store.errors import StoreError
from runtime.store.store import open_store
from services.home_lock import CannotRun, hold_home
from services.host_setup import ROOT, open_engine
from services.log_setup import set_up_logging
from services.wired_host import Host

log = logging.getLogger("services.host")

CANNOT_RUN = 3


def main() -> int:
    """Run the host until it is told to end; return the exit code."""
    home, fork = home_from(os.environ), fork_from(os.environ, ROOT)
    try:
        with hold_home(home):
            set_up_logging(home.logs, "host")
            return asyncio.run(run_host(home, fork))
    except (CannotRun, SocketPathTooLong, StoreError) as error:
        log.error("the host cannot run: %s", error, extra={"action": "host_cannot_run"})
        print(f"nightyard host: {error}", file=sys.stderr)
        return CANNOT_RUN


async def run_host(home: Home, fork: Path) -> int:
    """Run all parts in one task group until a signal or a shutdown; return the exit code."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    exit_code = 0
    async with open_store(home.path) as store, open_engine(fork) as engine:
        host = Host(home, fork, store, engine)
        try:
            async with asyncio.TaskGroup() as parts:
                running = parts.create_task(host.run())
                waiting = parts.create_task(ending.wait())
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
                running.cancel()
                waiting.cancel()
        except* Exception as errors:
            log.critical("the host ends: %s", errors.exceptions[0], exc_info=errors, extra={"action": "host_broke"})
            exit_code = 1
    extra = {"action": "host_ended", "shutdown": host.state.is_stopping, "exit_code": exit_code}
    log.info("the host has ended", extra=extra)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
