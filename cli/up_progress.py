"""Show a step that takes long: what, how far, how long. And say why one failed and which command mends it."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

import click

Progress = Callable[[str], None]
"""Told how far a step is, in a few words."""

QUICK_S = 0.4
"""A step that is done sooner is not worth a line."""
REFRESH_S = 0.5
PLAIN_EVERY_S = 10.0
"""Where no terminal is, a line that repeats itself is noise."""


class SetupFailed(click.ClickException):
    """A step of `up` or `test` that failed: what, why, and the one command that mends it."""

    def __init__(self, what: str, why: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.mend = mend

    def show(self, file: IO[str] | None = None) -> None:
        print(self.text(), file=file or sys.stderr)

    def text(self) -> str:
        """Return the whole of it, for people."""
        why = self.why.strip().replace("\n", "\n        ")
        mend = self.mend.strip().replace("\n", "\n        ")
        return f"\nnightyard: {self.what}\n  why:  {why}\n  mend: {mend}"


def no_progress(far: str) -> None:
    """For callers that show nothing."""
    del far


class _Shown:
    """One step's line."""

    def __init__(self, title: str, out: IO[str]) -> None:
        self._title = title
        self._out = out
        self._began = time.monotonic()
        self._far = ""
        self._said_at = self._began
        self._done = threading.Event()
        self._live = out.isatty()

    def tell(self, far: str) -> None:
        self._far = far
        if not self._live and time.monotonic() - self._said_at > PLAIN_EVERY_S:
            self._said_at = time.monotonic()
            print(f"  {self._title}: {far}", file=self._out, flush=True)

    def watch(self) -> None:
        """Keep the line fresh until `done`, because some stages say nothing for a minute."""
        if self._done.wait(QUICK_S):
            return
        if not self._live:
            print(f"  {self._title} …", file=self._out, flush=True)
            return
        while True:
            far = f" · {self._far}" if self._far else ""
            line = f"  {self._title} … {time.monotonic() - self._began:.0f} s{far}"
            self._out.write(f"\r\033[K{line[: _width()]}")
            self._out.flush()
            if self._done.wait(REFRESH_S):
                self._out.write("\r\033[K")
                return

    def end(self, thread: threading.Thread, outcome: str) -> None:
        self._done.set()
        thread.join()
        took_s = time.monotonic() - self._began
        if took_s >= QUICK_S:
            print(f"  {self._title}: {outcome} after {took_s:.0f} s", file=self._out, flush=True)


@contextlib.contextmanager
def step(title: str, out: IO[str] | None = None) -> Iterator[Progress]:
    """Show a step while the body runs; quick ones stay silent."""
    shown = _Shown(title, out or sys.stderr)
    thread = threading.Thread(target=shown.watch, name="progress", daemon=True)
    thread.start()
    outcome = "failed"
    try:
        yield shown.tell
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        shown.end(thread, outcome)


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1
