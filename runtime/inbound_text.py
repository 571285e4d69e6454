"""What a channel decoded, made fit to be stored and to be named as a file: cut, cleaned, never trusted. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from protocol.message import MAX_TEXT_CHARS, Attachment, InboundMessage, PendingFile

MAX_ID_CHARS = 300
"""An id longer than this is none that a platform gives."""
MAX_NAME_CHARS = 200
MAX_QUOTE_CHARS = 10_000
CUT = "\n[cut here: {left} more characters]"

_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})\Z")


def fault_of(inbound: InboundMessage) -> str | None:
    """Return why a decoded message cannot be filed, None if it can: ids are kept as they are or not at all."""
    ids = (inbound.event_id, inbound.chat, inbound.person, inbound.platform_message_id)
    for each in ids:
        if not each or len(each) > MAX_ID_CHARS or clean(each) != each:
            return f"an id in it is empty, too long or not text: {each[:40]!r}"
    if not inbound.chat.startswith(f"{inbound.channel_id}:") or not inbound.person.startswith(f"{inbound.channel_id}:"):
        return f"its chat or person is not of the channel {inbound.channel_id}"
    return _fault_of_key(inbound) if inbound.kind == "moved" else None


def _fault_of_key(inbound: InboundMessage) -> str | None:
    key = inbound.text
    is_key = key.startswith(f"{inbound.channel_id}:") and len(key) <= MAX_ID_CHARS and clean(key) == key
    return (
        None
        if is_key and key != inbound.chat
        else f"the key that its chat is to have is no other one of the channel: {key[:40]!r}"
    )


def clean_inbound(inbound: InboundMessage) -> InboundMessage:
    """Return the message with over-long texts cut and what is not text replaced; hostile names stay, as data."""
    return replace(
        inbound,
        text=clean(cut(inbound.text, MAX_TEXT_CHARS)),
        sender_name=clean(inbound.sender_name[:MAX_NAME_CHARS]),
        quote=clean(cut(inbound.quote, MAX_QUOTE_CHARS)),
        forwarded_from=clean(inbound.forwarded_from[:MAX_NAME_CHARS]),
        attachments=tuple(_clean_attachment(each) for each in inbound.attachments),
        pending_files=tuple(_clean_file(each) for each in inbound.pending_files),
    )


def shorten(inbound: InboundMessage, limit: int) -> InboundMessage:
    """Return the message with at most so much of each of its texts, and without its attachments."""
    return replace(inbound, text=cut(inbound.text, limit), quote=cut(inbound.quote, limit), attachments=())


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters and a marker that says how much is missing."""
    return text if len(text) <= limit else text[:limit] + CUT.format(left=len(text) - limit)


def clean(text: str) -> str:
    """Return the text with lone surrogates, which no UTF-8 file can hold, replaced by `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def stored_file_name(raw_id: int, index: int, name: str) -> str:
    """Return the host's name of a file that came with an update: the sender's name gives only a plain extension.

    The same update gives the same name, so that a fetch cut off by a crash is written over.
    """
    extension = _EXTENSION.search(name)
    return f"in-{raw_id}-{index}{extension.group(0).lower() if extension else ''}"


def _clean_attachment(attachment: Attachment) -> Attachment:
    return replace(
        attachment, name=clean(attachment.name[:MAX_NAME_CHARS]), media_type=clean(attachment.media_type[:100])
    )


def _clean_file(file: PendingFile) -> PendingFile:
    return replace(file, name=clean(file.name[:MAX_NAME_CHARS]), media_type=clean(file.media_type[:100]))
