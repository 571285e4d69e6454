"""Lets a program hear a task's answer grow while it is written: pieces of text, shown and never stored.

Whoever listens names a submission; what is said of others, or while nobody listens, is dropped at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from protocol.ids import SubmissionId

MAX_PIECES = 10_000
"""That one listener has not taken: more are dropped, the whole answer comes at the end anyway."""


class TaskListeners:
    """One for the whole host."""

    def __init__(self) -> None:
        self._listening: dict[SubmissionId, set[asyncio.Queue[str]]] = {}

    @contextmanager
    def listen(self, submission_id: SubmissionId) -> Iterator[asyncio.Queue[str]]:
        """The pieces of a submission's answer from now on, in order."""
        queue: asyncio.Queue[str] = asyncio.Queue(MAX_PIECES)
        listening = self._listening.setdefault(submission_id, set())
        listening.add(queue)
        try:
            yield queue
        finally:
            listening.discard(queue)
            if not listening:
                self._listening.pop(submission_id, None)

    def tell(self, submission_id: SubmissionId | None, text: str) -> None:
        """Pass a piece of an answer on. Returns at once."""
        if submission_id is None or submission_id not in self._listening:
            return
        for queue in self._listening[submission_id]:
            if not queue.full():
                queue.put_nowait(text)
