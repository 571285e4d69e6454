"""A harness's program as a child process: laid out, started, spoken to in lines, ended. What is said is not known here.

A thread reads its stdout into a queue of a size, so that a flood waits in the pipe; the end of its stderr is kept.
"""

# ruff: noqa: PTH103, PTH108, PTH113, PTH114, PTH123, PTH211
# Without pathlib: agents/tools/opened_file.py says why.

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import threading
from collections import deque
from contextlib import suppress

from agents.descendants import kill_descendants
from agents.harness.frame import Launch
from agents.mcp.rpc import LineDecoder, MessageTooLarge

MAX_LINE_BYTES = 64 << 20
"""A tool's output with images in it is one line."""
_QUEUED_LINES = 1_000
_READ_BYTES = 256 << 10
_STDERR_BYTES = 8 << 10

POKE = b""
"""In a line's place: somebody wants the reader to look up."""


class Program:
    """One started program."""

    def __init__(self, launch: Launch, workspace: str) -> None:
        """Lay out its files and start it; raise OSError."""
        _lay_out(launch)
        self._child = subprocess.Popen(
            launch.command,
            cwd=workspace,
            env={**os.environ, **launch.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue(_QUEUED_LINES)
        self._stderr: deque[bytes] = deque(maxlen=8)
        self._writing = threading.Lock()
        self._has_ended = False
        threading.Thread(target=self._read, name="program", daemon=True).start()
        threading.Thread(target=self._read_stderr, name="program-stderr", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Write to its stdin; a program that is gone is noticed by who reads."""
        stdin = self._child.stdin
        assert stdin is not None  # asked for above
        with self._writing, suppress(OSError, ValueError):
            while data:
                data = data[stdin.write(data) :]

    def next_line(self, timeout_s: float | None = None) -> bytes | None:
        """Return its next line, POKE, or None when it has ended; raise queue.Empty after the time-out."""
        if self._has_ended:
            return None
        line = self._lines.get(timeout=timeout_s)
        self._has_ended = line is None
        return line

    def poke(self) -> None:
        """Have who waits for a line look up."""
        with suppress(queue.Full):  # then nobody waits
            self._lines.put_nowait(POKE)

    def exit_code(self) -> int:
        """Return how it ended, once it has."""
        return self._child.wait()

    def stderr(self) -> str:
        return b"".join(self._stderr)[-_STDERR_BYTES:].decode("utf-8", "replace")

    def kill(self) -> None:
        """End it and all that it has started."""
        self._child.kill()
        self._child.wait()
        kill_descendants()

    def _read(self) -> None:
        stdout = self._child.stdout
        assert stdout is not None
        decoder = LineDecoder(MAX_LINE_BYTES)
        with suppress(OSError, ValueError, MessageTooLarge):
            while piece := os.read(stdout.fileno(), _READ_BYTES):
                for line in decoder.feed(piece):
                    self._lines.put(line)
        self._lines.put(None)

    def _read_stderr(self) -> None:
        stderr = self._child.stderr
        assert stderr is not None
        with suppress(OSError, ValueError):
            while piece := os.read(stderr.fileno(), 1024):
                self._stderr.append(piece)


def _lay_out(launch: Launch) -> None:
    for path in launch.gone:
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    for path in launch.folders:
        os.makedirs(path, exist_ok=True)
    for path, text in launch.files.items():
        _clear(path)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    for path, target in launch.links.items():
        _clear(path)
        os.symlink(target, path)


def _clear(path: str) -> None:
    """Have the folder of a path, and nothing at the path itself."""
    os.makedirs(path.rpartition("/")[0], exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(path)
