"""The Channel protocol: what the host asks of a platform, and what a platform asks of the host.

Each platform folder has decode.py (pure: raw update to InboundMessage), encode.py (pure: Markdown to the platform's
calls), client.py (the only file that imports the platform's SDK) and channel.py (puts them together).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt

ShownKind = Literal["accepted", "delta", "turn", "progress", "done"]
"""What is shown of work: it has begun; the next piece of the answer (Markdown), which grows; that text is at its end
and what grows next takes its place, after tools; a line on what is done now; it has ended. The answer itself comes as a
message with `is_answer`, before or after `done`, or never."""


class Undecodable(Exception):
    """A raw update that this channel does not understand; it becomes a dead letter, with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DeliveryFailed(Exception):
    """The platform did not take a message.

    `retry_after_s` is the platform's own word (None: the caller's backoff decides). `permanent` means that trying
    again cannot help: the bot was blocked, the chat is gone.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.permanent = permanent


class NotYet(DeliveryFailed):
    """Not sent, since the platform's pace does not allow it yet. It counts as no try: after `retry_after_s` it is due
    again, and meanwhile other chats have their turn."""

    def __init__(self, reason: str, *, retry_after_s: float) -> None:
        super().__init__(reason, retry_after_s=retry_after_s)


class Inbox(Protocol):
    """The host's side, as a channel sees it."""

    async def accept(self, channel_id: ChannelId, event_id: str, raw: bytes) -> None:
        """Store a raw update, then decode and file it. Returns when the raw form is on disk: only then may the channel
        acknowledge it to the platform. An event seen before is quietly accepted again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuEntry:
    """One command as a platform's menu offers it."""

    name: str
    what: str
    """In plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Menus:
    """What is offered where."""

    direct: tuple[MenuEntry, ...]
    """In direct chats."""
    many: tuple[MenuEntry, ...]
    """In chats of many people."""
    chats: Mapping[ChatKey, tuple[MenuEntry, ...]]
    """In the direct chats of those who may do more than most, or less."""


@runtime_checkable
class HasMenus(Protocol):
    """A channel whose platform shows commands in a menu."""

    async def set_menu(self, menus: Menus) -> None:
        """Offer these from now on, and again at each connection. Returns at once; best effort."""


@runtime_checkable
class HasMarks(Protocol):
    """A channel whose platform can mark a person's message."""

    def mark(self, chat: ChatKey, message: PlatformMessageId, *, is_on: bool) -> None:
        """Show that a message was taken, or (off) that its work has ended. Returns at once; best effort."""


@runtime_checkable
class HasEdits(Protocol):
    """A channel whose platform lets us change what we have said."""

    async def edit(self, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        """Have a message of ours say something else (Markdown); raise DeliveryFailed."""


@runtime_checkable
class HasDeletes(Protocol):
    """A channel whose platform lets us take back what we have said."""

    async def delete(self, chat: ChatKey, message: PlatformMessageId) -> None:
        """Have a message of ours go; one that is gone already is well. Raise DeliveryFailed."""


@runtime_checkable
class HasButtons(Protocol):
    """A channel whose platform lets us take the buttons off what we have said."""

    async def take_buttons(self, chat: ChatKey, message: PlatformMessageId) -> None:
        """Have a message of ours stand without its buttons; raise DeliveryFailed."""


@runtime_checkable
class HasReactions(Protocol):
    """A channel whose platform lets us put an emoji under a message."""

    def why_no_reaction(self, emoji: str) -> str:
        """Return why the platform does not take an emoji, and what it does take; empty where it does."""

    async def react(self, chat: ChatKey, message: PlatformMessageId, emoji: str) -> None:
        """Put an emoji under a message, in the place of ours there; an empty one takes that away. Raise
        DeliveryFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a program elsewhere wants done: no person said it, and nobody's rights come with it."""

    source: str
    """What brought it, as the channel names it."""
    text: str


@runtime_checkable
class BringsWork(Protocol):
    """A channel on which nobody talks: each update is work, or nothing."""

    def work_of(self, raw: bytes) -> Work | None:
        """Return the work that a stored raw update brings, None for none; raise Undecodable. Pure."""


@runtime_checkable
class HasKept(Protocol):
    """A channel that keeps what was said to a chat in files of its own."""

    async def forget(self, chat: ChatKey) -> None:
        """Destroy what is kept for a chat."""


class Channel(Protocol):
    """One connection to a platform account."""

    @property
    def channel_id(self) -> ChannelId: ...

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled; reconnects by itself, rebuilds a client that died."""

    def decode(self, raw: bytes) -> InboundMessage | None:
        """Return what a stored raw update says, None if it says nothing to us; raise Undecodable. Pure."""

    async def send(self, message: OutboundMessage) -> Receipt:
        """Deliver one message; raise DeliveryFailed, or NotYet where the platform's pace asks for more than a second of
        waiting. Never called twice at once for one chat."""

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        """Stream a file that the platform holds into a new file; return its bytes; raise DeliveryFailed."""

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        """Show that work goes on. Best effort, never raises for the platform's sake, returns at once."""

    def health(self) -> str:
        """Return `ok`, or in a few words what is wrong, from transport facts."""
