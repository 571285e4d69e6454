"""What people said, as the one text that the model reads. Pure.

Each message stands in a `<message>` element whose attributes are facts of the host's: who, how far trusted, when, and
how an agent names it. What a person wrote can never open, close or imitate an element: `<` before one of our own names
is written `&lt;`, and everything else stays as it was typed, because agents edit code. What would fill the model's
window goes to a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from protocol.ids import PersonKey, SubmissionId
from protocol.message import Attachment
from runtime.store.records import Role, StoredMessage
from runtime.submission import NewSubmission

MAX_MESSAGE_CHARS = 40_000
"""More of one message is put in a file (about 10,000 tokens of English)."""
MAX_ENVELOPE_CHARS = 160_000
"""All messages of one task together; later ones go to files when it is used up."""
SHOWN_CHARS = 2_000
"""What is shown of a text that goes to a file."""
MAX_NAME_CHARS = 60
MAX_QUOTE_CHARS = 1_000
NO_REACTION = "(none any more)"

_OWN_NAMES = re.compile(r"<(?=\s*/?\s*(?:message|quote|attachment|notes?|context)\b)", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
"""Marks that change how text is shown, or hide text in it: direction, zero width, tags. The joiner of emoji stays."""
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LongText:
    """A text too long for the envelope: the host writes it into the group's inbox under this name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    text: str
    long_texts: tuple[LongText, ...] = ()


def build_envelope(
    messages: Sequence[StoredMessage],
    context: Sequence[StoredMessage],
    roles: Mapping[PersonKey, Role],
    zone: tzinfo,
) -> Envelope:
    """Return the messages to answer, after what was said meanwhile without being meant for the agent."""
    parts: list[str] = []
    long_texts: list[LongText] = []
    left = MAX_ENVELOPE_CHARS
    for message, element in [*((m, "context") for m in context), *((m, "message") for m in messages)]:
        text = clean_text(message.inbound.text)
        allowed = max(min(MAX_MESSAGE_CHARS, left), SHOWN_CHARS)
        if len(text) > allowed:
            long_text = LongText(name=f"{message.message_id}.txt", text=text)
            long_texts.append(long_text)
            text = f"{text[:SHOWN_CHARS]}\n[cut here: all {len(text)} characters are in /inbox/{long_text.name}]"
        left -= len(text)
        parts.append(_element(element, message, text, roles.get(message.inbound.person), zone))
    return Envelope(text="\n".join(parts), long_texts=tuple(long_texts))


def build_submission(
    submission_id: SubmissionId,
    new: NewSubmission,
    at: str,
    context: Sequence[StoredMessage],
    roles: Mapping[PersonKey, Role],
    zone: tzinfo,
) -> Envelope:
    """Return what a submitter asked for, after what was said meanwhile without being meant for the agent."""
    meanwhile = build_envelope((), context, roles, zone)
    text, long_texts = clean_text(new.prompt), meanwhile.long_texts
    if len(text) > MAX_ENVELOPE_CHARS:
        long_text = LongText(name=f"{submission_id}.txt", text=text)
        long_texts = (*long_texts, long_text)
        text = f"{text[:SHOWN_CHARS]}\n[cut here: all {len(text)} characters are in /inbox/{long_text.name}]"
    trust = "none" if new.trust == "untrusted" else new.trust
    lines = [
        f'<message from="{clean_name(new.submitter)}" trust="{trust}" at="{local_time(at, zone)}">',
        guarded(text),
    ]
    if new.skill is not None:
        lines.append(f"<note>Follow the skill {new.skill}: open it first.</note>")
    lines.append("</message>")
    return Envelope(text="\n".join([*filter(None, [meanwhile.text]), *lines]), long_texts=long_texts)


def clean_text(text: str) -> str:
    """Return a text without control characters and unseen marks; line ends become newlines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("\ufffd", _UNSEEN.sub("", text))


def clean_name(name: str) -> str:
    """Return a display name as one short line that cannot end an attribute."""
    line = _SPACES.sub(" ", _CONTROLS.sub("", _UNSEEN.sub("", name))).strip()
    shown = line if len(line) <= MAX_NAME_CHARS else f"{line[: MAX_NAME_CHARS - 1]}…"
    return shown.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _element(element: str, message: StoredMessage, text: str, role: Role | None, zone: tzinfo) -> str:
    inbound = message.inbound
    facts = [
        f'from="{clean_name(inbound.sender_name) or "unknown"}"',
        f'trust="{role or "none"}"',
        f'at="{local_time(inbound.sent_at, zone)}"',
        f'ref="m{message.seq}"',
    ]
    if inbound.chat_kind == "many":
        facts.append('chat="many people"')
    if inbound.kind != "message":
        facts.append(f'kind="{inbound.kind}"')
    if inbound.forwarded_from:
        facts.append(f'forwarded_from="{clean_name(inbound.forwarded_from)}"')
    lines = [f"<{element} {' '.join(facts)}>"]
    if inbound.quote:
        lines.append(f"<quote>{guarded(clean_text(inbound.quote)[:MAX_QUOTE_CHARS])}</quote>")
    if text or inbound.kind == "reaction":
        lines.append(guarded(text) or NO_REACTION)
    lines += [_attachment(attachment) for attachment in inbound.attachments]
    if message.note:
        lines.append(f"<note>{guarded(clean_text(message.note))}</note>")
    lines.append(f"</{element}>")
    return "\n".join(lines)


def _attachment(attachment: Attachment) -> str:
    name, kind = clean_name(attachment.name), clean_name(attachment.media_type)
    return f'<attachment name="{name}" type="{kind}" bytes="{attachment.size}" path="/inbox/{attachment.stored_name}"/>'


def guarded(text: str) -> str:
    return _OWN_NAMES.sub("&lt;", text)


def local_time(sent_at: str, zone: tzinfo) -> str:
    """Return `2026-01-31 10:00 Sat` in the zone for an ISO 8601 time; an unreadable one as it stands, cleaned."""
    try:
        moment = datetime.fromisoformat(sent_at).astimezone(zone)
    except (ValueError, OverflowError):  # OverflowError: the first hours of the year 1, the last of 9999
        return clean_name(sent_at)
    return moment.strftime("%Y-%m-%d %H:%M %a")
