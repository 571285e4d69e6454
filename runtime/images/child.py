"""Runs the `image` verb as a child process of low priority, and hears how far it is and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

END_GRACE_S = 10.0
"""How long a child that is to end may clear up at the engine."""
MAX_LINE_BYTES = 1 << 20
KEPT_LINES = 5
MEND = "`nightyard image build` says more"


async def run_verb(command: Sequence[str], arguments: Sequence[str], told: Callable[[str], None]) -> dict[str, Any]:
    """Run `image` with these arguments to its end; return the object that it says of itself with `--json`: of a
    failure `{what, why, mend}`. Cancelled: the child is ended, with all that it started."""
    gently = [
        word for name, word in (("nice", "-n15"), ("ionice", "-c3")) if shutil.which(name) for word in (name, word)
    ]
    process = await asyncio.create_subprocess_exec(
        *gently,
        *command,
        "image",
        *arguments,
        "--json",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
    )
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_listen(process.stderr, kept, told))
            answer = both.create_task(process.stdout.read() if process.stdout else asyncio.sleep(0, b""))
        await process.wait()
        said = json.loads(answer.result())
        return said if isinstance(said, dict) else {}
    except ValueError:  # it ended without its word: killed, or out of memory
        why = "\n".join(kept) or f"it ended with {process.returncode} and no word"
        return {"what": "it ended at once", "why": why, "mend": MEND}
    finally:
        await _end(process)


async def _listen(stream: asyncio.StreamReader | None, kept: deque[str], told: Callable[[str], None]) -> None:
    while stream is not None and (raw := await stream.readline()):
        line = raw.decode("utf-8", "replace").strip()
        if line:
            kept.append(line)
            told(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a child that still runs, and what it started."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(END_GRACE_S):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
