"""The lock of a home: no second host touches its store."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.home import Home


class CannotRun(Exception):
    """The host cannot run here, and a person must do something; the text says what."""


@contextmanager
def hold_home(home: Home) -> Iterator[None]:
    """Hold the home's lock, so that no second host touches its store; raise CannotRun."""
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.run.mkdir(mode=0o700, exist_ok=True)
    with home.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(32).strip() or "unknown"
            text = f"another host (process {holder}) runs for the home {home.path}; `nightyard down` ends it"
            raise CannotRun(text) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
