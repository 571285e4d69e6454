"""What the host wants said, as the calls that say it on Slack. Pure.

`sending.py` performs the calls in order. A text longer than a handful of messages goes as its beginning and a file with
the whole. Platform limits are Slack's own words, 2026: a button's label 75 characters and its value 2000, 25 buttons in
a block, a file 1 GB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from channels.channel import DeliveryFailed
from channels.markdown.render import cleaned, plain_text
from channels.markdown.slack import SlackText, render_slack, slack_literal
from channels.slack.raw import TS
from protocol.ids import ChannelId, ChatKey
from protocol.message import Button, OutboundMessage

MAX_LABEL_CHARS = 75
MAX_VALUE_CHARS = 2000
BUTTONS_IN_A_BLOCK = 25
MAX_FILES = 10
"""Of one message."""
MAX_MESSAGES = 8
"""A longer answer becomes a file: twenty messages in a channel help nobody, and Slack takes one a second."""
COMMENT_CHARS = 3000
WHOLE_LIMIT_CHARS = 32_000
FULL_TEXT_NAME = "answer.md"
CONTINUED = "…\n\n(The whole text is in the file.)"
_CONVERSATION = re.compile(r"[A-Z][A-Z0-9]{1,30}\Z")

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call goes: a conversation, and a thread in it."""

    conversation: str
    thread: str | None = None

    @property
    def is_direct(self) -> bool:
        return self.conversation.startswith("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    place: Place
    text: str
    """mrkdwn: for notifications, and what people see where there are no blocks."""
    blocks: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToSend:
    name: str
    path: str = ""
    """A file of the host's; empty: `content` is the file."""
    content: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Files that become one message."""

    place: Place
    files: tuple[FileToSend, ...]
    comment: str = ""
    """mrkdwn."""


Call = Post | Upload


def place_name(place: Place) -> str:
    return place.conversation + (f":{place.thread}" if place.thread else "")


def named_place(name: str) -> Place:
    """Return the place of that name; raise ValueError."""
    conversation, _, thread = name.partition(":")
    if not _CONVERSATION.match(conversation) or (thread and not TS.match(thread)):
        raise ValueError(name)
    return Place(conversation=conversation, thread=thread or None)


def parse_place(channel_id: ChannelId, chat: ChatKey) -> Place:
    """Return the place that a chat key names; raise DeliveryFailed for a key of no Slack conversation."""
    channel, _, rest = chat.partition(":")
    try:
        if channel != channel_id:
            raise ValueError
        return named_place(rest)
    except ValueError:
        raise DeliveryFailed(f"`{chat}` names no chat of the channel {channel_id}", permanent=True) from None


def build_calls(channel_id: ChannelId, message: OutboundMessage) -> tuple[Call, ...]:
    """Return the calls that deliver the message, in order; none for an empty one. Raise DeliveryFailed.

    What it replies to is not shown: on Slack that is the thread, and the thread is the chat.
    """
    place = parse_place(channel_id, message.chat)
    actions = button_blocks(message.buttons)
    if message.file_path is None:
        return _text_calls(place, message.text, actions)
    return _file_calls(place, message, actions)


def _text_calls(place: Place, text: str, actions: tuple[Json, ...]) -> tuple[Call, ...]:
    chunks = render_slack(text) if len(text) <= WHOLE_LIMIT_CHARS else ()
    if len(text) > WHOLE_LIMIT_CHARS or len(chunks) > MAX_MESSAGES:
        return _long_text_calls(place, text, actions)
    posts = [Post(place=place, text=chunk.text, blocks=chunk.blocks) for chunk in chunks]
    if posts and actions:
        posts[-1] = replace(posts[-1], blocks=(*posts[-1].blocks, *actions))
    return tuple(posts)


def _long_text_calls(place: Place, text: str, actions: tuple[Json, ...]) -> tuple[Call, ...]:
    beginning = render_slack(text[:3000].rstrip() + CONTINUED)
    file = FileToSend(name=FULL_TEXT_NAME, content=text.encode("utf-8", "replace"))
    first = Post(place=place, text=beginning[0].text, blocks=(*beginning[0].blocks, *actions))
    return (first, Upload(place=place, files=(file,)))


def _file_calls(place: Place, message: OutboundMessage, actions: tuple[Json, ...]) -> tuple[Call, ...]:
    first = FileToSend(name=safe_name(message.file_name or message.file_path or ""), path=message.file_path or "")
    more = (FileToSend(name=safe_name(file.name or file.path), path=file.path) for file in message.more_files)
    files = (first, *more)
    chunks = render_slack(message.text, COMMENT_CHARS) if len(message.text) <= COMMENT_CHARS else ()
    is_comment = len(chunks) == 1 and not actions
    before = () if is_comment or actions else _text_calls(place, message.text, ())
    uploads = [
        Upload(
            place=place,
            files=files[start : start + MAX_FILES],
            comment=chunks[0].text if is_comment and not start else "",
        )
        for start in range(0, len(files), MAX_FILES)
    ]
    # Buttons stand under a text: a message that files make takes none.
    after = _text_calls(place, message.text or first.name, actions) if actions else ()
    return (*before, *uploads, *after)


def button_blocks(buttons: tuple[Button, ...]) -> tuple[Json, ...]:
    elements = [_element(index, button) for index, button in enumerate(buttons)]
    return tuple(
        {"type": "actions", "elements": elements[start : start + BUTTONS_IN_A_BLOCK]}
        for start in range(0, len(elements), BUTTONS_IN_A_BLOCK)
    )


def _element(index: int, button: Button) -> Json:
    if not 1 <= len(button.value) <= MAX_VALUE_CHARS:
        reason = f"the button {button.label!r} has a value of {len(button.value)} characters; Slack takes 1 to 2000"
        raise DeliveryFailed(reason, permanent=True)
    label = plain_text(button.label).replace("\n", " ").strip() or button.value
    if len(label) > MAX_LABEL_CHARS:
        label = f"{label[: MAX_LABEL_CHARS - 1]}…"
    text = {"type": "plain_text", "text": label, "emoji": False}
    return {"type": "button", "action_id": f"button-{index}", "text": text, "value": button.value}


def line_text(text: str) -> SlackText:
    """Return a line of ours, which is no Markdown."""
    shown = cleaned(text)
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": shown, "style": {"italic": True}}]}
    return SlackText(text=slack_literal(shown), blocks=({"type": "rich_text", "elements": [section]},))


def safe_name(name: str) -> str:
    """Return the last part of a name as a person may read it: no folders, no control or direction signs."""
    last = PurePosixPath(cleaned(name).replace("\\", "/").replace("\n", " ")).name.strip()
    return last[-120:] if last not in ("", ".", "..") else "file"
