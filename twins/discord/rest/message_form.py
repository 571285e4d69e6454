"""The body of a message as bots send it: checked as Discord checks it, files put to their descriptions. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twins.discord.attachments import MAX_FILE_BYTES, MAX_FILES, attachment_json
from twins.discord.components import SECOND_VERSION, check_components, shown_components
from twins.discord.embeds import check_embeds, shown_embeds
from twins.discord.mentions import check_allowed_mentions
from twins.discord.refusal import FormErrors, Refusal
from twins.discord.rest.call import Call
from twins.discord.saying import MAX_CONTENT
from twins.discord.shapes import MESSAGE, check_shape
from twins.discord.world import EPHEMERAL, Channel, Json, Upload

MAX_NONCE = 25
_SETTABLE_FLAGS = 1 << 2 | EPHEMERAL | 1 << 12 | 1 << 13 | SECOND_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageForm:
    """What a body says; fields that it does not name are not in `given`."""

    given: Json
    uploads: list[tuple[Json, Upload]] = field(default_factory=list)
    kept: list[Json] | None = None
    """The descriptions of attachments that an edit keeps; None: all."""
    allowed_mentions: Json | None = None

    @property
    def flags(self) -> int:
        return int(self.given.get("flags") or 0)

    def is_empty(self) -> bool:
        said = any(self.given.get(one) for one in ("content", "embeds", "components", "sticker_items", "poll"))
        return not said and not self.uploads


def read_message(call: Call, body: Json, within: str = "") -> MessageForm:
    """Return a body as a form; raise Refusal for what Discord refuses. `within`: which part of
    the request's body it is."""
    check_shape(body, MESSAGE, within)
    errors = FormErrors(within)
    given: Json = {key: body[key] for key in ("content", "embeds", "components", "flags", "tts") if key in body}
    content = given.get("content")
    if "content" in given:
        given["content"] = "" if content is None else str(content)
        errors.too_long("content", given["content"], MAX_CONTENT)
    flags = body.get("flags") or 0
    check_embeds(errors, body.get("embeds"))
    check_components(errors, body.get("components"), flags)
    check_allowed_mentions(errors, body.get("allowed_mentions"))
    _check_nonce(errors, body)
    if flags & SECOND_VERSION and (given.get("content") or given.get("embeds")):
        words = "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
        errors.add("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", words)
    errors.settle()
    if len(call.uploads) > MAX_FILES or len(body.get("attachments") or ()) > MAX_FILES:
        raise Refusal(30015)
    if any(len(upload.content) > MAX_FILE_BYTES for upload in call.uploads.values()):
        raise Refusal(50045)
    given["flags"] = flags & _SETTABLE_FLAGS
    given["embeds"] = shown_embeds(body.get("embeds") or [])
    given["components"] = shown_components(body.get("components") or [])
    uploads, kept = _files(call, body)
    for name in ("embeds", "components", "flags"):
        if name not in body:
            del given[name]
    allowed = body.get("allowed_mentions")
    return MessageForm(given=given, uploads=uploads, kept=kept, allowed_mentions=allowed)


def store_uploads(call: Call, channel: Channel, form: MessageForm) -> list[Json]:
    """Keep the files of a form; return them as attachments."""
    stored = []
    for description, upload in form.uploads:
        attachment_id = call.world.mint()
        name = str(description.get("filename") or upload.name)
        call.world.files[attachment_id] = upload
        shown = attachment_json(attachment_id, channel.id, name, upload.content)
        for key in ("description", "duration_secs", "waveform", "title"):
            if description.get(key) is not None:
                shown[key] = description[key]
        stored.append(shown)
    return stored


def _files(call: Call, body: Json) -> tuple[list[tuple[Json, Upload]], list[Json] | None]:
    """Return the new files with their descriptions, and the old ones that are named: an id below the number of files
    stands for a new one."""
    described: dict[str, Json] = {str(one.get("id")): one for one in body.get("attachments") or ()}
    uploads = [(described.pop(str(number), {}), upload) for number, upload in sorted(call.uploads.items())]
    return uploads, (list(described.values()) if "attachments" in body else None)


def _check_nonce(errors: FormErrors, body: Json) -> None:
    nonce: Any = body.get("nonce")
    if nonce is None:
        return
    if isinstance(nonce, bool) or not isinstance(nonce, str | int):
        errors.add("nonce", "NONCE_TYPE_INVALID_TYPE", "This field must be a string or integer.")
    elif len(str(nonce)) > MAX_NONCE:
        errors.add("nonce", "NONCE_TYPE_TOO_LONG", f"Must be {MAX_NONCE} or fewer characters long.")
