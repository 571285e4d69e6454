"""What agents say of their own accord: messages and files, here or to a destination; changes and reactions.

Rooms of `waiting_tasks.py`, and where files that arrive go (`attempt.py`). Whatever an agent writes, it reaches the
chat of its task and the destinations of its group, nobody else; each call goes out once, over any number of attempts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from channels.channel import Channel, HasDeletes, HasEdits, HasReactions
from protocol.codec import ShapeError, from_json
from protocol.ids import ChannelId, ChatKey, GroupId, PlatformMessageId, TaskId
from protocol.link import approval_id
from protocol.message import OutboundFile, OutboundMessage
from runtime.agent_events import FileArrived
from runtime.approvals.records import Taint
from runtime.approvals.reviews import FILE_BYTES, FILE_SHA256
from runtime.approvals.tools import file_of
from runtime.asks.albums import Albums
from runtime.asks.send_rules import (
    EditAsk,
    ReactAsk,
    Ref,
    SendAsk,
    SendKind,
    checked_emoji,
    checked_text,
    read_ref,
    unknown_ref,
)
from runtime.asks.tool_sets import check_given, check_live
from runtime.group import Groups
from runtime.insist import insist
from runtime.outbound_files import label_of
from runtime.refusal import OperationRefused
from runtime.store import question_rows, send_rows
from runtime.store.records import TaskRow
from runtime.store.send_rows import Sent
from runtime.store.store import Store
from runtime.task_desk import channel_of
from runtime.waiting_tasks import Asked

MAX_CAPTION_CHARS = 1_000
T = TypeVar("T")
_WHY_NOT_THERE = {"held": "waits for a person's review", "dead": "could not be delivered"}


class AddressBook(Protocol):
    """The part of `people.destinations.Destinations` that says where groups may send."""

    def names(self, group_id: GroupId) -> tuple[str, ...]: ...
    def may_send(self, group_id: GroupId, chat: ChatKey) -> bool: ...
    async def resolve(self, group_id: GroupId, name: str) -> ChatKey: ...


class Sending:
    """One for the whole host."""

    def __init__(
        self,
        store: Store,
        addresses: AddressBook,
        channels: Callable[[], Mapping[ChannelId, Channel]],
        wake_delivery: Callable[[], None],
        *,
        taint_of: Callable[[TaskId], Awaitable[Taint]],
        groups: Callable[[], Groups],
    ) -> None:
        """`taint_of` finds out what a task has read by now: the proxy knows of a page before the store does."""
        self._taint_of = taint_of
        self._groups = groups
        self._store = store
        self._addresses = addresses
        self._channels = channels
        self._wake_delivery = wake_delivery
        self._albums = Albums()

    async def send(self, asked: Asked) -> str:
        """Say something; return what the agent is told. Raises OperationRefused."""
        wish = _read(SendAsk, asked)
        text = checked_text(wish.text)
        chat = await self._place(asked.task, wish.to)
        return await self._put(asked, "text", OutboundMessage(chat=chat, text=text), wish.to)

    async def edit(self, asked: Asked) -> str:
        """Have something that was said say something else, or go: that is what no words say."""
        wish = _read(EditAsk, asked)
        ref = read_ref(wish.message)
        if ref.whose == "m":
            raise OperationRefused("not_yours", f"{wish.message} is somebody else's message: you change your own only")
        if not wish.text.strip():
            return await self._take_back(asked, ref, wish.message)
        text = checked_text(wish.text)
        sent = await self._sent(asked.task, ref.number, wish.message)
        if sent.kind != "text" or len(sent.platform_ids) > 1:
            what = "no text" if sent.kind != "text" else f"{len(sent.platform_ids)} messages there"
            raise OperationRefused("cannot_edit", f"{sent.ref} is {what}, and cannot be changed: send another one")
        if not isinstance(self._channel(sent.chat), HasEdits):
            raise _not_there(sent.chat, "changes nothing that was said: send another message")
        target, key = sent.platform_ids[0] if sent.platform_ids else None, sent.outbox_key
        change = OutboundMessage(chat=sent.chat, text=text, act="edit", about=target, about_key=key)
        return await self._put(asked, "edit", change)

    async def react(self, asked: Asked) -> str:
        """Put an emoji under a message."""
        wish = _read(ReactAsk, asked)
        emoji, ref = checked_emoji(wish.emoji), read_ref(wish.message)
        target: PlatformMessageId | None
        if ref.whose == "m":
            chat, target = await self._received(asked.task, ref.number, wish.message)
            key = ""
        else:
            sent = await self._sent(asked.task, ref.number, wish.message)
            chat, key = sent.chat, sent.outbox_key
            target = sent.platform_ids[-1] if sent.platform_ids else None
        channel = self._channel(chat)
        if not isinstance(channel, HasReactions):
            raise _not_there(chat, "has no reactions: say it")
        why_not = channel.why_no_reaction(emoji)
        if why_not:
            raise OperationRefused("no_reaction", why_not)
        reaction = OutboundMessage(chat=chat, text=emoji, act="react", about=target, about_key=key)
        return await self._put(asked, "react", reaction)

    async def _take_back(self, asked: Asked, ref: Ref, shown: str) -> str:
        """Have something that was said go, with all of its parts and files."""
        sent = await self._sent(asked.task, ref.number, shown)
        if not isinstance(self._channel(sent.chat), HasDeletes):
            raise _not_there(sent.chat, "takes nothing back that was said")
        deletion = OutboundMessage(chat=sent.chat, act="delete", about_key=sent.outbox_key)
        return await self._put(asked, "delete", deletion)

    async def file_arrived(self, row: TaskRow, event: FileArrived) -> None:
        """Send a file that has arrived whole, once those have that go with it; raise OperationRefused where it may not
        go where it is to. One for another agent goes with its call, and one of delegated work back with the answer."""
        check_given("delegate" if event.is_for_agent else "send_file", row.group_id, self._groups())
        if row.spec is not None:
            check_live(row.spec.effects)
        await self._check_asked(row, event)
        if event.is_for_agent or (row.chat is None and row.submitter.startswith("group:") and not event.to):
            return
        chat = await self._place(row, event.to)
        gathered = self._albums.gather(row.task_id, event)
        if gathered is None:
            return
        first, *others = gathered
        labels = {"file_id": event.file_id, "call_id": event.call_id}
        for index, each in enumerate(gathered):
            labels |= {label_of(FILE_BYTES, index): str(each.size), label_of(FILE_SHA256, index): each.sha256}
        message = OutboundMessage(
            chat=chat,
            text=event.caption[:MAX_CAPTION_CHARS],
            file_path=str(first.path),
            file_name=first.name,
            more_files=tuple(OutboundFile(path=str(each.path), name=each.name) for each in others),
            labels=labels,
        )
        key = f"{row.task_id}:file:{event.call_id}"
        await self._write(row, event.call_id, "file", message, key)

    def task_ended(self, row: TaskRow) -> None:
        """Forget what an ended task has sent only some of. Returns at once."""
        self._albums.forget(row.task_id)

    async def _check_asked(self, row: TaskRow, event: FileArrived) -> None:
        """Refuse a file that is not the one that a person was asked about, if one was."""
        is_numbered = event.is_for_agent or event.place < event.of
        call_id, _, number = event.call_id.rpartition(".") if is_numbered else (event.call_id, "", "")
        asked = await self._store.read(question_rows.question, row.task_id, approval_id(call_id))
        index = int(number) if event.is_for_agent and number.isdecimal() and len(number) < 4 else None
        if not event.is_for_agent and event.of > 1:
            index = event.place - 1
        if asked is not None and file_of(asked.ask.payload, index) != (event.size, event.sha256):
            changed = "the file is not what it was when a person was asked: it was not sent. Send it in a new call"
            raise OperationRefused("file_changed", changed)

    async def _put(self, asked: Asked, kind: SendKind, message: OutboundMessage, to: str = "") -> str:
        task, call_id = asked.task, asked.ask.call_id
        sent = await self._write(task, call_id, kind, message, f"{task.task_id}:send:{call_id}")
        where = f" to {to}" if to else ""
        if sent.state == "held":
            return f"A person looks at it before it goes{where} ({sent.ref}). You will not hear of it: go on."
        return f"Sent{where}, as {sent.ref}." if kind == "text" else "Done."

    async def _write(self, task: TaskRow, call_id: str, kind: SendKind, message: OutboundMessage, key: str) -> Sent:
        taint = None if message.chat == task.chat else await self._taint_of(task.task_id)
        job = partial(send_rows.send, kind=kind, message=message, outbox_key=key, taint=taint)
        writing = partial(self._store.write, job, task.task_id, task.group_id, call_id)
        sent = await insist(writing, "what an agent sends")
        if sent.state == "refused":
            raise OperationRefused("constraint_denied", "a constraint of your owner's rules this out: it was not sent")
        self._wake_delivery()
        return sent

    async def _place(self, task: TaskRow, name: str) -> ChatKey:
        """Return where something goes; refuse what is no place of the group's."""
        if name:
            return await self._addresses.resolve(task.group_id, name)
        if task.chat is None:
            known = ", ".join(self._addresses.names(task.group_id)) or "none"
            raise OperationRefused("no_chat", f"this task has no chat: name a destination (known: {known})")
        return task.chat

    async def _sent(self, task: TaskRow, number: int, shown: str) -> Sent:
        """Return what the group's agents have said under a number, where they may still speak."""
        sent = await self._store.read(send_rows.sent, task.group_id, number)
        if sent is None or sent.kind not in ("text", "file") or not self._may_speak(task, sent.chat):
            raise unknown_ref(shown)
        if sent.state in ("held", "refused", "dead", "gone"):
            raise OperationRefused("not_there", f"{sent.ref} {_WHY_NOT_THERE.get(sent.state, 'was not sent')}")
        return sent

    async def _received(self, task: TaskRow, number: int, shown: str) -> tuple[ChatKey, PlatformMessageId]:
        """Return where somebody's message is, if it has reached an agent of the group."""
        message = await self._store.read(send_rows.received, number)
        inbound = message.inbound if message is not None else None
        if message is None or inbound is None or message.group_id != task.group_id or message.session_id is None:
            raise unknown_ref(shown)
        if inbound.kind != "message" or not self._may_speak(task, inbound.chat):
            raise unknown_ref(shown)
        return inbound.chat, inbound.platform_message_id

    def _may_speak(self, task: TaskRow, chat: ChatKey) -> bool:
        return chat == task.chat or self._addresses.may_send(task.group_id, chat)

    def _channel(self, chat: ChatKey) -> object:
        channel = self._channels().get(channel_of(chat))
        if channel is None:
            raise OperationRefused("channel_away", f"the channel {channel_of(chat)} is not running now")
        return channel


def _not_there(chat: ChatKey, lack: str) -> OperationRefused:
    return OperationRefused("not_on_this_platform", f"the platform of the channel {channel_of(chat)} {lack}")


def _read(record: type[T], asked: Asked) -> T:
    try:
        return from_json(record, asked.ask.payload, "arguments")
    except ShapeError as error:
        raise OperationRefused("wrong_request", f"the call is not understood: {error}") from error
