"""Where intake's results go: the rest of the host, as intake.py sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from channels.channel import Work
from protocol.ids import ChatKey, TaskId
from runtime.head_start import HeadStartDesk
from runtime.store.records import Original, StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeEnds:
    """Where intake's results go."""

    queued: Callable[[StoredMessage], None]
    """A message waits for a task. Returns at once."""
    command: Callable[[StoredMessage], Awaitable[None]]
    """A command is to be carried out and marked as done. Again after a crash in the middle."""
    outbox: Callable[[], None]
    """Something was put into the outbox. Returns at once."""
    changed: Callable[[TaskId, StoredMessage], None] = lambda _task, _message: None
    """A message that a running task works on was edited or taken back. The one given says so; it is kept as context, so
    that who cannot tell the agent now may leave it at that. Returns at once."""
    replaced: Callable[[Original], None] = lambda _: None
    """A waiting message says something else now. Returns at once."""
    withdrawn: Callable[[Original], None] = lambda _: None
    """A waiting message was taken back: the store has ended it. Returns at once."""
    moved: Callable[[ChatKey, ChatKey], Awaitable[None]] | None = None
    """A chat has another key than its former one: what is known of chats in memory is to be known of that."""
    work: Callable[[int, Work], Awaitable[str]] | None = None
    """Takes what a program elsewhere brought, by its update's number; returns why it cannot, empty if it has."""
    head_starts: HeadStartDesk | None = None
    """Who may have a container for a message before it is filed; None: nobody."""
