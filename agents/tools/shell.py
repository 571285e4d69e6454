"""The tool that runs a command.

What the command leaves running in the background goes on after the call, until the task ends; a time-out ends all that
the command has started, a stop everything. A command that is meant for the background is a job (`shell_jobs.py`).
"""

from __future__ import annotations

import os
import select
import subprocess
import time

from agents.descendants import NOBODY, kill_descendants, living_descendants, reap_orphans
from agents.long_output import LongOutput
from agents.providers.provider import ToolCard
from agents.refusals import add_refusals
from agents.tools.last_lines import LastLines
from agents.tools.tool import MAX_OUTPUT_CHARS, Arguments, ToolContext, ToolError, number_argument, object_schema
from agents.tools.tool import text_argument as text
from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.tools.shell_jobs import Jobs

DEFAULT_TIMEOUT_S = 120
LONGEST_TIMEOUT_S = 1500
_LOOK_EVERY_S = 0.1
"""How late an end is seen when something in the background still holds the output."""
_READ_BYTES = 64 << 10
_READS_AFTER_END = 64


class Shell:
    card = ToolCard(
        name="shell",
        # Paid with every question: of jobs the model reads when it has started one.
        description="Run bash in /workspace.",
        schema=object_schema(
            {"command": "string"}, {"timeout_s": "integer", "background": "boolean", "job": "integer"}
        ),
    )

    def __init__(self) -> None:
        self._jobs: Jobs | None = None

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        command = text(arguments, "command")
        timeout_s = number_argument(arguments, "timeout_s", DEFAULT_TIMEOUT_S, lowest=1, highest=LONGEST_TIMEOUT_S)
        number = number_argument(arguments, "job", 0, lowest=0, highest=1_000_000)
        if number:
            return self._all_jobs().act(number, command.strip(), timeout_s, context)
        if arguments.get("background") is True:
            _check(command, context)
            return self._all_jobs().start(command, context)
        ended = run_command(command, timeout_s, context, NOBODY if self._jobs is None else self._jobs.pids)
        running = f"\n[{ended.left} process(es) go on in the background]" if ended.left else ""
        if ended.exit_code is None:
            raise ToolError(f"{ended.text}\n[stopped: it ran longer than {timeout_s} s]".lstrip())
        if ended.exit_code:
            raise ToolError(f"{ended.text}\n[exit code {ended.exit_code}]{running}".lstrip())
        return f"{ended.text or '(no output)'}{running}"

    def _all_jobs(self) -> Jobs:
        if self._jobs is None:
            from agents.tools.shell_jobs import Jobs  # late: few tasks have any

            self._jobs = Jobs()
        return self._jobs


class Ended(Record):
    """How a command ended."""

    exit_code: int | None
    """None: it ran too long, and was ended with all that it had started."""
    text: str
    """What it wrote, and what the proxy refused it."""
    left: int = 0
    """Processes of it that go on in the background."""


def run_command(command: str, timeout_s: float, context: ToolContext, jobs: frozenset[int] = NOBODY) -> Ended:
    """Run a bash command in the workspace; raise ToolError where it cannot be started, Interrupted. `jobs`: sessions
    that are none of its business."""
    _check(command, context)
    before = living_descendants()
    try:
        child = subprocess.Popen(
            ["bash", "-c", command],
            cwd=context.places.workspace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:  # no process left under the limit, the workspace gone, a command beyond ARG_MAX
        raise ToolError(f"the command could not be started: {error.strerror}") from error
    now = time.monotonic()
    kept = LongOutput(context.places, context.call_id, MAX_OUTPUT_CHARS)
    output = _Output(kept, LastLines(context.link.say, now), jobs)
    try:
        has_ended = _follow(child, output, now + timeout_s, context)
    finally:
        if child.poll() is None:
            kill_descendants(before, sessions=jobs)
            child.wait()
        assert child.stdout is not None  # asked for above
        child.stdout.close()
        output.kept.close()
        reap_orphans(jobs)
    context.interrupt.check()
    words = add_refusals(output.kept.text(), context.refusals.take())
    if not has_ended:
        return Ended(exit_code=None, text=words)
    return Ended(exit_code=child.returncode, text=words, left=len(living_descendants(jobs) - before))


def _check(command: str, context: ToolContext) -> None:
    context.interrupt.check()
    if "\0" in command:
        raise ToolError("the command holds a zero byte")


def _follow(child: subprocess.Popen[bytes], output: _Output, deadline: float, context: ToolContext) -> bool:
    """Take in the output until the command has ended; return False when it was still running at the deadline."""
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    os.set_blocking(descriptor, False)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        context.interrupt.check()
        now = time.monotonic()
        left_s = deadline - now
        if left_s <= 0:
            return False
        output.lines.tell(now)
        ready = poll.poll(1000 * min(left_s, _LOOK_EVERY_S))
        if ready and not output.take(descriptor):
            return _waited(child, deadline, context)
        if not ready:
            reap_orphans({child.pid, *output.jobs})
            if child.poll() is not None:
                output.take_rest(descriptor)
                return True


def _waited(child: subprocess.Popen[bytes], deadline: float, context: ToolContext) -> bool:
    """Wait for a command that has closed its output."""
    while time.monotonic() < deadline:
        context.interrupt.check()
        try:
            child.wait(min(_LOOK_EVERY_S, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            continue
        return True
    return False


class _Output:
    """Reads what a command writes."""

    def __init__(self, kept: LongOutput, lines: LastLines, jobs: frozenset[int]) -> None:
        self.kept = kept
        self.lines = lines
        self.jobs = jobs

    def take(self, descriptor: int) -> bool:
        """Read once; return False at the end of the output."""
        try:
            piece = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        self.kept.add(piece)
        self.lines.add(piece)
        return bool(piece)

    def take_rest(self, descriptor: int) -> None:
        """Read what is there already; what the background writes after that is lost."""
        for _ in range(_READS_AFTER_END):
            before = self.kept.all_bytes
            if not self.take(descriptor) or self.kept.all_bytes == before:
                return
