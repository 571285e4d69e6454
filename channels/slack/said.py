"""What stands in a Slack message, in words that people read: entities un-escaped, files, what was passed on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from channels.slack.emoji import with_emoji
from protocol.message import MAX_TEXT_CHARS, PendingFile

CUT_MARK = "\n[cut here: the text was too long]"
VOICE_SUBTYPE = "slack_audio"
_ENTITY = re.compile(r"<([^<>\n]+)>")
_ESCAPES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ESCAPE = re.compile("&(?:amp|lt|gt);")
_NOT_HELD = {
    "tombstone": "[a file that was deleted]",
    "hidden_by_limit": "[a file that this workspace's plan no longer shows]",
}
"""Files of these modes have no content."""

Names = Mapping[str, str]
"""Ids of people and channels to what they are called, as far as is known."""


def readable(text: str, names: Names) -> str:
    """Return Slack's escaped text as people see it."""
    spelled = _ENTITY.sub(lambda found: _entity(found[1], names), text) if "<" in text else text
    return cut(whole(with_emoji(_ESCAPE.sub(lambda found: _ESCAPES[found[0]], spelled))))


def mentioned(text: str) -> Iterator[str]:
    """Return the ids of the people and channels that a text names without saying what they are called."""
    for found in _ENTITY.finditer(text):
        inside, _, label = found[1].partition("|")
        if inside[:1] in ("@", "#") and not label:
            yield inside[1:]


def _entity(inside: str, names: Names) -> str:
    target, _, label = inside.partition("|")
    if target.startswith(("@", "#")):
        return target[0] + (names.get(target[1:]) or label.lstrip("@#") or target[1:])
    if target.startswith("!"):
        return _special(target[1:], label)
    plain = target.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (target, plain) or f"http://{label}" == target:
        return label or plain
    return f"{label} ({plain})"


def _special(word: str, label: str) -> str:
    if label:
        return label  # a user group's name, a date in words
    kind, _, detail = word.partition("^")
    return f"@{detail or kind}"


def pending_files(said: Mapping[str, Any]) -> Iterator[PendingFile]:
    for file in said.get("files") or ():
        if file.get("mode") in _NOT_HELD or file.get("is_external"):
            continue
        size = file.get("size")
        yield PendingFile(
            reference=str(file["id"]),
            name=whole(str(file.get("name") or file.get("title") or file["id"])),
            media_type=whole(str(file.get("mimetype") or "application/octet-stream")),
            size=size if isinstance(size, int) and size > 0 else None,
            is_voice=file.get("subtype") == VOICE_SUBTYPE,
        )


def described_files(said: Mapping[str, Any]) -> Iterator[str]:
    """Return in words what Slack has no content of, so that nothing a person sends is met with silence."""
    for file in said.get("files") or ():
        if file.get("mode") in _NOT_HELD:
            yield _NOT_HELD[file["mode"]]
        elif file.get("is_external"):
            yield f"[{file.get('title') or file.get('name') or 'a file'}: {file.get('url_private', '')}]"


def passed_on(said: Mapping[str, Any], names: Names) -> tuple[str, str]:
    """Return who first said what a message passes on, and what; both empty where it passes on nothing."""
    shared = [part for part in said.get("attachments") or () if part.get("is_share") or part.get("is_msg_unfurl")]
    if not shared:
        return "", ""
    first = shared[0]
    author = str(
        names.get(str(first.get("author_id"))) or first.get("author_name") or first.get("author_subname") or ""
    )
    texts = (str(part.get("text") or part.get("fallback") or "") for part in shared)
    return whole(author or "somebody"), "\n\n".join(readable(text, names) for text in texts if text)


def whole(text: str) -> str:
    """Return the text with lone surrogates replaced: JSON can carry them, UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - len(CUT_MARK)] + CUT_MARK
