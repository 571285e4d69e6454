"""Commands that run in the background on purpose: looked at, waited for and ended by their numbers.

Each has a thread that takes in its output: the whole of it (up to a cap) is a file, and each look gives what is new.
They end with the task.
"""

# ruff: noqa: PTH103, PTH108
# Without pathlib: tools/opened_file.py says why.

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress

from agents.descendants import end_session, living_in_session, reap_orphans
from agents.long_output import MAX_KEPT_BYTES, drop_oldest
from agents.tools.last_lines import LastLines
from agents.tools.tool import MAX_OUTPUT_CHARS, ToolContext, ToolError, cut_in_the_middle

MAX_RUNNING = 8
"""At once: more is a loop that starts without end."""
MAX_KEPT_JOBS = 50
"""Each holds a file open, and a process may have a thousand: the oldest that is all over is forgotten."""
FIRST_LOOK_S = 0.3
"""A command that cannot run at all has ended by then."""
LAST_READ_S = 0.5
"""How long the rest of the output of a job that has ended is waited for: a child of it may hold it open."""
ENDED_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.1
_READ_BYTES = 64 << 10


class Job:
    """One command."""

    def __init__(self, number: int, command: str, context: ToolContext) -> None:
        """Start it; raise OSError where that is not possible."""
        folder = f"{context.places.root}/home/agent/outputs"
        self.number = number
        self.path = f"{folder}/job{number}-{context.call_id}.txt"
        os.makedirs(folder, exist_ok=True)
        with suppress(OSError):
            drop_oldest(folder)
        with suppress(FileNotFoundError):  # of an attempt before this one
            os.unlink(self.path)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self.child = _start(command, context)
        except OSError:
            os.close(self._file)
            raise
        self._began = time.monotonic()
        self._kept_bytes = 0
        self._all_bytes = 0
        self._shown_bytes = 0
        self._reader = threading.Thread(target=self._read, name=f"job{number}", daemon=True)
        self._reader.start()

    @property
    def session(self) -> int:
        """Of all its processes, unless one left it."""
        return self.child.pid

    def exit_code(self) -> int | None:
        """Return how it ended; None: it runs."""
        return self.child.poll()

    def wait(self, seconds: float, context: ToolContext) -> bool:
        """Wait for its end, or so long; return whether it has ended. Raises Interrupted."""
        now = time.monotonic()
        deadline, told, lines = now + seconds, self._kept_bytes, LastLines(context.link.say, now)
        while self.exit_code() is None and now < deadline:
            context.interrupt.wait(min(_LOOK_EVERY_S, deadline - now))
            now = time.monotonic()
            if self._kept_bytes > told:
                lines.add(os.pread(self._file, 2_000, max(told, self._kept_bytes - 2_000)))
                told = self._kept_bytes
            lines.tell(now)
        return self.exit_code() is not None

    def end(self) -> None:
        """End it with all that it has started."""
        end_session(self.session)
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(ENDED_WITHIN_S)

    def look(self) -> str:
        """Return what it has written since the last look, and how it stands."""
        code = self.exit_code()
        if code is not None:
            self._reader.join(LAST_READ_S)
        first, last = self._shown_bytes, self._kept_bytes
        self._shown_bytes = last
        half = MAX_OUTPUT_CHARS // 2
        if last - first <= 2 * half:
            text = self._piece(first, last)
        else:
            left_out = last - first - 2 * half
            ends = self._piece(first, first + half), self._piece(last - half, last)
            text = f"\n[… {left_out} bytes left out …]\n".join(ends)
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}[{self._state(code)}; {self._where(first)}]"

    def maybe_close(self) -> bool:
        """Give its file back if it is all over; return whether it was."""
        if self.exit_code() is None or self._reader.is_alive() or living_in_session(self.session):
            return False
        os.close(self._file)
        return True

    def _state(self, code: int | None) -> str:
        if code is None:
            return f"job {self.number} runs, since {time.monotonic() - self._began:.0f} s"
        left = len(living_in_session(self.session))
        also = f", {left} process(es) of it go on" if left else ""
        return f"job {self.number} has ended: exit code {code}{also}"

    def _where(self, first: int) -> str:
        kept, everything = self._kept_bytes, self._all_bytes
        what = "all of it is" if kept == everything else f"the first {kept} of {everything} bytes are"
        return f"{'' if self._shown_bytes > first else 'nothing new; '}{what} in {self.path}"

    def _piece(self, first: int, last: int) -> str:
        return os.pread(self._file, last - first, first).decode("utf-8", "replace")

    def _read(self) -> None:
        """Take in the output until its end, then the job's own: in a thread."""
        assert self.child.stdout is not None  # asked for where it is started
        with self.child.stdout as output:
            while piece := os.read(output.fileno(), _READ_BYTES):
                self._all_bytes += len(piece)
                with suppress(OSError):  # the disk's limit: what is there stays
                    kept = piece[: MAX_KEPT_BYTES - self._kept_bytes]
                    self._kept_bytes += os.pwrite(self._file, kept, self._kept_bytes)
        self.child.wait()


class Jobs:
    """Those of one task."""

    def __init__(self, most_kept: int = MAX_KEPT_JOBS) -> None:
        self._jobs: dict[int, Job] = {}
        self._count = 0
        self._most_kept = most_kept

    @property
    def pids(self) -> frozenset[int]:
        """The first process of each, which is also the number of its session."""
        return frozenset(job.session for job in self._jobs.values())

    def start(self, command: str, context: ToolContext) -> str:
        """Start a command; raise ToolError where that is not possible, Interrupted."""
        running = [job.number for job in self._jobs.values() if job.exit_code() is None]
        if len(running) >= MAX_RUNNING:
            raise ToolError(f"{MAX_RUNNING} jobs run already ({_named(running)}): end one")
        try:
            job = Job(self._count + 1, command, context)
        except OSError as error:
            raise ToolError(f"the command could not be started: {error.strerror}") from error
        self._count = job.number
        self._jobs[job.number] = job
        self._forget_oldest()
        job.wait(FIRST_LOOK_S, context)
        return f"{job.look()}\n[shell with `job`: {job.number} and the command `output`, `wait` or `end` tells more]"

    def act(self, number: int, word: str, timeout_s: float, context: ToolContext) -> str:
        """Do with a job what the word says; raise ToolError for a job or a word that there is not, and for one that was
        waited for and failed."""
        job = self._jobs.get(number)
        if job is None:
            known = _named(self._jobs) or "none"
            why = "it ended long ago" if 0 < number <= self._count else "jobs end with the container they ran in"
            raise ToolError(f"there is no job {number} (there is: {known}); {why}")
        if word == "end":
            job.end()
            reap_orphans(self.pids)
        elif word == "wait":
            if job.wait(timeout_s, context) and job.exit_code():
                raise ToolError(job.look())
        elif word != "output":
            shown = cut_in_the_middle(word, 60)
            raise ToolError(f"with `job`, the command is `output`, `wait` or `end`, and not {shown!r}")
        return job.look()

    def _forget_oldest(self) -> None:
        surplus = len(self._jobs) - self._most_kept
        if surplus > 0:
            for job in list(self._jobs.values()):
                if surplus > 0 and job.maybe_close():
                    del self._jobs[job.number]
                    surplus -= 1


def _start(command: str, context: ToolContext) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", "-c", command],
        cwd=context.places.workspace,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        bufsize=0,
    )


def _named(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
