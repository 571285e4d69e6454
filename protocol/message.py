"""What is said, by whom, where: the nouns between channels and the host."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.ids import ChannelId, ChatKey, FileId, PersonKey, PlatformMessageId
from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

MAX_TEXT_CHARS = 2_000_000
"""An inbound text is cut here, with a marker: more is a file."""


class Attachment(Record):
    """A file that a person sent, stored by the host under a host-made name before the message is."""

    file_id: FileId
    name: str
    """As the sender called it: shown, escaped, never a path."""
    size: int
    media_type: str
    stored_name: str
    """The file's name in the group's inbox, made by the host."""


class InboundMessage(Record):
    """Something a person said, decoded."""

    channel_id: ChannelId
    event_id: str
    """The platform's id of the event: the key of de-duplication in (channel, event)."""
    chat: ChatKey
    chat_kind: Literal["direct", "many"]
    person: PersonKey
    sender_name: str
    """Display only; any text, hostile too."""
    text: str
    sent_at: str
    """ISO 8601 UTC."""
    platform_message_id: PlatformMessageId
    kind: Literal["message", "press", "edit", "delete", "reaction", "joined", "left", "moved"] = "message"
    """`press`: a button; `text` is then its value. `edit`: `text` is in place of what the message of this id said.
    `delete`: that message was taken back; `text` is empty, `person` who wrote it, or took it away if only that is told.
    `reaction`: `text` is the emoji that the person has now under the message `reply_to`, empty for none any more.
    `joined`, `left`: somebody came into the chat or went; `text` is their names, `person` one of them or who did it.
    `moved`: the platform gave the chat another key, which is `text`; `person` is the chat's."""
    mentions_me: bool = False
    reply_to: PlatformMessageId | None = None
    quote: str = ""
    forwarded_from: str = ""
    """Who said it first, as the platform names them, where the sender only passes it on. Display only."""
    attachments: tuple[Attachment, ...] = ()
    pending_files: tuple[PendingFile, ...] = ()
    """Files that the platform still holds; intake has the channel fetch them."""
    is_piece: bool = False
    """It is about as long as its platform lets a text be, whose apps send what is longer in pieces: the next one is on
    its way, most likely. Each channel's decode.py knows its platform's length."""


class PendingFile(Record):
    """A file known to the platform, not yet fetched."""

    reference: str
    """What the channel needs to fetch it (Telegram's file_id)."""
    name: str
    media_type: str
    size: int | None
    is_voice: bool = False
    """It is a voice note: spoken instead of typed."""


class Button(Record):
    label: str
    value: str
    """1-64 bytes of UTF-8 (Telegram's callback_data limit, the narrowest).

    Made by the host alone: pressing a button whose value is a command gives that command, so no words of an agent may
    become one."""


class OutboundFile(Record):
    """A file that goes with others in one message."""

    path: str
    """A host path that the host wrote itself."""
    name: str


class OutboundMessage(Record):
    """One thing to say in one chat. Text is Markdown; the channel renders it."""

    chat: ChatKey
    text: str = ""
    reply_to: PlatformMessageId | None = None
    buttons: tuple[Button, ...] = ()
    file_path: str | None = None
    """A host path that the host wrote itself."""
    file_name: str = ""
    more_files: tuple[OutboundFile, ...] = ()
    """What goes along with the file; in several messages where a platform takes no more in one."""
    is_answer: bool = False
    """It is the text that the channel was shown growing (`Channel.show`): what is seen of it there may become this."""
    idempotency_key: str = ""
    """(task, step): platforms that take one get it."""
    labels: Mapping[str, str] | None = None
    act: Literal["say", "edit", "react", "close", "delete"] = "say"
    """`edit`: `text` takes the place of what a message says; `react`: it is an emoji under one, or takes that away;
    `close`: the buttons of one go, where its platform can do that; `delete`: the message goes."""
    about: PlatformMessageId | None = None
    """The message that an act is about; None: the host asks its platform's receipt for `about_key`."""
    about_key: str = ""
    """The idempotency key of a message of ours."""


class Receipt(Record):
    """What the platform answered to a delivery: the ids of what can now be seen there."""

    platform_message_ids: tuple[PlatformMessageId, ...]
